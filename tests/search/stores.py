"""A journal with an index, and the engine that asks it: a new engine is one more entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.consume.runner import Consumer
from codelupe_daemon.consume.search_index import SearchIndex
from codelupe_daemon.elastic import connect
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import Part
from codelupe_daemon.search.elasticsearch import ElasticsearchEngine
from codelupe_daemon.search.engine import Engine, Results
from codelupe_daemon.search.fts5 import Fts5
from tests.consume.following import catch_up
from tests.contract.build import COMMIT, EXAMINER, Ingest, content, occurrence


class Store:
    """A journal with an index, and the engine that asks it."""

    def __init__(self, journal: Journal, index: Consumer, engine: Engine[Any]) -> None:
        self.journal, self.index, self.engine = journal, index, engine
        self.ingest = Ingest(journal)

    async def follow(self) -> None:
        await catch_up(self.journal, self.index)

    async def search(self, query: str, **options: str | float) -> Results:
        return await self.engine.search(query, **options)  # type: ignore[arg-type] # each is right

    async def paths(self, query: str, **options: str | float) -> list[str]:
        return [hit.path for hit in (await self.search(query, **options)).hits]

    async def put(self, name: str, scored: dict[str, tuple[str, str, float]]) -> None:
        """path -> (text, language, score)"""
        visit = await self.ingest.begin(name)
        made = [
            content(self.journal, source, language=language, score=score)
            for source, language, score in scored.values()
        ]
        listed = [
            occurrence(path, source, language=language)
            for path, (source, language, _) in scored.items()
        ]
        contents = {one.key: one for one in made}
        await self.journal.append([Part(visit, COMMIT, EXAMINER, listed, contents)])
        await self.journal.release(visit, "incomplete", None)


@asynccontextmanager
async def fts5(journal: Journal, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    path = request.getfixturevalue("tmp_path") / "codelupe-search.db"
    index = SearchIndex(path)
    await index.open()
    yield Store(journal, index, Fts5(journal, path))
    await index.close()


@asynccontextmanager
async def elasticsearch(journal: Journal, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    url = request.getfixturevalue("elasticsearch_url")
    clusters = SqliteClusters(request.getfixturevalue("tmp_path") / "codelupe.db")
    await clusters.open()
    index = ElasticsearchIndex(clusters, journal, url)
    await index.open()
    async with connect(url) as es:
        yield Store(journal, index, ElasticsearchEngine(journal, es))
    await index.close()
    await clusters.close()


ENGINES: dict[str, Callable[..., AbstractAsyncContextManager[Store]]] = {
    "fts5": fts5,
    "elasticsearch": elasticsearch,
}
