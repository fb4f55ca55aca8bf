"""`codelupe copy`: a whole store into another one, of whatever kind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from codelupe_daemon.app.stores import journal
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal, UsageError
from codelupe_daemon.journal import transfer
from codelupe_daemon.journal.sqlite_transfer import SqliteSource, SqliteTarget
from codelupe_daemon.journal.transfer import Copied, Source, Target


async def copy(from_: Settings, to: Settings, copied: Copied) -> dict[str, Any]:
    """The shape of `codelupe copy --json`. Raises `UsageError` and `Fatal`."""
    if from_.search_path == to.search_path:  # of one store there is one
        raise UsageError("--from and --to name the same store")
    if to.search_path.exists():
        raise Fatal(
            f"{to.search_path} is the search index of a store that was there before: delete it, or"
            " name another place with --to"
        )
    async with _source(from_) as source, _target(to) as target:
        rows = await transfer.copy(source, target, copied)
        return {"from": source.location, "to": target.location, "rows": rows}


@contextlib.asynccontextmanager
async def _source(settings: Settings) -> AsyncIterator[Source]:
    async with journal(settings, to_look=True) as store:
        if settings.is_served:
            from codelupe_daemon.journal.postgres import PostgresJournal
            from codelupe_daemon.journal.postgres_transfer import PostgresSource

            assert isinstance(store, PostgresJournal)
            yield PostgresSource(store.server)
        else:
            yield SqliteSource(settings.store_path)


@contextlib.asynccontextmanager
async def _target(settings: Settings) -> AsyncIterator[Target]:
    target = _new_target(settings)
    try:
        yield target
    finally:
        await target.close()


def _new_target(settings: Settings) -> Target:
    if settings.is_served:
        from codelupe_daemon.journal.postgres_transfer import PostgresTarget

        return PostgresTarget(settings.store)
    if settings.store_path.is_dir():
        raise Fatal(f"{settings.store_path} is a folder: name a file in it with --to")
    return SqliteTarget(settings.store_path)
