"""The set in Redis is what is live in the journal, whatever happens to either of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis as Client

from codelupe_daemon.consume import redis_sets as module
from codelupe_daemon.consume.redis_sets import RedisSets
from codelupe_daemon.consume.runner import Control, LeaseLost, Outcome, run
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import Op
from codelupe_daemon.queues.redis_link import Key
from tests.consume.following import catch_up
from tests.contract.build import ELSEWHERE, LEASE_S, Ingest, all_live, hash_of, text
from tests.servers.fixtures import had
from tests.servers.redis import Redis

KNOWN, STATE = Key.KNOWN, Key.KNOWN_STATE
LOSSES = {
    "flushall": lambda keys: keys.flushall(),
    "set": lambda keys: keys.unlink(KNOWN),
    "state": lambda keys: keys.unlink(STATE),
    "member": lambda keys: keys.spop(KNOWN),
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_FIRST_S", 0.01)
    monkeypatch.setattr(module, "PAUSE_MAX_S", 0.05)


@pytest.fixture
def keys(redis_url: str) -> Iterator[Client]:
    with Client.from_url(redis_url, socket_timeout=10) as client:
        yield client


@asynccontextmanager
async def opened(tmp_path: Path, url: str) -> AsyncIterator[RedisSets]:
    one = RedisSets(SqliteClusters(tmp_path / "codelupe.db"), url)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture
async def sets(journal: Journal, tmp_path: Path, redis_url: str) -> AsyncIterator[RedisSets]:
    async with opened(tmp_path, redis_url) as one:
        yield one


async def live(journal: Journal) -> set[bytes]:
    return {one.content_hash for one in await all_live(journal)}


async def follow(journal: Journal, sets: RedisSets) -> None:
    """As a daemon does: whatever a run ends with, the next one begins."""
    for _ in range(20):
        if await catch_up(journal, sets) is Outcome.CAUGHT_UP:
            return
    raise AssertionError("never caught up")


async def test_the_set_follows_adds_moves_and_removals(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client
) -> None:
    assert await sets.watermark() == 0
    await ingest.complete("ada/lib", {name: text(name) for name in ("a", "b", "c", "d")})
    await ingest.complete("eve/lib", {"a": text("a"), "e": text("e")})
    assert await catch_up(journal, sets) is Outcome.CAUGHT_UP
    assert keys.smembers(KNOWN) == {hash_of(text(name)) for name in "abcde"}
    await ingest.complete("ada/lib", {"b": text("b"), "f": text("f")})
    await journal.forget_content(hash_of(text("e")))
    assert await catch_up(journal, sets) is Outcome.CAUGHT_UP
    assert keys.smembers(KNOWN) == {hash_of(text(name)) for name in "abf"} == await live(journal)
    assert {op for op, _ in await ingest.ops()} == {Op.ADD, Op.MOVE, Op.REMOVE}
    assert await sets.watermark() == await journal.last_id()
    assert keys.scard(KNOWN) == int(keys.hget(STATE, "count") or 0) == 3


async def test_what_comes_and_goes_in_one_page(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client
) -> None:
    for names in ("ab", "b", "abc", "a", "c"):
        await ingest.complete("ada/lib", {name: text(name) for name in names})
    lease = await sets.claim(ELSEWHERE, LEASE_S)
    assert lease is not None
    await sets.apply(await journal.read(0, 100), lease)
    assert keys.smembers(KNOWN) == {hash_of(text("c"))}


async def test_a_page_that_comes_again_changes_nothing(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client
) -> None:
    await ingest.complete("ada/lib", {"a": text("a"), "b": text("b")})
    first = await journal.read(0, 100)
    await ingest.complete("ada/lib", {"b": text("b"), "c": text("c")})
    lease = await sets.claim(ELSEWHERE, LEASE_S)
    assert lease is not None
    await sets.apply(first, lease)
    rest = await journal.read(first[-1].id, 100)
    await sets.apply(rest, lease)
    await sets.apply(rest, lease)
    await sets.apply(first, lease)
    assert keys.smembers(KNOWN) == await live(journal)
    assert await sets.watermark() == await journal.last_id()


@pytest.mark.parametrize("loss", sorted(LOSSES))
async def test_what_was_lost_between_two_runs_is_filled_again(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client, loss: str
) -> None:
    await ingest.complete("ada/lib", {name: text(name) for name in "abcd"})
    await follow(journal, sets)
    LOSSES[loss](keys)
    assert await sets.watermark() == 0
    await ingest.complete("ada/lib", {name: text(name) for name in "bcde"})
    await follow(journal, sets)
    assert keys.smembers(KNOWN) == await live(journal)
    assert await sets.watermark() == await journal.last_id()


@pytest.mark.parametrize("loss", sorted(LOSSES))
async def test_what_is_lost_under_a_runner_is_noticed_without_new_rows(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client, loss: str
) -> None:
    await ingest.complete("ada/lib", {name: text(name) for name in "abcd"})
    control = Control()
    running = asyncio.create_task(run(journal, sets, owner=ELSEWHERE, control=control, poll_s=0.01))
    async with asyncio.timeout(20):
        while keys.smembers(KNOWN) != await live(journal):  # noqa: ASYNC110 - another process' keys
            await asyncio.sleep(0.01)
        LOSSES[loss](keys)
        assert await running is Outcome.LEASE_LOST
    await follow(journal, sets)
    assert keys.smembers(KNOWN) == await live(journal)


@pytest.mark.parametrize("loss", sorted(LOSSES))
async def test_what_is_lost_between_two_pages_is_filled_again(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client, loss: str
) -> None:
    await ingest.complete("ada/lib", {name: text(name) for name in "abcd"})
    lease = await sets.claim(ELSEWHERE, LEASE_S)
    assert lease is not None
    page, rest = await journal.read(0, 2), await journal.read(2, 2)
    await sets.apply(page, lease)
    LOSSES[loss](keys)
    with pytest.raises(LeaseLost, match="emptied"):
        await sets.apply(rest, lease)
    await sets.release(lease)
    await follow(journal, sets)
    assert keys.smembers(KNOWN) == await live(journal)


async def test_a_runner_that_was_overtaken_writes_nothing(
    journal: Journal, ingest: Ingest, sets: RedisSets, tmp_path: Path, redis_url: str, keys: Client
) -> None:
    await ingest.complete("ada/lib", {"a": text("a"), "b": text("b")})
    page = await journal.read(0, 10)
    slow = await sets.claim(ELSEWHERE, -1.0)
    assert slow is not None
    async with opened(tmp_path, redis_url) as other:
        quick = await other.claim(f"{ELSEWHERE}2", LEASE_S)
        assert quick is not None
        for attempt in (sets.apply(page, slow), sets.caught_up(slow), sets.reset(slow)):
            with pytest.raises(LeaseLost):
                await attempt
        assert (keys.exists(KNOWN), await sets.watermark()) == (0, 0)
        await other.apply(page, quick)
        with pytest.raises(LeaseLost):
            await sets.renew(slow, LEASE_S)
    assert keys.smembers(KNOWN) == await live(journal)


async def test_a_living_runner_is_not_disturbed(
    sets: RedisSets, tmp_path: Path, redis_url: str, keys: Client
) -> None:
    lease = await sets.claim(ELSEWHERE, LEASE_S)
    assert lease is not None
    before = keys.hgetall(STATE)
    async with opened(tmp_path, redis_url) as other:
        assert await other.claim(f"{ELSEWHERE}2", LEASE_S) is None
    assert keys.hgetall(STATE) == before
    await sets.caught_up(lease)


async def test_a_replay_removes_what_does_not_belong_there(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client
) -> None:
    await ingest.complete("ada/lib", {"a": text("a"), "b": text("b")})
    await follow(journal, sets)
    keys.sadd(KNOWN, b"0" * 16)
    keys.hincrby(STATE, "count", 1)
    assert await catch_up(journal, sets, replay=True) is Outcome.CAUGHT_UP
    assert keys.smembers(KNOWN) == await live(journal)


async def test_a_set_of_another_journal_is_made_anew(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client
) -> None:
    await ingest.complete("ada/lib", {"a": text("a")})
    keys.sadd(KNOWN, *(bytes([number]) * 16 for number in range(200)))
    keys.hset(STATE, mapping={"count": 200, "watermark": 1000, "holder": "another"})
    await follow(journal, sets)
    assert keys.smembers(KNOWN) == await live(journal)


async def test_more_members_than_one_call_takes(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client
) -> None:
    await ingest.complete("ada/lib", {"a": text("a")})
    [entry] = await journal.read(0, 10)
    many = [
        entry._replace(id=number, content_hash=number.to_bytes(16)) for number in range(1, 12_001)
    ]
    gone = [one._replace(id=one.id + 12_000, op=Op.REMOVE) for one in many]
    lease = await sets.claim(ELSEWHERE, LEASE_S)
    assert lease is not None
    await sets.apply(many, lease)
    assert keys.scard(KNOWN) == 12_000
    held = [holding.content_hash async for page in sets.holdings() for holding in page]
    assert sorted(held) == [one.content_hash for one in many]
    await sets.apply(gone, lease)
    assert (keys.exists(KNOWN), await sets.watermark()) == (0, 24_000)
    assert [page async for page in sets.holdings()] == [[]]


@pytest.mark.parametrize("seed", range(3))
async def test_random_lives_end_with_what_is_live(
    journal: Journal, ingest: Ingest, sets: RedisSets, keys: Client, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        names = chance.sample("abcdefgh", chance.randint(0, 6))
        await ingest.complete(chance.choice(["ada/1", "ada/2"]), {one: text(one) for one in names})
        if chance.random() < 0.3:
            LOSSES[chance.choice(sorted(LOSSES))](keys)
        if chance.random() < 0.5:
            await catch_up(journal, sets)
    await follow(journal, sets)
    assert keys.smembers(KNOWN) == await live(journal)


async def test_a_set_that_is_evicted_fills_itself_again(
    journal: Journal, ingest: Ingest, tmp_path: Path
) -> None:
    options = ["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"]
    await ingest.complete("ada/lib", {name: text(name) for name in "abcd"})
    with had(lambda: Redis(options)) as server, server.client() as keys:
        async with opened(tmp_path, server.url) as sets:
            for _ in range(3):
                await follow(journal, sets)
                assert keys.smembers(KNOWN) == await live(journal)
                for number in range(10_000):
                    keys.set(f"filler:{number}", bytes(100_000))
                    if not keys.exists(KNOWN):
                        break
                assert keys.exists(KNOWN) == 0


async def test_a_server_that_goes_away_is_transient(
    journal: Journal, ingest: Ingest, tmp_path: Path
) -> None:
    await ingest.complete("ada/lib", {name: text(name) for name in "abcd"})
    with had(Redis) as server:
        async with opened(tmp_path, server.url) as sets:
            await follow(journal, sets)
            server.kill()
            with pytest.raises(Transient, match=f"Redis at {server.url}"):
                await sets.watermark()
            running = asyncio.create_task(catch_up(journal, sets))
            await asyncio.sleep(0.2)
            server.start()
            assert await running is Outcome.CAUGHT_UP
            with server.client() as keys:
                assert keys.smembers(KNOWN) == await live(journal)


async def test_a_server_that_is_not_there_is_told_before_any_work(
    journal: Journal, tmp_path: Path
) -> None:
    with pytest.raises(Fatal, match="CODELUPE_REDIS"):
        async with opened(tmp_path, "redis://127.0.0.1:1/0"):
            pass
