"""Whether contents are known, asked of Redis in batches and one command at a time."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis

from benchmarks.served.base import Round, Servers
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.queues.redis import RedisQueues
from codelupe_daemon.queues.redis_link import Key

WHAT = "dedup checks in Redis"
AGAINST = "one command at a time"
TARGET = 20.0

CHECKS = 400_000
SINGLY = 20_000
BATCH = 1000


def measure(servers: Servers) -> Round:
    return asyncio.run(_measure(servers.redis))


async def _measure(url: str) -> Round:
    hashes = [hashlib.blake2b(b"%d" % n, digest_size=16).digest() for n in range(CHECKS)]
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.db")
        await journal.open(create=True)
        queues = RedisQueues(journal, url)
        async with Redis.from_url(url) as client:
            await client.flushall()
            await queues.open()
            for first in range(0, CHECKS, 10_000):  # every other one is known
                await client.sadd(Key.KNOWN, *hashes[first : first + 10_000 : 2])
            batched = await _in_batches(queues, hashes)
            singly = await _one_at_a_time(client, hashes[:SINGLY])
        await queues.close()
        await journal.close()
    figures = {"checks_per_s": batched, "checks_one_at_a_time_per_s": singly}
    return Round(batched / singly, figures)


async def _in_batches(queues: RedisQueues, hashes: Sequence[bytes]) -> float:
    """Checks a second."""
    known, began = 0, time.perf_counter()
    for first in range(0, len(hashes), BATCH):
        known += sum(await queues.known(hashes[first : first + BATCH]))
    seconds = time.perf_counter() - began
    assert known == len(hashes) // 2
    return len(hashes) / seconds


async def _one_at_a_time(client: Redis, hashes: Sequence[bytes]) -> float:
    known, began = 0, time.perf_counter()
    for one in hashes:
        known += await client.sismember(Key.KNOWN, one)  # type: ignore[arg-type]  # bytes will do
    seconds = time.perf_counter() - began
    assert known == len(hashes) // 2
    return len(hashes) / seconds
