"""Consumers beside a daemon: outages are waited for and told, whatever else is not survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from codelupe_daemon.app.consuming import Manner, _consuming, for_ever
from codelupe_daemon.consume.runner import Lease
from codelupe_daemon.consume.search_index import SearchIndex
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.model import Entry

ELSEWHERE = "host:boot:1:2"
ROWS = 8
"""In the store that the tests copy."""


class Index(SearchIndex):
    """Fails before it takes rows, as it is told."""

    failures: Sequence[Exception] = ()

    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
        if self.failures:
            first, *self.failures = self.failures
            raise first
        await super().apply(entries, lease)


@pytest.fixture
async def journal(copy: Path) -> AsyncIterator[SqliteJournal]:
    opened = SqliteJournal(copy)
    await opened.open(create=False)
    yield opened
    await opened.close()


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    opened = Index(tmp_path / "own-search.db")
    await opened.open()
    yield opened
    await opened.close()


async def test_an_outage_is_waited_for_and_told(journal: SqliteJournal, index: Index) -> None:
    heard: list[tuple[str, str | None]] = []

    def told(consumer: str, error: Transient | None) -> None:
        heard.append((consumer, str(error) if error else None))

    index.failures = [Transient("away"), Transient("still away")]
    async with _consuming(journal, [index], for_ever(told, pytest.fail)) as going:
        await going.caught_up(30)
    assert heard[:3] == [("search", "away"), ("search", "still away"), ("search", None)]
    assert await index.watermark() == ROWS


async def test_what_cannot_go_on_is_told_at_once_and_raised_at_the_end(
    journal: SqliteJournal, index: Index
) -> None:
    index.failures = [Fatal("damaged")]
    ended = asyncio.Event()
    with pytest.raises(Fatal, match="damaged"):
        async with _consuming(journal, [index], Manner(on_end=ended.set)):
            await ended.wait()


async def test_a_consumer_is_taken_over_when_its_runner_lets_go(
    journal: SqliteJournal, index: Index
) -> None:
    lease = await index.claim(ELSEWHERE, 60)
    assert lease is not None
    async with _consuming(journal, [index], Manner(held_poll_s=0)) as going:
        await journal.last_id()
        assert await index.watermark() == 0
        await index.release(lease)
        await going.caught_up(30)
    assert await index.watermark() == ROWS


async def test_who_waits_for_another_process_says_so(journal: SqliteJournal, index: Index) -> None:
    assert await index.claim(ELSEWHERE, 60) is not None
    with pytest.raises(Transient, match=f"another process holds search, which is {ROWS} rows"):
        async with _consuming(journal, [index], Manner()) as going:
            await going.caught_up(0.1)
