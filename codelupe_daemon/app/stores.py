"""The journal and what is derived from it, as the settings name them, open while they are used."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.journal.sqlite_look import ReadOnlyJournal, is_writable

if TYPE_CHECKING:
    from codelupe_daemon.consume.runner import Consumer
    from codelupe_daemon.consume.search_index import SearchIndex


@contextlib.asynccontextmanager
async def journal(
    settings: Settings, *, create: bool = False, to_look: bool = False
) -> AsyncIterator[Journal]:
    """The journal; without `create` it must exist, `to_look` it need not be writable.

    Raises `Fatal`.
    """
    path = settings.store_path
    if path.is_dir():
        raise Fatal(f"{path} is a folder: name a file in it, such as --store {path}/codelupe.db")
    is_read_only = to_look and path.exists() and not is_writable(path)
    store = ReadOnlyJournal(path) if is_read_only else SqliteJournal(path)
    await store.open(create=create)
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def search_index(
    settings: Settings, *, is_read_only: bool = False
) -> AsyncIterator[SearchIndex]:
    from codelupe_daemon.consume.search_index import SearchIndex

    index = SearchIndex(settings.search_path, is_read_only=is_read_only)
    await index.open()
    try:
        yield index
    finally:
        await index.close()


@contextlib.asynccontextmanager
async def clusters(settings: Settings) -> AsyncIterator[ClusterStore]:
    """Where near-duplicates are recorded; the journal must be open."""
    path = settings.store_path
    store = SqliteClusters(path, is_read_only=not is_writable(path))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def consumers(settings: Settings) -> AsyncIterator[list[Consumer]]:
    """Every consumer of this store, open; the journal must be open."""
    from codelupe_daemon.consume.near_duplicates import NearDuplicates

    async with search_index(settings) as index, clusters(settings) as store:
        yield [index, NearDuplicates(store, settings.near_duplicate_share)]
