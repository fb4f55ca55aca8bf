"""Consumers' watermarks and the clusters, in the served journal's database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from codelupe_daemon.journal.clusters import (
    Before,
    Cluster,
    Clustered,
    ClusterStore,
    Facts,
    Member,
    WindowRow,
    grouped,
)
from codelupe_daemon.journal.consumers import Holder, Letter
from codelupe_daemon.journal.owner import is_alive
from codelupe_daemon.journal.postgres_server import SQL, Connection, Server
from codelupe_daemon.model import Op, PlaceKey, Standing, place_key
from codelupe_daemon.paths import storable


class PostgresClusters(ClusterStore):
    """See `ClusterStore`. `server` is an open journal's."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    # -- a consumer's lease, watermark and dead letters ----------------------------------------

    async def claim(self, consumer: str, owner: str, lease_s: float) -> Holder | None:
        owners = [row[0] for row in await self._server.rows("consumer_owners", consumer)]
        dead = [one for one in owners if not is_alive(one)]
        async with self._server.transaction() as cx:
            epoch = await cx.fetchval(SQL["claim_consumer"], consumer, owner, lease_s, dead)
        return None if epoch is None else Holder(consumer, owner, epoch)

    async def renew(self, holder: Holder, lease_s: float) -> bool:
        async with self._as(holder) as cx:
            if cx is not None:
                await cx.execute(SQL["renew_consumer"], holder.consumer, lease_s)
        return cx is not None

    async def release(self, holder: Holder) -> bool:
        async with self._as(holder) as cx:
            if cx is not None:
                await cx.execute(SQL["release_consumer"], holder.consumer)
        return cx is not None

    async def watermarks(self) -> dict[str, int]:
        return dict(await self._server.rows("watermarks"))

    async def watermark(self, consumer: str) -> int:
        found: int = await self._server.value("watermark", consumer)
        return found

    async def advance(self, holder: Holder, watermark: int, letters: Sequence[Letter] = ()) -> bool:
        async with self._as(holder) as cx:
            if cx is not None:
                ids, reasons = [one[0] for one in letters], [storable(one[1]) for one in letters]
                await cx.execute(SQL["bury"], holder.consumer, ids, reasons)
                await cx.execute(SQL["advance"], holder.consumer, watermark)
        return cx is not None

    async def dead_letters(self, consumer: str, limit: int) -> list[Letter]:
        found = await self._server.rows("dead_letters", consumer, limit)
        return [(row_id, reason) for row_id, reason in found]

    async def exhume(self, holder: Holder, ids: Sequence[int]) -> bool:
        async with self._as(holder) as cx:
            if cx is not None:
                await cx.execute(SQL["exhume"], holder.consumer, ids)
        return cx is not None

    async def restart(self, holder: Holder) -> bool:
        async with self._as(holder) as cx:
            if cx is not None:
                await _restart(cx, holder.consumer)
        return cx is not None

    # -- clusters --------------------------------------------------------------------------------

    async def reset(self, holder: Holder) -> bool:
        async with self._as(holder) as cx:
            if cx is not None:
                await cx.execute(SQL["drop_all_clusters"])
                await _restart(cx, holder.consumer)
        return cx is not None

    async def put(
        self, holder: Holder, clusters: Sequence[Cluster], removed: Sequence[bytes], watermark: int
    ) -> bool:
        async with self._as(holder) as cx:
            if cx is not None:
                columns = [list(column) for column in zip(*sorted(clusters), strict=True)]
                await cx.execute(SQL["drop_clusters"], sorted(removed))
                if columns:
                    await cx.execute(SQL["put_clusters"], *columns)
                await cx.execute(SQL["advance"], holder.consumer, watermark)
        return cx is not None

    async def clusters_of(self, hashes: Sequence[bytes]) -> dict[bytes, Cluster]:
        found = await self._server.rows("clusters_of", hashes)
        return {row[0]: Cluster._make(row) for row in found}

    # -- what the journal says of the contents ---------------------------------------------------

    async def clustered(self, after_id: int, last_id: int, limit: int) -> list[Clustered]:
        found = await self._server.rows("clustered", after_id, last_id, limit)
        return [Clustered._make(row) for row in found]

    async def facts(self, ids: Sequence[int], *, content: bool) -> list[Facts]:
        found = await self._server.rows("facts", ids, content)
        return [
            Facts(add_id, content_hash, newest_id, _place(place), text)
            for add_id, content_hash, newest_id, *place, text in found
        ]

    async def window(self, after_id: int, to_id: int, limit: int) -> list[WindowRow]:
        async with self._server.transaction(readonly=True) as cx:
            await cx.execute(SQL["by_index"])  # a page is small, whatever the planner may think
            found = await cx.fetch(SQL["window"], after_id, to_id, limit)
        return [WindowRow(row[0], Op(row[1]), *row[2:]) for row in found]

    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        return grouped(await self._server.rows("members", hashes))

    async def before(self, rows: Sequence[tuple[bytes, int]]) -> list[Before]:
        hashes, ids = [row[0] for row in rows], [row[1] for row in rows]
        found = await self._server.rows("before", hashes, ids)
        return [Before(add_id, _place(place), print_) for add_id, *place, print_ in found]

    @asynccontextmanager
    async def _as(self, holder: Holder) -> AsyncIterator[Connection | None]:
        """A transaction in which the lease is held for certain; None where it is another's."""
        async with self._server.transaction() as cx:
            yield cx if await cx.fetchval(SQL["hold"], *holder) else None


async def _restart(cx: Connection, consumer: str) -> None:
    await cx.execute(SQL["exhume_all"], consumer)
    await cx.execute(SQL["restart"], consumer)


def _place(columns: Sequence[Any]) -> PlaceKey:
    *standing, full_name, path, license_id = columns
    return place_key(Standing(*standing), full_name, path, license_id)
