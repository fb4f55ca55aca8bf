"""Served stores as the source and as the target of a copy."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import orjson

from codelupe_daemon.journal import pgcopy, transfer
from codelupe_daemon.journal.owner import is_held, this_process
from codelupe_daemon.journal.postgres import regular_expression
from codelupe_daemon.journal.postgres_server import Connection, Server
from codelupe_daemon.journal.sql import queries
from codelupe_daemon.journal.transfer import (
    JOURNAL,
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
from codelupe_daemon.spdx import license_class

SQL: Final = queries("postgres", "transfer.sql")
_BYTES: Final = ' collate "C"'
_ENCODERS: Final[Mapping[str, pgcopy.Encode]] = {
    "bool": pgcopy.boolean,
    "int4": pgcopy.int4,
    "int8": pgcopy.int8,
    "float8": pgcopy.float8,
    "blob": pgcopy.blob,
    "text": pgcopy.text,
    "content": lambda text: pgcopy.blob(text.encode()),
}


class _Derived(NamedTuple):
    """A column that only this kind of store has: what it is made from, and how."""

    name: str
    encode: pgcopy.Encode
    origin: str
    make: Callable[[Any], Any]


_DERIVED: Final[Mapping[str, _Derived]] = {
    "repositories": _Derived("license_rank", pgcopy.int2, "license", license_class),
    "occurrences": _Derived(
        "license_rank", pgcopy.int2, "license", lambda one: license_class(one) if one else None
    ),
    "takedowns": _Derived(
        "expression", pgcopy.text, "pattern", lambda one: one and regular_expression(one)
    ),
}


class PostgresSource(Source):
    """`server` is an open journal's."""

    def __init__(self, server: Server) -> None:
        self.location = server.location
        self._server = server

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self._server.transaction(isolation="repeatable_read", readonly=True) as cx:
            yield _PostgresSnapshot(cx)


class _PostgresSnapshot(Snapshot):
    def __init__(self, cx: Connection) -> None:
        self._cx = cx

    async def state(self) -> State:
        told = [
            [list(row) for row in await self._cx.fetch(statement)]
            for statement in (transfer.telling(), transfer.VERSIONS)
        ]
        return orjson.dumps(told, default=str).decode()

    async def owners(self) -> list[str]:
        leases = await self._cx.fetch(SQL["leases"])
        return sorted({owner for owner, until in leases if is_held(owner, until)})

    async def page(self, table: Table, after: Key | None) -> list[Row]:
        limit = transfer.PAGE_ROWS
        if table is JOURNAL:
            bounds = (after[0] if after else 0, transfer.PAGE_ROWS, transfer.PAGE_CHARS)
            limit = await self._cx.fetchval(SQL["page_rows"], *bounds)
        statement = transfer.paging(table, "$", _BYTES, after=after is not None)
        return list(map(tuple, await self._cx.fetch(statement, *(after or ()), limit)))

    async def held(self, up_to_id: int) -> Held:
        return await _held(self._cx, up_to_id)

    async def counts(self) -> dict[str, int]:
        return await _counts(self._cx)


class PostgresTarget(Target):
    def __init__(self, url: str) -> None:
        self._server = Server(url)
        self.location = self._server.location

    async def claim(self, source: str) -> None:
        await self._server.open()
        await self._server.check_writable()
        if await self._server.schema() is None:
            raise transfer.unfit(self.location)
        await self._server.migrate()
        async with self._server.transaction() as cx:
            await cx.execute(SQL["lock"])
            if await cx.fetchval(SQL["is_copying"]) is None:
                if any((await _counts(cx)).values()):
                    raise transfer.unfit(self.location)
                await cx.execute(SQL["make_marker"])
                await cx.execute("insert into codelupe_copying (source) values ($1)", source)
            await self._take_over(cx, source)

    async def _take_over(self, cx: Connection, source: str) -> None:
        [marker] = await cx.fetch("select source, owner, until from codelupe_copying")
        if marker["source"] != source:
            raise transfer.unfit(self.location)
        if is_held(marker["owner"], marker["until"]):
            raise transfer.taken_over(self.location)
        await cx.execute(
            "update codelupe_copying set owner = $1, until = $2",
            this_process(), time.time() + LEASE_S,
        )  # fmt: skip

    async def state(self) -> State | None:
        found: State | None = await self._server.value("select state from codelupe_copying")
        return found

    async def begin(self, state: State, *, journal: bool) -> None:
        emptied = [table.name for table in TABLES if journal or table is not JOURNAL]
        async with self._writing() as cx:
            await cx.execute(f"truncate {', '.join(emptied)}")
            await cx.execute("update codelupe_copying set state = $1", state)

    async def highest(self, table: Table) -> Key | None:
        found = await self._server.rows(transfer.highest(table, _BYTES))
        return found[0] if found else None

    async def put(self, table: Table, rows: Sequence[Row]) -> None:
        names = list(table.columns)
        encoders = [_ENCODERS[kind] for kind in table.columns.values()]
        derived = _DERIVED.get(table.name)
        if derived is not None:
            at = names.index(derived.origin)
            rows = [(*row, derived.make(row[at])) for row in rows]
            encoders.append(derived.encode)
        columns = names if derived is None else [*names, derived.name]
        async with self._writing() as cx:
            await cx.copy_to_table(
                table.name, source=pgcopy.rows(encoders, rows), columns=columns, format="binary"
            )
            if table.name == "repositories":  # a trigger has put the time of the copy there
                pairs = [[row[names.index(name)] for row in rows] for name in ("id", "changed_at")]
                await cx.execute(SQL["date_repositories"], *pairs)

    async def held(self, up_to_id: int) -> Held:
        async with self._server.transaction(readonly=True) as cx:
            return await _held(cx, up_to_id)

    async def counts(self) -> dict[str, int]:
        async with self._server.transaction(readonly=True) as cx:
            return await _counts(cx)

    async def finish(self) -> None:
        async with self._writing() as cx:
            for statement in SQL["finish"].split(";"):
                await cx.execute(statement)

    async def close(self) -> None:
        await self._server.close()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Connection]:
        """A transaction that only who holds the marker may make."""
        async with self._server.transaction() as cx:
            until = time.time() + LEASE_S
            done = await cx.execute(
                "update codelupe_copying set until = $1 where owner = $2", until, this_process()
            )
            if done != "UPDATE 1":
                raise transfer.taken_over(self.location)
            yield cx


async def _counts(cx: Connection) -> dict[str, int]:
    counted = await cx.fetchrow(transfer.counting())
    assert counted is not None
    return dict(zip((table.name for table in TABLES), counted, strict=True))


async def _held(cx: Connection, up_to_id: int) -> Held:
    held = await cx.fetchrow(transfer.HELD, up_to_id)
    assert held is not None
    return Held(*held)
