"""The clusters in the embedded journal's file; all work is done on one thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw
import numpy as np

from codelupe_daemon.journal import sqlite_files as files
from codelupe_daemon.journal.clusters import (
    Before,
    Cluster,
    Clustered,
    ClusterStore,
    Facts,
    Member,
    WindowRow,
    grouped,
    place_of,
)
from codelupe_daemon.journal.consumers import Holder, Letter
from codelupe_daemon.journal.owner import is_held
from codelupe_daemon.journal.sql import embedded
from codelupe_daemon.journal.sqlite_look import connect_read_only
from codelupe_daemon.model import Op
from codelupe_daemon.paths import storable

SQL = embedded("clusters.sql")
T = TypeVar("T")


class SqliteClusters(ClusterStore):
    """See `ClusterStore`. `is_read_only`: it is there to be asked, and every write fails."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self._path = path
        self._is_read_only = is_read_only
        self._thread = ThreadPoolExecutor(1, "clusters")
        self._connection: apsw.Connection | None = None

    async def open(self) -> None:
        def work() -> None:
            connect = connect_read_only if self._is_read_only else files.connect
            self._connection = connect(self._path)

        await self._on_thread(work)

    async def close(self) -> None:
        if self._connection is not None:
            await self._on_thread(self._connection.close)
        self._thread.shutdown(wait=False)

    # -- the consumer's lease, watermark and dead letters ------------------------------------

    async def claim(self, consumer: str, owner: str, lease_s: float) -> Holder | None:
        def work(cx: apsw.Connection) -> Holder | None:
            cx.execute(SQL["make_watermark"], (consumer,))
            held_by, epoch, until = cx.execute(SQL["holder"], (consumer,)).get
            if is_held(held_by, until):
                return None
            cx.execute(SQL["claim"], (owner, epoch + 1, time.time() + lease_s, consumer))
            return Holder(consumer, owner, epoch + 1)

        return await self._write(work)

    async def renew(self, holder: Holder, lease_s: float) -> bool:
        bound = (time.time() + lease_s, holder.consumer)
        return await self._write_as(holder, lambda cx: cx.execute(SQL["renew"], bound))

    async def release(self, holder: Holder) -> bool:
        bound = (holder.consumer,)
        return await self._write_as(holder, lambda cx: cx.execute(SQL["release"], bound))

    async def watermark(self, consumer: str) -> int:
        found: int = await self._read(lambda cx: cx.execute(SQL["watermark"], (consumer,)).get)
        return found

    async def watermarks(self) -> dict[str, int]:
        rows: list[Any] = await self._read(lambda cx: cx.execute(SQL["watermarks"]).fetchall())
        return dict(rows)

    async def advance(self, holder: Holder, watermark: int, letters: Sequence[Letter] = ()) -> bool:
        def work(cx: apsw.Connection) -> None:
            cx.executemany(
                SQL["bury"], ((holder.consumer, row_id, storable(why)) for row_id, why in letters)
            )
            cx.execute(SQL["advance"], (watermark, holder.consumer))

        return await self._write_as(holder, work)

    async def exhume(self, holder: Holder, ids: Sequence[int]) -> bool:
        bound = ((holder.consumer, row_id) for row_id in ids)
        return await self._write_as(holder, lambda cx: cx.executemany(SQL["exhume"], bound))

    async def restart(self, holder: Holder) -> bool:
        return await self._write_as(holder, lambda cx: _restart(cx, holder.consumer))

    async def dead_letters(self, consumer: str, limit: int) -> list[Letter]:
        bound = (consumer, limit)
        rows: list[Any] = await self._read(
            lambda cx: cx.execute(SQL["dead_letters"], bound).fetchall()
        )
        return rows

    # -- clusters ------------------------------------------------------------------------------

    async def reset(self, holder: Holder) -> bool:
        def work(cx: apsw.Connection) -> None:
            cx.execute("delete from clusters")
            _restart(cx, holder.consumer)

        return await self._write_as(holder, work)

    async def put(
        self, holder: Holder, clusters: Sequence[Cluster], removed: Sequence[bytes], watermark: int
    ) -> bool:
        def work(cx: apsw.Connection) -> None:
            cx.executemany(SQL["drop_cluster"], ((one,) for one in sorted(removed)))
            cx.executemany(SQL["put_cluster"], sorted(clusters))
            cx.execute(SQL["advance"], (watermark, holder.consumer))

        return await self._write_as(holder, work)

    async def clusters_of(self, hashes: Sequence[bytes]) -> dict[bytes, Cluster]:
        if not hashes:
            return {}
        bound = (apsw.carray(tuple(hashes)),)
        rows = await self._read(lambda cx: cx.execute(SQL["clusters_of"], bound).fetchall())
        return {cluster.content_hash: cluster for cluster in map(Cluster._make, rows)}

    # -- what the journal says of the contents -------------------------------------------------

    async def clustered(self, after_id: int, last_id: int, limit: int) -> list[Clustered]:
        bound = (after_id, last_id, limit)
        rows = await self._read(lambda cx: cx.execute(SQL["clustered"], bound).fetchall())
        return list(map(Clustered._make, rows))

    async def facts(self, ids: Sequence[int], *, content: bool) -> list[Facts]:
        if not ids:
            return []
        carray = apsw.carray(np.array(ids, np.int64), flags=apsw.SQLITE_CARRAY_INT64)
        bound = {"ids": carray, "text": content}

        def work(cx: apsw.Connection) -> list[Facts]:
            return [
                Facts(add_id, content_hash, newest_id, place_of(place), files.unpack(packed))
                for add_id, content_hash, newest_id, *place, packed in _rows(cx, "facts", bound)
            ]

        return await self._read(work)

    async def window(self, after_id: int, to_id: int, limit: int) -> list[WindowRow]:
        bound = (after_id, to_id, limit)
        rows = await self._read(lambda cx: _rows(cx, "window", bound))
        return [WindowRow(row[0], Op(row[1]), row[2], bool(row[3]), *row[4:]) for row in rows]

    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        if not hashes:
            return {}
        bound = (apsw.carray(tuple(hashes)),)
        return grouped(await self._read(lambda cx: _rows(cx, "members", bound)))

    async def before(self, rows: Sequence[tuple[bytes, int]]) -> list[Before]:
        def work(cx: apsw.Connection) -> list[Before]:
            found = []
            for bound in rows:
                [(*place, fingerprint)] = _rows(cx, "row_before", bound)
                add_id: int = cx.execute(SQL["added_before"], bound).get
                found.append(Before(add_id, place_of(place), fingerprint))
            return found

        return await self._read(work)

    # -- threads and transactions ------------------------------------------------------------

    async def _on_thread(self, work: Callable[[], T]) -> T:
        explained = files.explained(self._path)(work)
        return await asyncio.get_running_loop().run_in_executor(self._thread, explained)

    @property
    def _cx(self) -> apsw.Connection:
        assert self._connection is not None, "open() comes first"
        return self._connection

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        def transaction() -> T:
            self._cx.execute("begin")
            try:
                return work(self._cx)
            finally:
                self._cx.execute("commit")

        return await self._on_thread(transaction)

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        def transaction() -> T:
            with files.writing(self._cx, self._path):
                return work(self._cx)

        return await self._on_thread(transaction)

    async def _write_as(self, holder: Holder, work: Callable[[apsw.Connection], Any]) -> bool:
        """Run `work` in a transaction in which the lease is checked first."""

        def checked(cx: apsw.Connection) -> bool:
            found = cx.execute(SQL["holder"], (holder.consumer,)).fetchone()
            if found is None or (found[0], found[1]) != (holder.owner, holder.epoch):
                return False
            work(cx)
            return True

        return await self._write(checked)


def _restart(cx: apsw.Connection, consumer: str) -> None:
    cx.execute("delete from dead_letters where consumer = ?", (consumer,))
    cx.execute("update watermarks set id = 0 where consumer = ?", (consumer,))


def _rows(cx: apsw.Connection, name: str, bound: apsw.Bindings) -> list[Any]:
    return cx.execute(SQL[name], bound).fetchall()
