"""The journal and the search index that the settings name, opened for as long as they are used."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from codelupe_daemon.config import Settings
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from codelupe_daemon.consume.search_index import SearchIndex


@contextlib.asynccontextmanager
async def journal(settings: Settings, *, create: bool = False) -> AsyncIterator[Journal]:
    """The journal; without `create` it must exist. Raises `Fatal`."""
    store = SqliteJournal(settings.store_path)
    await store.open(create=create)
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def search_index(settings: Settings) -> AsyncIterator[SearchIndex]:
    from codelupe_daemon.consume.search_index import SearchIndex

    index = SearchIndex(settings.search_path)
    await index.open()
    try:
        yield index
    finally:
        await index.close()
