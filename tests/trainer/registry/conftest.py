"""Every test that asks for `registry` runs once for each store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.contract.conftest import contract_database, new_place, place
from tests.contract.stores import URL
from trainer.registry.base import Registry
from trainer.registry.postgres import PostgresRegistry
from trainer.registry.sqlite import SqliteRegistry

__all__ = ["contract_database", "new_place", "place"]

FILE = "journal-trainer.db"


def postgres(folder: Path) -> Registry:
    return PostgresRegistry((folder / URL).read_text())


STORES: dict[str, Callable[[Path], Registry]] = {
    "sqlite": lambda folder: SqliteRegistry(folder / FILE),
    "postgres": postgres,
    "pgbouncer": postgres,
}
"""name -> the registry, not yet opened, of the store that a folder stands for."""


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def another(store: str, place: Path) -> Callable[[], Registry]:
    """Another process' registry of the same store."""
    return lambda: STORES[store](place)


@pytest.fixture
async def registry(another: Callable[[], Registry]) -> AsyncIterator[Registry]:
    """An open, empty one."""
    opened = another()
    await opened.open()
    yield opened
    await opened.close()
