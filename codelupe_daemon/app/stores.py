"""The journal and what goes with it, as the settings name them, open while they are used.

The only place that knows which setting means which kind of store. What talks to a server is
imported only where one is named.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal, Transient, UsageError
from codelupe_daemon.journal import training
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.journal.sqlite_look import ReadOnlyJournal, is_writable
from codelupe_daemon.queues.base import DatabaseQueues, Queues

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch

    from codelupe_daemon.consume.runner import Consumer
    from codelupe_daemon.consume.search_index import SearchIndex
    from codelupe_daemon.queues.redis_link import Link
    from codelupe_daemon.search.engine import Engine


class _Opened(Protocol):
    async def open(self) -> None: ...
    async def close(self) -> None: ...


T = TypeVar("T", bound=_Opened)
Opening = Callable[[], AbstractAsyncContextManager["Consumer"]]


@contextlib.asynccontextmanager
async def journal(
    settings: Settings, *, create: bool = False, to_look: bool = False
) -> AsyncIterator[Journal]:
    """The journal; without `create` it must exist, `to_look` it need not be writable.

    Raises `Fatal`.
    """
    for library in ("asyncpg", "elastic_transport", "pymongo", "redis"):
        logging.getLogger(library).addHandler(logging.NullHandler())  # errors are told by us
    store = _journal(settings, to_look=to_look)
    await store.open(create=create)
    try:
        yield store
    finally:
        await store.close()


def _journal(settings: Settings, *, to_look: bool) -> Journal:
    if settings.is_served:
        from codelupe_daemon.journal.postgres import PostgresJournal

        return PostgresJournal(settings.store)
    path = settings.store_path
    if path.is_dir():
        raise Fatal(f"{path} is a folder: name a file in it, such as --store {path}/codelupe.db")
    is_read_only = to_look and path.exists() and not is_writable(path)
    return ReadOnlyJournal(path) if is_read_only else SqliteJournal(path)


def queues(settings: Settings, store: Journal) -> AbstractAsyncContextManager[Queues]:
    """What daemons share beside the journal, which must be open."""
    return _open(_queues(settings, store), "redis")


async def frontier_state(settings: Settings) -> str:
    """What hands out due repositories, or why it does not; for people."""
    if settings.redis is None:
        return "database"
    try:
        async with redis_link(settings):
            return "redis"
    except Fatal as error:
        return f"database, because {error}"


def redis_link(settings: Settings) -> AbstractAsyncContextManager[Link]:
    """The Redis of these settings, which must name one."""
    from codelupe_daemon.queues.redis_link import Link

    assert settings.redis is not None
    return _open(Link(settings.redis), "redis")


async def rebuild_queues(settings: Settings, store: Journal) -> None:
    """Make the lists and sets in Redis anew. Raises `UsageError` where the settings name none."""
    from codelupe_daemon.queues.redis import RedisQueues

    shared = _queues(settings, store)
    if not isinstance(shared, RedisQueues):
        raise UsageError("no Redis is named: give --redis redis://HOST/NUMBER")
    async with _open(shared, "redis"):
        await shared.rebuild()


def _queues(settings: Settings, store: Journal) -> Queues:
    if settings.redis is None:
        return DatabaseQueues(store)
    from codelupe_daemon.queues.redis import RedisQueues

    return RedisQueues(store, settings.redis, has_file_set=settings.redis_file_set)


# -- consumers ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def consumers(settings: Settings, store: Journal) -> AsyncIterator[list[Consumer]]:
    """Every consumer of this store, open; the journal must be open.

    Raises `Fatal` where the server of one cannot be reached, or not be used.
    """
    async with contextlib.AsyncExitStack() as opened:
        openings = consumer_openings(settings, store)
        kept = [await opened.enter_async_context(one()) for one in openings.values()]
        for one in kept:
            with _needed(one.name):
                await one.check()
        yield kept


def consumer_openings(
    settings: Settings, store: Journal, *, to_look: bool = False
) -> dict[str, Opening]:
    """The consumers of this store by name, each to be opened."""
    found: dict[str, Opening] = {}
    if settings.elasticsearch is not None:
        found["elasticsearch"] = lambda: _elasticsearch(settings, store)
    elif settings.search_path.exists() or not to_look:
        found[search_name(settings)] = lambda: search_index(settings, is_read_only=to_look)
    found["near_duplicates"] = lambda: _near_duplicates(settings, store)
    if settings.redis is not None and settings.redis_file_set:
        found["redis"] = lambda: _redis(settings, store)
    if settings.mongo is not None:
        found["mongo"] = lambda: _mongo(settings, store)
    return found


def consumer_named(
    settings: Settings, store: Journal, name: str, *, to_look: bool = False
) -> Opening:
    """Raises `UsageError`. `search` is the embedded index, whatever machine's."""
    openings = consumer_openings(settings, store, to_look=to_look)
    full = search_name(settings) if name == "search" else name
    if full not in openings:
        raise UsageError(f"there is no consumer {name!r}; this store has: {', '.join(openings)}")
    return openings[full]


