"""A real journal and a real Redis, with a second client to look at the keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis as Client

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.queues import redis as module
from codelupe_daemon.queues.redis import RedisQueues
from tests.contract.build import Ingest, repo


@pytest.fixture(autouse=True)
def quick_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEND_S", "REFILL_PAUSE_S", "PAUSE_MAX_S", "BACK_OFF_FIRST_S", "BACK_OFF_MAX_S"):
        monkeypatch.setattr(module, name, 0.1)
    monkeypatch.setattr(module, "LOCK_S", 1.0)


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
def keys(redis_url: str) -> Iterator[Client]:
    with looking(redis_url) as client:
        yield client


@pytest.fixture
async def queues(journal: Journal, redis_url: str) -> AsyncIterator[RedisQueues]:
    async with opened(journal, redis_url) as one:
        yield one


def looking(url: str) -> Client:
    """To be closed."""
    return Client.from_url(url, decode_responses=True, socket_timeout=10)


@asynccontextmanager
async def opened(
    journal: Journal, url: str, *, has_file_set: bool = True
) -> AsyncIterator[RedisQueues]:
    one = RedisQueues(journal, url, has_file_set=has_file_set)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


async def register(journal: Journal, count: int, owner: str = "owner") -> list[int]:
    """So many repositories that are due, in the order in which they are."""
    return [await journal.register(repo(f"{owner}/{number}")) for number in range(count)]


async def until(is_so: Callable[[], bool], limit_s: float = 20) -> None:
    """Wait for what the upkeep brings about."""
    give_up_at = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.02)
