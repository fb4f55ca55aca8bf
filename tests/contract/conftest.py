"""Every test that asks for `journal` or `ingest` runs once for each store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from codelupe_daemon.journal.base import Journal
from tests.contract.build import Ingest
from tests.contract.stores import STORES, Places, places
from tests.servers.fixtures import url_of
from tests.servers.postgres import fresh_database


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def contract_database(request: pytest.FixtureRequest) -> Iterator[str]:
    with fresh_database(url_of(request, "postgres")) as url:
        yield url


@pytest.fixture
def new_place(request: pytest.FixtureRequest, store: str) -> Places:
    return places(request, store)


@pytest.fixture
def place(new_place: Places) -> Iterator[Path]:
    """The folder that stands for this test's empty store."""
    with new_place() as folder:
        yield folder


@pytest.fixture
async def journal(store: str, place: Path) -> AsyncIterator[Journal]:
    """An open, empty journal; whatever the test did to it, `verify` finds nothing wrong."""
    opened = STORES[store](place)
    await opened.open(create=True)
    yield opened
    _, problems = await opened.verify()
    await opened.close()
    assert problems == []


@pytest.fixture
def ingest(journal: Journal) -> Ingest:
    return Ingest(journal)
