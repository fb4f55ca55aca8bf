"""One corpus in each kind of source."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codelupe_daemon.consume import elasticsearch as consuming
from codelupe_daemon.consume import elasticsearch_index
from tests.trainer.intake.build import (
    Corpus,
    InElasticsearch,
    InFile,
    InJournal,
    InPostgresTable,
    InSqliteTable,
)
from trainer.registry.base import Registry
from trainer.registry.sqlite import SqliteRegistry

FILES = {"file": "a.jsonl", "gzip": "a.jsonl.gz", "zstd": "a.jsonl.zst", "parquet": "a.parquet"}
GROWING = (
    "journal-sqlite", "journal-postgres", "elasticsearch", "table-sqlite", "table-postgres",
)  # fmt: skip
JOURNALS = ("journal-sqlite", "journal-postgres")


@pytest.fixture(params=(*GROWING, *FILES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consuming, "REFRESH_PAUSE_S", 0.0)
    monkeypatch.setattr(elasticsearch_index, "SEARCHES_END_S", 0.0)


@pytest.fixture
async def corpus(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> AsyncIterator[Corpus]:
    """Empty; the test opens its source once it is filled."""
    made = await _corpus(request, kind, tmp_path)
    yield made
    await made.source.close()
    await made.close()


async def _corpus(request: pytest.FixtureRequest, kind: str, folder: Path) -> Corpus:
    match kind:
        case "journal-sqlite":
            return await InJournal.sqlite(folder)
        case "journal-postgres":
            return await InJournal.postgres(request.getfixturevalue("postgres_url"))
        case "elasticsearch":
            url = request.getfixturevalue("elasticsearch_url")
            return await InElasticsearch.following(folder, url)
        case "table-sqlite":
            return InSqliteTable(folder)
        case "table-postgres":
            return await InPostgresTable.made(request.getfixturevalue("postgres_url"))
        case _:
            return InFile(folder / FILES[kind])


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    opened = SqliteRegistry(tmp_path / "training.db")
    await opened.open()
    yield opened
    await opened.close()
