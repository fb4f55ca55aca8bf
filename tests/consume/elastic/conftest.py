"""A journal, the consumer that follows it, and a client that looks at what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from elasticsearch import AsyncElasticsearch

from codelupe_daemon import elastic
from codelupe_daemon.consume import elasticsearch as consuming
from codelupe_daemon.consume import elasticsearch_index
from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consuming, "REFRESH_PAUSE_S", 0.0)
    monkeypatch.setattr(elasticsearch_index, "SEARCHES_END_S", 0.0)


@pytest.fixture
async def clusters(journal: Journal, tmp_path: Path) -> AsyncIterator[SqliteClusters]:
    opened = SqliteClusters(tmp_path / "codelupe.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def consumer(
    clusters: SqliteClusters, journal: Journal, elasticsearch_url: str
) -> AsyncIterator[ElasticsearchIndex]:
    opened = ElasticsearchIndex(clusters, journal, elasticsearch_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def es(elasticsearch_url: str) -> AsyncIterator[AsyncElasticsearch]:
    async with elastic.connect(elasticsearch_url) as client:
        yield client
