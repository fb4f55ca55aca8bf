"""A real journal, and the real index beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codelupe_daemon.consume.search_index import SearchIndex
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite import SqliteJournal
from tests.contract.build import Ingest


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = SqliteJournal(tmp_path / "codelupe.db")
    await opened.open(create=True)
    yield opened
    await opened.close()


@pytest.fixture
def ingest(journal: Journal) -> Ingest:
    return Ingest(journal)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[SearchIndex]:
    opened = SearchIndex(tmp_path / "codelupe-search.db")
    await opened.open()
    yield opened
    await opened.close()
