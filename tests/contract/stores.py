"""The stores that the contract holds for: a new one is one more entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.journal.postgres import PostgresJournal
from codelupe_daemon.journal.postgres_clusters import PostgresClusters
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import query

URL = "url"
"""The file of a place that names its database."""

Places = Callable[[], AbstractContextManager[Path]]
"""Makes a folder that stands for one empty store."""


def postgres(folder: Path) -> PostgresJournal:
    return PostgresJournal((folder / URL).read_text())


def postgres_clusters(folder: Path, journal: Journal) -> ClusterStore:
    assert isinstance(journal, PostgresJournal)
    return PostgresClusters(journal.server)


STORES: dict[str, Callable[[Path], Journal]] = {
    "sqlite": lambda folder: SqliteJournal(folder / "journal.db"),
    "postgres": postgres,
    "pgbouncer": postgres,
}
"""name -> the journal, not yet opened, of the store that a folder stands for."""

CLUSTERS: dict[str, Callable[[Path, Journal], ClusterStore]] = {
    "sqlite": lambda folder, _: SqliteClusters(folder / "journal.db"),
    "postgres": postgres_clusters,
    "pgbouncer": postgres_clusters,
}
"""The same for the clusters in the database of an open journal."""


def places(request: pytest.FixtureRequest, store: str) -> Places:
    """Where empty stores of this kind come from; starts the server they need."""
    if store == "sqlite":
        return _folder
    url: str = request.getfixturevalue("contract_database")
    if store == "postgres":
        return lambda: _database(url, url)
    bouncer: PgBouncer = request.getfixturevalue("pgbouncer_server")
    return lambda: _database(url, bouncer.through(url))


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def _database(url: str, way: str) -> Iterator[Path]:
    """One database for all, emptied each time: making one takes ten times as long."""
    query(url, "drop schema public cascade")
    query(url, "create schema public")
    with _folder() as folder:
        (folder / URL).write_text(way)
        yield folder
