"""The registry that the settings name, open while it is used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.training import beside
from trainer.registry.base import Registry


@asynccontextmanager
async def registry(settings: Settings, *, create: bool = True) -> AsyncIterator[Registry]:
    """In the journal's database where that is a server, else in a file beside the store.

    Raises `Fatal`, without `create` also where neither that file nor the store is there.
    """
    path = settings.store_path
    if not (create or settings.is_served or path.exists() or beside(path).exists()):
        raise Fatal(f"there is no store at {path}, and no trainer's tables beside it: see --store")
    opened = _registry(settings)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


def _registry(settings: Settings) -> Registry:
    if settings.is_served:
        from trainer.registry.postgres import PostgresRegistry

        return PostgresRegistry(settings.store)
    from trainer.registry.sqlite import SqliteRegistry

    return SqliteRegistry(beside(settings.store_path))
