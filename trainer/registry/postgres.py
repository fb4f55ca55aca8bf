"""The registry of a served store: tables beside the journal's, in its schema."""

from __future__ import annotations

from typing import Final, TypeVar

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.postgres_server import SETTING, Connection, Server
from codelupe_daemon.journal.sql import migrations
from trainer.registry.steps import Each, Steps
from trainer.registry.tables import PACKAGE, TableRegistry, statements

SQL: Final = statements("postgres")
CONNECTIONS_MAX: Final = 3  # a write, the lease, somebody who looks
T = TypeVar("T")


class PostgresRegistry(TableRegistry):
    """See `Registry`. Nothing is kept in a session: it also works through a bouncer."""

    def __init__(self, url: str) -> None:
        self._server = Server(url, connections_max=CONNECTIONS_MAX)
        self.location = self._server.location

    async def open(self) -> None:
        await self._server.open()
        try:
            await self._upgrade()
        except BaseException:
            await self._server.close()
            raise

    async def close(self) -> None:
        await self._server.close()

    async def _upgrade(self) -> None:
        """Whoever may only read finds a schema of this version, or is told to have it made."""
        known = migrations("postgres", package=PACKAGE)
        async with self._server.transaction(readonly=True) as cx:
            if await _version(cx) == len(known):
                return
        async with self._server.transaction() as cx:
            await cx.execute("select pg_advisory_xact_lock(19276114466)")
            version = await _version(cx)
            if version > len(known):
                raise Fatal(
                    f"{self.location} was written by a newer trainer (schema {version}, this one"
                    f" knows {len(known)}): update CodeLupe, or name another store with {SETTING}"
                )
            for number, step in enumerate(known[version:], start=version + 1):
                await cx.execute(step)
                await cx.execute("insert into training_schema (version) values ($1)", number)

    async def _read(self, work: Steps[T]) -> T:
        async with self._server.transaction(isolation="repeatable_read", readonly=True) as cx:
            return await _run(cx, work)

    async def _write(self, work: Steps[T]) -> T:
        async with self._server.transaction() as cx:
            await cx.execute(SQL["limits"])
            return await _run(cx, work)


async def _version(cx: Connection) -> int:
    """Of the schema; 0 where there is none yet."""
    if not await cx.fetchval(SQL["has_schema"]):
        return 0
    version: int = await cx.fetchval("select coalesce(max(version), 0) from training_schema")
    return version


async def _run(cx: Connection, work: Steps[T]) -> T:
    """Run the statements, and answer what they come to."""
    try:
        asked = next(work)
        while True:
            if isinstance(asked, Each):
                await cx.executemany(SQL[asked.name], asked.rows)
                asked = work.send([])
            else:
                found = await cx.fetch(SQL[asked.name], *asked.bound)
                asked = work.send(list(map(tuple, found)))
    except StopIteration as ended:
        result: T = ended.value
        return result
