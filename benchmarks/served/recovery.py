"""A consumer a million rows behind: does it keep its rate to the end, in the same memory?"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import asyncpg
import psutil
from redis.asyncio import Redis

from benchmarks.served.base import Round, Servers
from codelupe_daemon.consume import runner
from codelupe_daemon.consume.redis_sets import RedisSets
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.postgres import PostgresJournal
from codelupe_daemon.journal.postgres_clusters import PostgresClusters

WHAT = "a consumer 1 million rows behind: its last quarter"
AGAINST = "its first quarter"
TARGET = 0.9

ROWS = 1_000_000
FILL = """
insert into repositories (full_name, location, is_local, license_rank, state)
values ('a/a', '/a', true, 1, 'done');
insert into journal
select n, 'add', substr(sha256(n::text::bytea), 1, 16), 900, 'Python', 80, '{}', null, null, 1,
       'src/' || n, null, null, null, null, null, null, '1', 0, repeat(md5(n::text), 28)
from generate_series(1, %(rows)s) n;
insert into contents select content_hash, id, id, 1, file_path from journal;
analyze journal; analyze contents
"""
POLL_S = 0.05


class _Sample(NamedTuple):
    at_s: float
    watermark: int
    memory_mb: float


def measure(servers: Servers) -> Round:
    return asyncio.run(_measure(servers.postgres(), servers.redis))


async def _measure(url: str, redis_url: str) -> Round:
    journal = PostgresJournal(url)
    await journal.open(create=True)
    await _fill(url)
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    consumer = RedisSets(PostgresClusters(journal.server), redis_url)
    await consumer.open()
    samples = await _followed(journal, consumer)
    await consumer.close()
    await journal.close()
    quarters = [_rate(samples, n * ROWS // 4, (n + 1) * ROWS // 4) for n in range(4)]
    memory_mb = [one.memory_mb for one in samples]
    figures = {f"quarter_{n}_rows_per_s": rate for n, rate in enumerate(quarters, 1)}
    figures |= {
        "memory_first_mb": memory_mb[len(memory_mb) // 10],
        "memory_most_mb": max(memory_mb),
    }
    return Round(quarters[3] / quarters[0], figures)


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(FILL % {"rows": ROWS}, timeout=600)
    await connection.close()


async def _followed(journal: PostgresJournal, consumer: RedisSets) -> list[_Sample]:
    control = runner.Control()
    control.drain()
    following = asyncio.create_task(
        runner.run(journal, consumer, owner=this_process(), control=control)
    )
    samples, process = [], psutil.Process()
    while not following.done():
        memory_mb = process.memory_info().rss / 1e6
        samples.append(_Sample(time.perf_counter(), await consumer.watermark(), memory_mb))
        await asyncio.sleep(POLL_S)
    outcome = await following
    assert outcome is runner.Outcome.CAUGHT_UP, outcome
    samples.append(_Sample(time.perf_counter(), await consumer.watermark(), 0))
    return samples


def _rate(samples: list[_Sample], first: int, last: int) -> float:
    """Rows a second between two watermarks."""
    begin = max((one for one in samples if one.watermark <= first), key=lambda one: one.at_s)
    end = min((one for one in samples if one.watermark >= last), key=lambda one: one.at_s)
    return (end.watermark - begin.watermark) / (end.at_s - begin.at_s)
