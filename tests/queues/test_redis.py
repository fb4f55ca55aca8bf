"""The keys in Redis follow the journal, whatever is done to them, and a claim is the journal's."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest
from redis import Redis as Client

from codelupe_daemon.journal.base import Journal, RepositoryRow
from codelupe_daemon.model import Reason
from codelupe_daemon.queues import redis as module
from codelupe_daemon.queues import redis_scripts as scripts
from codelupe_daemon.queues.redis import RedisQueues
from codelupe_daemon.queues.redis_link import Key
from tests.contract.build import DEAD, ELSEWHERE, Ingest, hash_of, text
from tests.queues.conftest import opened, register, until

REPOS, FILES, DONE, KNOWN = Key.REPOS, Key.FILES, Key.DONE, Key.KNOWN
LEASE_S = 60.0


async def claimed(queues: RedisQueues, wait_s: float = 10.0) -> int | None:
    found = await queues.claim(ELSEWHERE, LEASE_S, wait_s)
    return None if found is None else found[0].id


async def claim_all(queues: RedisQueues) -> list[int]:
    """Until nothing is due."""
    found = []
    while (one := await claimed(queues, 0.0)) is not None:
        found.append(one)
    return found


def listed(keys: Client) -> list[int]:
    return list(map(int, keys.lrange(REPOS, 0, -1)))


def members(keys: Client) -> set[int]:
    return set(map(int, keys.smembers(DONE)))


# -- repositories -----------------------------------------------------------------------------


async def test_the_list_is_what_is_due_in_its_order(
    journal: Journal, redis_url: str, keys: Client
) -> None:
    ids = await register(journal, 5)
    async with opened(journal, redis_url) as queues:
        await until(lambda: listed(keys) == ids)
        assert [await claimed(queues), await claimed(queues)] == ids[:2]
        assert listed(keys) == ids[2:] == await journal.due(10)


async def test_what_becomes_due_while_all_wait_is_found(
    queues: RedisQueues, journal: Journal, keys: Client
) -> None:
    assert await claimed(queues, 0.0) is None
    waiting = asyncio.create_task(claimed(queues, 20.0))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    [repo_id] = await register(journal, 1)
    assert await waiting == repo_id
    assert keys.llen(REPOS) == 0


async def test_no_repository_is_handed_out_twice_and_none_is_lost_by_flushall(
    journal: Journal, redis_url: str, keys: Client
) -> None:
    ids = await register(journal, 60)
    async with opened(journal, redis_url) as one, opened(journal, redis_url) as other:

        async def wipe() -> None:
            for _ in range(5):
                await asyncio.sleep(0.02)
                keys.flushall()

        found, more, _ = await asyncio.gather(claim_all(one), claim_all(other), wipe())
        found += more + await claim_all(one)  # a wiped list looks empty until it is refilled
        while len(found) < 60 and (late := await claimed(one)) is not None:
            found.append(late)
    assert sorted(found) == sorted(ids)


async def test_elements_that_are_not_due_are_passed_over(
    queues: RedisQueues, journal: Journal, keys: Client
) -> None:
    ids = await register(journal, 3)
    await until(lambda: listed(keys) == ids)
    assert await journal.claim(ids[0], ELSEWHERE, LEASE_S)
    keys.lpush(REPOS, "nonsense", "-1", "9" * 30, "", 4711)
    assert await claimed(queues, 0.0) == ids[1]
    assert await claimed(queues, 0.0) == ids[2]


@pytest.mark.parametrize(
    ("element", "ids"),
    [(b"17", [17]), (b"", []), (b"x", []), (b"-1", []), (b"9" * 18, [10**18 - 1]), (b"9" * 19, [])],
)
def test_an_element_is_an_id_or_nothing(element: bytes, ids: list[int]) -> None:
    assert module._ids(element) == ids


async def test_a_list_that_is_out_of_date_is_made_anew_at_once(
    journal: Journal, redis_url: str, keys: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TEND_S", 60.0)
    ids = await register(journal, 3)
    async with opened(journal, redis_url) as queues:
        await until(lambda: listed(keys) == ids)
        assert await journal.claim(ids[0], ELSEWHERE, LEASE_S)
        keys.rpush(REPOS, *range(1000, 2000))
        keys.unlink(Key.REFILLING)
        assert await claimed(queues) == ids[1]
        assert listed(keys) == ids[2:]


async def test_the_upkeep_adds_what_is_missing_and_takes_out_what_is_not_due(
    queues: RedisQueues, journal: Journal, keys: Client
) -> None:
    ids = await register(journal, 4)
    await until(lambda: listed(keys) == ids)
    assert await journal.claim(ids[1], ELSEWHERE, LEASE_S)
    keys.lrem(REPOS, 0, str(ids[2]))
    keys.rpush(REPOS, 4711)
    await until(lambda: listed(keys) == [ids[0], ids[2], ids[3]])


async def test_the_set_holds_repositories_whose_last_visit_was_complete(
    queues: RedisQueues, ingest: Ingest, keys: Client
) -> None:
    await ingest.complete("ada/whole", {"a.py": text("a")})
    await ingest.partial("ada/partial", {"a.py": text("b"), "b.py": Reason.UNREADABLE})
    await ingest.begin("ada/begun")
    await ingest.complete("ada/again", {"a.py": text("c")})
    await ingest.begin("ada/again")
    await ingest.complete("ada/worse", {"a.py": text("d")})
    await ingest.partial("ada/worse", {"a.py": text("e")})
    rows = {row.full_name: row.id for row in await ingest.journal.repositories()}
    whole = {rows["ada/whole"], rows["ada/again"]}
    await until(lambda: members(keys) == whole)
    await queues.visited(rows["ada/partial"], is_done=True)
    assert members(keys) == whole | {rows["ada/partial"]}
    await queues.visited(rows["ada/whole"], is_done=False)
    assert members(keys) == {rows["ada/again"], rows["ada/partial"]}
    await until(lambda: members(keys) == whole)  # the journal's word counts


@pytest.mark.parametrize(
    "lost",
    [(DONE,), (Key.DONE_STATE,), (DONE, Key.DONE_STATE)],
    ids=["set evicted", "state evicted", "both"],
)
@pytest.mark.parametrize("look_back_s", [60.0, -1.0], ids=["moving", "at rest"])
async def test_the_set_of_repositories_fills_itself_again(
    queues: RedisQueues,
    ingest: Ingest,
    keys: Client,
    monkeypatch: pytest.MonkeyPatch,
    lost: tuple[str, ...],
    look_back_s: float,
) -> None:
    for number in range(3):
        await ingest.complete(f"ada/{number}", {"a.py": text("a")})
    ids = {row.id for row in await ingest.journal.repositories()}
    await until(lambda: members(keys) == ids)
    monkeypatch.setattr(module, "LOOK_BACK_S", look_back_s)
    keys.unlink(*lost)
    await queues.visited(min(ids), is_done=True)
    await until(lambda: members(keys) == ids)
    assert keys.hget(Key.DONE_STATE, "count") == "3"


async def test_what_is_lost_while_changes_are_read_is_not_taken_for_read(
    queues: RedisQueues, ingest: Ingest, keys: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest.complete("ada/0", {"a.py": text("a")})
    [row] = await ingest.journal.repositories()
    await until(lambda: members(keys) == {row.id})
    monkeypatch.setattr(module, "LOOK_BACK_S", -1.0)
    changes, is_complete, is_lost = ingest.journal.repositories_since, asyncio.Event(), False

    async def and_lose(changed_at: float, after_id: int, limit: int) -> list[RepositoryRow]:
        nonlocal is_lost
        await is_complete.wait()
        rows = await changes(changed_at, after_id, limit)
        if rows and not is_lost:
            keys.unlink(DONE, Key.DONE_STATE)
            is_lost = True
        return rows

    monkeypatch.setattr(ingest.journal, "repositories_since", and_lose)
    await ingest.complete("ada/1", {"a.py": text("b")})
    is_complete.set()
    await until(lambda: is_lost)
    ids = {row.id for row in await ingest.journal.repositories()}
    await until(lambda: members(keys) == ids)


async def test_what_is_at_rest_is_not_read_again(
    queues: RedisQueues, ingest: Ingest, keys: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest.complete("ada/1", {"a.py": text("a")})
    [first] = await ingest.journal.repositories()
    await until(lambda: members(keys) == {first.id})
    assert await queues._position() == (first.changed_at - module.LOOK_BACK_S, 0)
    moved_at = int(keys.hget(Key.DONE_STATE, "moved_at") or 0)
    keys.hset(Key.DONE_STATE, "moved_at", moved_at - 61)
    assert await queues._position() == (first.changed_at, first.id)
    await ingest.complete("ada/2", {"a.py": text("b")})
    await until(lambda: len(members(keys)) == 2)
    changed_at, _ = await queues._position()
    assert changed_at > first.changed_at - module.LOOK_BACK_S
    assert int(keys.hget(Key.DONE_STATE, "moved_at") or 0) >= moved_at


async def test_many_repositories_are_followed_page_by_page(
    queues: RedisQueues, ingest: Ingest, keys: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    for number in range(5):
        await ingest.complete(f"ada/{number}", {"a.py": text("a")})
    await queues.rebuild()
    assert len(members(keys)) == 5


async def test_rebuild_makes_everything_anew_and_removes_a_set_that_is_switched_off(
    journal: Journal, redis_url: str, ingest: Ingest, keys: Client
) -> None:
    await ingest.complete("ada/done", {"a.py": text("a")})
    [due] = await register(journal, 1)
    done = (await journal.repositories())[0].id
    keys.rpush(REPOS, 1, 2, 3)
    keys.sadd(DONE, 4711)
    keys.sadd(KNOWN, b"0" * 16)
    keys.hset(Key.KNOWN_STATE, "count", 1)
    async with opened(journal, redis_url) as queues:
        await queues.rebuild()
        assert (listed(keys), members(keys), keys.exists(KNOWN)) == ([due], {done}, 1)
    async with opened(journal, redis_url, has_file_set=False) as queues:
        await queues.rebuild()
        assert keys.exists(KNOWN, Key.KNOWN_STATE) == 0


def test_a_list_of_any_length_is_replaced(keys: Client) -> None:
    replace = keys.register_script(scripts.REPLACE)
    for ids in (range(12_001), range(12_001), range(3), range(4), ()):
        before = listed(keys)
        assert bool(replace([REPOS], [" ".join(map(str, ids))])) is (before != list(ids))
        assert listed(keys) == list(ids)


# -- files ------------------------------------------------------------------------------------


async def test_files_are_listed_until_they_are_recorded(queues: RedisQueues, keys: Client) -> None:
    paths = [f"src/{number}.py" for number in range(2500)] + ["x" * 5000, "größer/ü\\xff.py"]
    await queues.listed("ada/lib", paths)
    assert keys.llen(FILES) == 2502
    assert keys.lindex(FILES, 0) == "ada/lib/src/0.py"
    assert keys.lindex(FILES, -1) == "ada/lib/größer/ü\\xff.py"
    assert keys.lindex(FILES, -2) == "ada/lib/" + "x" * (module.ELEMENT_CHARS - 8)
    await queues.recorded(2500)
    assert keys.llen(FILES) == 2
    await queues.recorded(1000)
    assert keys.llen(FILES) == 0


async def test_nobody_takes_anothers_files_out(
    journal: Journal, redis_url: str, keys: Client
) -> None:
    async with opened(journal, redis_url) as one, opened(journal, redis_url) as other:
        await asyncio.gather(
            *chain.from_iterable(
                (queues.listed("ada/lib", ["a", "b", "c"]), queues.recorded(2))
                for queues in (one, other)
                for _ in range(20)
            )
        )
        left = keys.llen(FILES)
        await one.recorded(1000)
        assert 0 < keys.llen(FILES) < left
        await other.listed("ada/lib", ["d"])
        await one.listed("ada/lib", ["e", "f"])
    assert keys.llen(FILES) == 0  # whoever ends has nothing outstanding


async def test_flushall_in_the_middle_makes_nothing_negative(
    journal: Journal, redis_url: str, keys: Client
) -> None:
    async with opened(journal, redis_url) as one, opened(journal, redis_url) as other:
        await one.listed("ada/lib", ["a", "b", "c"])
        keys.flushall()
        await other.listed("ada/lib", ["d", "e"])
        await one.recorded(2)
        assert keys.llen(FILES) == 2
        await one.listed("ada/lib", ["f"])
        assert keys.llen(FILES) == 3
        await one.listed("ada/lib", ["g"])
        await other.recorded(2)
        assert keys.llen(FILES) == 2
        await one.recorded(3)
        assert keys.llen(FILES) == 0
        assert set(keys.hvals(Key.OUTSTANDING)) == {"0"}


@pytest.mark.parametrize("owner", [DEAD, ELSEWHERE], ids=["on this machine", "elsewhere"])
async def test_a_dead_daemons_files_are_taken_out(
    journal: Journal, redis_url: str, keys: Client, owner: str
) -> None:
    async with opened(journal, redis_url) as dead, opened(journal, redis_url) as living:
        dead._owner = f"{owner}:1234"
        await dead.listed("ada/lib", ["a", "b", "c"])
        await living.listed("ada/lib", ["d", "e"])
        assert keys.llen(FILES) == 5
        if owner == ELSEWHERE:
            keys.zadd(Key.DAEMONS, {dead._owner: 1})
        await living._repair()
        assert keys.llen(FILES) == 2
        await dead.recorded(3)  # it was only slow
        assert keys.llen(FILES) == 2


@pytest.mark.parametrize("lost", [FILES, Key.OUTSTANDING, Key.DAEMONS])
async def test_what_an_eviction_left_uneven_is_made_even(
    queues: RedisQueues, keys: Client, lost: str
) -> None:
    await queues.listed("ada/lib", ["a", "b", "c"])
    keys.unlink(lost)
    await queues.listed("ada/lib", ["d"])
    await queues._repair()
    assert keys.llen(FILES) == sum(map(int, keys.hvals(Key.OUTSTANDING)))
    await queues.recorded(4)
    assert keys.llen(FILES) == 0


async def test_the_list_of_files_has_an_end(
    queues: RedisQueues, keys: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTSTANDING_MAX", 3)
    await queues.listed("ada/lib", ["a", "b", "c", "d", "e"])
    assert keys.llen(FILES) == 3
    await queues.recorded(3)
    assert keys.llen(FILES) == 2


# -- contents ---------------------------------------------------------------------------------


async def test_known_is_what_the_set_holds(
    journal: Journal, queues: RedisQueues, redis_url: str, keys: Client
) -> None:
    hashes = [hash_of(str(number)) for number in range(1201)]
    keys.sadd(KNOWN, *hashes[::3])
    assert await queues.known(hashes) == [number % 3 == 0 for number in range(1201)]
    assert await queues.known([]) == []
    keys.flushall()
    assert await queues.known(hashes) == [False] * 1201
    keys.sadd(KNOWN, *hashes)
    async with opened(journal, redis_url, has_file_set=False) as without:
        assert await without.known(hashes[:2]) == [False, False]


async def test_upkeep_that_fails_for_good_is_told_to_whoever_claims(
    queues: RedisQueues, journal: Journal
) -> None:
    await register(journal, 1)
    await journal.close()
    assert queues._tending is not None
    async with asyncio.timeout(20):
        await asyncio.wait([queues._tending])
    with pytest.raises(RuntimeError) as failure:
        await claimed(queues)
    assert failure.value is queues._tending.exception()


async def test_one_process_at_a_time_does_the_upkeep(
    journal: Journal, redis_url: str, keys: Client
) -> None:
    done = []

    async def work() -> None:
        done.append(keys.get(Key.PROBE))
        await asyncio.sleep(0.2)

    async with opened(journal, redis_url) as one, opened(journal, redis_url) as other:
        await until(lambda: not keys.exists(Key.PROBE))
        await asyncio.gather(*(each._once(Key.PROBE, work, 60.0) for each in (one, other)))
        assert done == [keys.get(Key.PROBE)]
        assert 5000 < keys.pttl(Key.PROBE) <= 60_000
