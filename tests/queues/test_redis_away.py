"""A Redis that stops, hangs, is full or is emptied costs time and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from redis import Redis as Client

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.queues.redis import RedisQueues
from codelupe_daemon.queues.redis_link import Key
from tests.contract.build import ELSEWHERE, Ingest, hash_of, text
from tests.queues.conftest import looking, opened, register, until
from tests.servers.fixtures import had
from tests.servers.redis import Redis

LEASE_S = 60.0
HASH = hash_of("a")


@pytest.fixture
def server() -> Iterator[Redis]:
    """One that the test may stop."""
    with had(Redis) as started:
        yield started


async def claimed(queues: RedisQueues) -> int:
    found = await queues.claim(ELSEWHERE, LEASE_S, 10.0)
    assert found is not None
    return found[0].id


async def test_while_it_is_away_the_database_answers(journal: Journal, server: Redis) -> None:
    ids = await register(journal, 3)
    async with opened(journal, server.url) as queues:
        assert await claimed(queues) == ids[0]
        assert queues.state == "redis"
        server.kill()
        assert await claimed(queues) == ids[1]
        assert queues.state.startswith(f"database, because Redis at {server.url}: ")
        assert "111" in queues.state
        assert await queues.known([HASH, HASH]) == [False, False]
        await queues.listed("ada/lib", ["a", "b"])
        await queues.visited(ids[0], is_done=True)
        server.start()
        await until(lambda: queues.state == "redis")
        with looking(server.url) as keys:
            await until(lambda: keys.lrange(Key.REPOS, 0, -1) == [str(ids[2])])
            await queues.listed("ada/lib", ["c", "d", "e"])
            assert keys.llen(Key.FILES) == 3
            await queues.recorded(4)
            assert keys.llen(Key.FILES) == 1
        assert await claimed(queues) == ids[2]


async def test_one_that_hangs_is_given_up_and_taken_up_again(
    journal: Journal, server: Redis
) -> None:
    ids = await register(journal, 2)
    async with opened(journal, server.url) as queues:
        server.pause()
        assert await queues.known([HASH]) == [False]
        assert "did not answer in time" in queues.state
        assert await claimed(queues) == ids[0]
        server.go_on()
        await until(lambda: queues.state == "redis")
        assert await claimed(queues) == ids[1]


async def test_a_daemon_ends_also_while_it_hangs(journal: Journal, server: Redis) -> None:
    async with asyncio.timeout(30), opened(journal, server.url) as queues:
        waiting = asyncio.create_task(queues.claim(ELSEWHERE, LEASE_S, 60.0))
        await asyncio.sleep(0.1)
        server.pause()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    server.go_on()


async def test_claims_that_are_cancelled_again_and_again_lose_no_repository(
    journal: Journal, server: Redis
) -> None:
    async with opened(journal, server.url) as queues:
        for delay_ms in range(40):
            waiting = asyncio.create_task(queues.claim(ELSEWHERE, LEASE_S, 60.0))
            await asyncio.sleep(delay_ms / 1000)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        [repo_id] = await register(journal, 1)
        assert await claimed(queues) == repo_id


@pytest.mark.parametrize("key", [Key.REPOS, Key.DONE, Key.FILES, Key.OUTSTANDING])
async def test_a_key_that_another_program_makes_its_own_is_a_state(
    journal: Journal, server: Redis, key: Key
) -> None:
    ids = await register(journal, 2)
    async with opened(journal, server.url) as queues:
        with looking(server.url) as keys:
            keys.unlink(key)
            keys.set(key, "mine")
            await queues.listed("ada/lib", ["a"])
            await queues.visited(1, is_done=True)
            assert await claimed(queues) == ids[0]
            await until(lambda: "wrong kind of value" in queues.state)
            keys.unlink(key)
        await until(lambda: queues.state == "redis")
        assert await claimed(queues) == ids[1]


def fill(keys: Client) -> None:
    """Until the server refuses or drops something, with values that nobody else has."""
    for number in range(200):
        keys.set(f"filler:{number}", bytes(100_000))


async def test_a_full_one_is_a_state(journal: Journal) -> None:
    ids = await register(journal, 1)
    with had(lambda: Redis(["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"])) as server:
        async with opened(journal, server.url) as queues:
            with looking(server.url) as keys, pytest.raises(Exception, match="maxmemory"):
                fill(keys)
            await until(lambda: "maxmemory" in queues.state)
            assert await claimed(queues) == ids[0]
        async with opened(journal, server.url) as queues:  # it may pass: no reason not to begin
            await until(lambda: "maxmemory" in queues.state)


async def test_one_that_drops_keys_is_told_and_loses_nothing(
    journal: Journal, ingest: Ingest
) -> None:
    options = ["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random"]
    await ingest.complete("ada/done", {"a.py": text("a")})
    done = (await journal.repositories())[0].id
    ids = await register(journal, 20)
    with had(lambda: Redis(options)) as server:
        async with opened(journal, server.url) as queues:
            assert queues.state == "redis, which may drop keys (maxmemory-policy allkeys-random)"
            with looking(server.url) as keys:
                found = []
                for _ in ids:
                    await queues.listed("ada/lib", ["a", "b"])
                    fill(keys)
                    found.append(await claimed(queues))
                    await queues.recorded(2)
                assert sorted(found) == ids
                assert keys.info()["evicted_keys"] > 1000
                keys.flushall()
                await until(lambda: keys.smembers(Key.DONE) == {str(done)})
