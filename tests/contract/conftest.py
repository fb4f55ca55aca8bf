"""Every test that asks for `journal` or `ingest` runs once for each store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codelupe_daemon.journal.base import Journal
from tests.contract.build import Ingest
from tests.contract.stores import STORES


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def journal(store: str, tmp_path: Path) -> AsyncIterator[Journal]:
    """An open, empty journal; whatever the test did to it, `verify` finds nothing wrong."""
    opened = STORES[store](tmp_path)
    await opened.open(create=True)
    yield opened
    _, problems = await opened.verify()
    await opened.close()
    assert problems == []


@pytest.fixture
def ingest(journal: Journal) -> Ingest:
    return Ingest(journal)
