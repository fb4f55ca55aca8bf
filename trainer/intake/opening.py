"""The source that the settings and a word name, open while it is used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from codelupe_daemon.config import Settings
from codelupe_daemon.errors import UsageError
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.journal.sqlite_look import ReadOnlyJournal, is_writable
from trainer.intake.base import CONNECTIONS_MAX, Source


@asynccontextmanager
async def source(settings: Settings, kind: str) -> AsyncIterator[Source]:
    """`kind`: journal, elasticsearch, processed_files, or a file's path.

    Raises `UsageError` for another word, `Fatal` where it cannot be used.
    """
    opened = _source(settings, kind)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


def _source(settings: Settings, kind: str) -> Source:
    match kind.removeprefix("file:"):
        case "journal":
            from trainer.intake.journal import JournalSource

            return JournalSource(*_stores(settings))
        case "elasticsearch":
            from trainer.intake.elasticsearch import ElasticsearchSource

            if settings.elasticsearch is None:
                raise UsageError("no Elasticsearch is named: set CODELUPE_ELASTICSEARCH")
            journal, _ = _stores(settings)
            return ElasticsearchSource(settings.elasticsearch, settings.elasticsearch_ca, journal)
        case "processed_files":
            from trainer.intake.table import Postgres, Sqlite, TableSource

            if settings.is_served:
                return TableSource(Postgres(settings.store))
            return TableSource(Sqlite(settings.store_path))
        case path if Path(path).is_file():
            from trainer.intake.files import FileSource

            return FileSource(Path(path))
    raise UsageError(
        f"there is no source {kind!r}: name journal, elasticsearch, processed_files, or a file of"
        " JSON Lines or Parquet that is there"
    )


def _stores(settings: Settings) -> tuple[Journal, ClusterStore]:
    if settings.is_served:
        from codelupe_daemon.journal.postgres import PostgresJournal
        from codelupe_daemon.journal.postgres_clusters import PostgresClusters

        served = PostgresJournal(settings.store, connections_max=CONNECTIONS_MAX)
        return served, PostgresClusters(served.server)
    from codelupe_daemon.journal.sqlite import SqliteJournal
    from codelupe_daemon.journal.sqlite_clusters import SqliteClusters

    path = settings.store_path
    is_read_only = path.exists() and not is_writable(path)
    embedded = ReadOnlyJournal(path) if is_read_only else SqliteJournal(path)
    return embedded, SqliteClusters(path, is_read_only=is_read_only)