@contextlib.asynccontextmanager
async def engine(settings: Settings, store: Journal) -> AsyncIterator[Engine[Any]]:
    """What answers `search`."""
    if settings.elasticsearch is None:
        from codelupe_daemon.search.fts5 import Fts5

        yield Fts5(store, settings.search_path)
        return
    from codelupe_daemon.search.elasticsearch import ElasticsearchEngine

    async with elasticsearch(settings) as es:
        yield ElasticsearchEngine(store, es)


def engine_name(settings: Settings) -> str:
    """The same, for people."""
    if settings.elasticsearch is not None:
        return "elasticsearch"
    return "embedded index on this machine" if settings.is_served else "embedded index"


@contextlib.asynccontextmanager
async def elasticsearch(settings: Settings) -> AsyncIterator[AsyncElasticsearch]:
    """The server of these settings. Raises `UsageError` where they name none, and `Fatal`."""
    from codelupe_daemon import elastic

    if settings.elasticsearch is None:
        raise UsageError("no Elasticsearch is named: give --elasticsearch http://HOST:9200")
    es = elastic.connect(settings.elasticsearch, settings.elasticsearch_ca)
    try:
        with _needed("elasticsearch"):
            await elastic.check(es)
        yield es
    finally:
        await es.close()


def search_name(settings: Settings) -> str:
    """Of the embedded index, of which every machine of a served store has its own."""
    return f"search@{socket.gethostname()}" if settings.is_served else "search"


def search_index(
    settings: Settings, *, is_read_only: bool = False
) -> AbstractAsyncContextManager[SearchIndex]:
    from codelupe_daemon.consume.search_index import SearchIndex

    path = settings.search_path
    if not is_read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    return _open(SearchIndex(path, is_read_only=is_read_only, name=search_name(settings)))


def clusters(settings: Settings, store: Journal) -> AbstractAsyncContextManager[ClusterStore]:
    """Where near-duplicates are recorded; the journal must be open."""
    return _open(_clusters(settings, store))


def _clusters(settings: Settings, store: Journal) -> ClusterStore:
    if settings.is_served:
        from codelupe_daemon.journal.postgres import PostgresJournal
        from codelupe_daemon.journal.postgres_clusters import PostgresClusters

        assert isinstance(store, PostgresJournal)
        return PostgresClusters(store.server)
    path = settings.store_path
    return SqliteClusters(path, is_read_only=not is_writable(path))


def trainers_tables(settings: Settings, store: Journal) -> training.Place:
    """Where a trainer of this store keeps its tables, if there is one; the journal must be open."""
    if settings.is_served:
        from codelupe_daemon.journal.postgres import PostgresJournal

        assert isinstance(store, PostgresJournal)
        return store.server
    return training.beside(settings.store_path)


def _near_duplicates(settings: Settings, store: Journal) -> AbstractAsyncContextManager[Consumer]:
    from codelupe_daemon.consume.near_duplicates import NearDuplicates

    return _open(NearDuplicates(_clusters(settings, store), settings.near_duplicate_share))


def _redis(settings: Settings, store: Journal) -> AbstractAsyncContextManager[Consumer]:
    from codelupe_daemon.consume.redis_sets import RedisSets

    assert settings.redis is not None
    return _open(RedisSets(_clusters(settings, store), settings.redis), "redis")


@contextlib.asynccontextmanager
async def _elasticsearch(settings: Settings, store: Journal) -> AsyncIterator[Consumer]:
    from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex

    assert settings.elasticsearch is not None
    url, ca = settings.elasticsearch, settings.elasticsearch_ca
    async with (
        clusters(settings, store) as states,
        _open(ElasticsearchIndex(states, store, url, ca=ca), "elasticsearch") as consumer,
    ):
        yield consumer


@contextlib.asynccontextmanager
async def _mongo(settings: Settings, store: Journal) -> AsyncIterator[Consumer]:
    from codelupe_daemon.consume.mongo import Mongo

    assert settings.mongo is not None
    async with clusters(settings, store) as states:
        with _needed("mongo"):
            consumer = Mongo(states, store, settings.mongo)
        async with _open(consumer, "mongo") as opened:
            yield opened


@contextlib.asynccontextmanager
async def _open(one: T, setting: str = "store") -> AsyncIterator[T]:
    with _needed(setting):
        await one.open()
    try:
        yield one
    finally:
        await one.close()


@contextlib.contextmanager
def _needed(setting: str) -> Iterator[None]:
    """A server that is away when a command starts: told before any work is taken."""
    try:
        yield
    except Transient as error:
        raise Fatal(
            f"{error}: start it, or correct the setting {setting} (CODELUPE_{setting.upper()})"
        ) from error
