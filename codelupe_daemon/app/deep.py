"""`verify --deep`: what consumers and Redis hold, compared with the journal content by content."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

import numpy as np

from codelupe_daemon.app.consuming import catch_up
from codelupe_daemon.app.stores import consumers, queues, redis_link
from codelupe_daemon.config import Settings
from codelupe_daemon.consume.runner import Consumer, Holding
from codelupe_daemon.errors import Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import LiveContent

PAGE_ROWS: Final = 2000
NAMED_MAX: Final = 20
"""Contents of one consumer that are named; the others are counted."""
TRIES: Final = 3
KEYS_WAIT_S: Final = 60.0
"""For the upkeep of the keys in Redis: what a process left that was killed takes half of it."""
KEYS_POLL_S: Final = 0.5
DUE_MAX: Final = 100_000


async def verify_deep(settings: Settings, store: Journal) -> tuple[dict[str, int], list[str]]:
    """What was counted, and what is wrong. Raises `Transient` while the journal keeps growing.

    First the consumers catch up: run here, unless another process runs them.
    """
    async with consumers(settings, store) as kept:
        for _ in range(TRIES):
            await catch_up(store, kept, settings.wait_s)
            last_id = await store.last_id()
            found = [await _compared(store, consumer, last_id) for consumer in kept]
            if await store.last_id() == last_id:
                break
        else:
            raise Transient("the store is being written to: verify it when nothing is recorded")
    checked = {f"contents in {one.name}": one.held for one in found if one is not None}
    problems = [problem for one in found if one is not None for problem in one.problems()]
    return checked, problems + await _in_redis(settings, store)


class _Found:
    """What one consumer holds, and what is wrong with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held = 0
        self._named: list[str] = []
        self._others: Counter[str] = Counter()

    def wrong(self, content_hash: bytes, problem: str) -> None:
        if len(self._named) < NAMED_MAX:
            self._named.append(f"{self.name}: {content_hash.hex()} {problem}")
        else:
            self._others[problem] += 1

    def problems(self) -> list[str]:
        more = [f"{self.name}: {n:,} more: {problem}" for problem, n in self._others.items()]
        return self._named + more


async def _compared(store: Journal, consumer: Consumer, last_id: int) -> _Found | None:
    """None for a consumer that keeps no list of contents. Takes a byte of memory a journal row."""
    pages = consumer.holdings()
    if pages is None:
        return None
    found, is_held = _Found(consumer.name), np.zeros(last_id + 1, bool)
    async for page in pages:
        hashes = [holding.content_hash for holding in page]
        rows = await store.live_by_hashes(hashes, content=False)
        live = {row.content_hash: row for row in rows if row.id <= last_id}
        found.held += len(page)
        is_held[[row.id for row in live.values()]] = True
        for holding in page:
            problem = _problem(holding, live.get(holding.content_hash))
            if problem is not None:
                found.wrong(holding.content_hash, problem)
    after = 0
    while rows := await store.live(after, PAGE_ROWS, content=False):
        after = rows[-1].id
        for row in rows:
            if row.id <= last_id and not is_held[row.id]:
                found.wrong(row.content_hash, "is missing")
    return found


def _problem(holding: Holding, row: LiveContent | None) -> str | None:
    if row is None:
        return "is held and is not live"
    if holding.newest_id is not None and holding.newest_id != row.newest_id:
        return "is not held as its newest journal row says"
    if holding.text_hash is not None and holding.text_hash != holding.content_hash:
        return "is held with another text"
    return None


async def _in_redis(settings: Settings, store: Journal) -> list[str]:
    """What is wrong with the lists and the set of repositories, once nothing is visited."""
    if settings.redis is None:
        return []
    loop = asyncio.get_running_loop()
    until = loop.time() + KEYS_WAIT_S
    async with queues(settings, store):  # their upkeep
        while True:
            problems = await _keys(settings, store)
            if not problems or loop.time() > until:
                return problems
            await asyncio.sleep(KEYS_POLL_S)


async def _keys(settings: Settings, store: Journal) -> list[str]:
    from codelupe_daemon.queues.redis_link import Key

    rows = await store.repositories()
    if any(row.state == "visiting" for row in rows):
        return []
    done = {row.id for row in rows if row.visited_at is not None and row.reason is None}
    due = set(await store.due(DUE_MAX))
    async with redis_link(settings) as link:
        listed = await link.ask(lambda redis: redis.lrange(Key.REPOS, 0, -1))
        noted = await link.ask(lambda redis: redis.smembers(Key.DONE))
        files = await link.ask(lambda redis: redis.llen(Key.FILES))
    problems = [f"{Key.FILES} has {files:,} elements, and nothing is visited"] if files else []
    if set(map(int, noted)) != done:
        problems.append(f"{Key.DONE} does not hold the {len(done):,} repositories that are done")
    if set(map(int, listed)) != due:
        problems.append(f"{Key.REPOS} does not list the {len(due):,} repositories that are due")
    return problems
