"""Embedded stores as the source and as the target of a copy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import orjson
import zstandard

from codelupe_daemon.journal import sqlite_files as files
from codelupe_daemon.journal import transfer
from codelupe_daemon.journal.owner import is_held, this_process
from codelupe_daemon.journal.sqlite_look import connect_read_only
from codelupe_daemon.journal.transfer import (
    LEASE_S,
    TABLES,
    Held,
    Key,
    Row,
    Snapshot,
    Source,
    State,
    Table,
    Target,
)

T = TypeVar("T")
_LEASES: Final = """
select lease_owner, lease_until from repositories where lease_owner is not null
union select lease_owner, lease_until from watermarks where lease_owner is not null"""
_MARKER: Final = """
create table codelupe_copying (source text not null, state text, owner text, until real)"""


class SqliteSource(Source):
    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        cx = await asyncio.to_thread(connect_read_only, self._path)
        try:
            cx.execute("begin")
            yield _SqliteSnapshot(cx, self._path)
        finally:
            cx.close()


class _Reading:
    """What both sides ask, on a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(files.explained(self._path)(work))


class _SqliteSnapshot(_Reading, Snapshot):
    def __init__(self, cx: apsw.Connection, path: Path) -> None:
        super().__init__(path)
        self._cx = cx

    async def state(self) -> State:
        return await self._on_thread(lambda: _state(self._cx))

    async def owners(self) -> list[str]:
        leases: list[Any] = await self._on_thread(lambda: self._cx.execute(_LEASES).fetchall())
        return sorted({owner for owner, until in leases if is_held(owner, until)})

    async def page(self, table: Table, after: Key | None) -> list[Row]:
        return await self._on_thread(lambda: _page(self._cx, table, after))

    async def held(self, up_to_id: int) -> Held:
        return await self._on_thread(lambda: _held(self._cx, up_to_id))

    async def counts(self) -> dict[str, int]:
        return await self._on_thread(lambda: _counts(self._cx))


class SqliteTarget(_Reading, Target):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.location = str(path)

    async def claim(self, source: str) -> None:
        await self._on_thread(lambda: self._claim(source))

    def _claim(self, source: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with files.writers_lock(self._path):
            self._cx = files.connect(self._path, create=True, cache_kib=files.WRITE_CACHE_KIB)
            files.upgrade(self._cx, self._path)
            with self._cx:
                if files.copied_from(self._cx) is None:
                    if any(_counts(self._cx).values()):
                        raise transfer.unfit(self.location)
                    self._cx.execute(_MARKER)
                    self._cx.execute("insert into codelupe_copying (source) values (?)", (source,))
                self._take_over(source)

    def _take_over(self, source: str) -> None:
        begun_from, owner, until = self._cx.execute(
            "select source, owner, until from codelupe_copying"
        ).get
        if begun_from != source:
            raise transfer.unfit(self.location)
        if is_held(owner, until):
            raise transfer.taken_over(self.location)
        self._cx.execute(
            "update codelupe_copying set owner = ?, until = ?",
            (this_process(), time.time() + LEASE_S),
        )

    async def state(self) -> State | None:
        def work() -> Any:
            return self._cx.execute("select state from codelupe_copying").get

        found: State | None = await self._on_thread(work)
        return found

    async def begin(self, state: State, *, journal: bool) -> None:
        def work() -> None:
            for table in TABLES:
                if journal or table is not transfer.JOURNAL:
                    self._cx.execute(f"delete from {table.name}")  # noqa: S608 - our own names
            self._cx.execute("update codelupe_copying set state = ?", (state,))

        await self._write(work)

    async def highest(self, table: Table) -> Key | None:
        return await self._on_thread(
            lambda: self._cx.execute(transfer.highest(table, "")).fetchone()
        )

    async def put(self, table: Table, rows: Sequence[Row]) -> None:
        marks = ", ".join("?" * len(table.columns))
        statement = f"insert into {table.name} ({transfer.columns(table)}) values ({marks})"  # noqa: S608 - our own names

        def work() -> None:
            self._cx.executemany(statement, _packed(table, rows))
            if table.name == "repositories":  # a trigger has put the time of the copy there
                at = [list(table.columns).index(name) for name in ("changed_at", "id")]
                self._cx.executemany(
                    "update repositories set changed_at = ? where id = ?",
                    ([row[i] for i in at] for row in rows),
                )

        await self._write(work)

    async def held(self, up_to_id: int) -> Held:
        return await self._on_thread(lambda: _held(self._cx, up_to_id))

    async def counts(self) -> dict[str, int]:
        return await self._on_thread(lambda: _counts(self._cx))

    async def finish(self) -> None:
        await self._write(lambda: self._cx.execute("drop table codelupe_copying"))

    async def close(self) -> None:
        if hasattr(self, "_cx"):
            await self._on_thread(self._cx.close)

    async def _write(self, work: Callable[[], object]) -> None:
        """In a transaction that only who holds the marker may make."""

        def transaction() -> None:
            with files.writers_lock(self._path), self._cx:
                until = time.time() + LEASE_S
                self._cx.execute(
                    "update codelupe_copying set until = ? where owner = ?",
                    (until, this_process()),
                )
                if not self._cx.changes():
                    raise transfer.taken_over(self.location)
                work()

        await self._on_thread(transaction)


def _state(cx: apsw.Connection) -> State:
    told = [
        cx.execute(statement).fetchall() for statement in (transfer.telling(), transfer.VERSIONS)
    ]
    return orjson.dumps(told).decode()


def _counts(cx: apsw.Connection) -> dict[str, int]:
    counted: Any = cx.execute(transfer.counting()).fetchone()
    return dict(zip((table.name for table in TABLES), counted, strict=True))


def _held(cx: apsw.Connection, up_to_id: int) -> Held:
    held: Any = cx.execute(transfer.HELD.replace("$", "?"), (up_to_id,)).fetchone()
    return Held(*held)


def _page(cx: apsw.Connection, table: Table, after: Key | None) -> list[Row]:
    """At most PAGE_ROWS rows, with PAGE_CHARS of texts and one text more."""
    page: list[Row] = []
    chars = 0
    statement = transfer.paging(table, "?", "", after=after is not None)
    for row in cx.execute(statement, (*(after or ()), transfer.PAGE_ROWS)):
        page.append(_unpacked(table, row))
        chars += len(page[-1][-1] or "") if table is transfer.JOURNAL else 0
        if chars > transfer.PAGE_CHARS:
            break
    return page


def _unpacked(table: Table, row: Row) -> Row:
    return (*row[:-1], files.unpack(row[-1])) if table is transfer.JOURNAL else row


def _packed(table: Table, rows: Sequence[Row]) -> Sequence[Row]:
    """Texts stand last in the only table that has them."""
    if table is not transfer.JOURNAL:
        return rows
    compress = zstandard.ZstdCompressor(level=1).compress
    return [(*row[:-1], None if row[-1] is None else compress(row[-1].encode())) for row in rows]
