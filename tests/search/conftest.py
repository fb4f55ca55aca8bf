"""A journal, and each engine with the index that it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite import SqliteJournal
from tests.search.stores import ENGINES, Store


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = SqliteJournal(tmp_path / "codelupe.db")
    await opened.open(create=True)
    yield opened
    await opened.close()


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, journal: Journal) -> AsyncIterator[Store]:
    """Every test that asks for it runs once for each engine."""
    async with ENGINES[request.param](journal, request) as opened:
        yield opened
