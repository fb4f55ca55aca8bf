"""What several daemons ask of one journal: whose turn it is, what changed, what is known."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from codelupe_daemon.errors import TextsMissing
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Op
from tests.contract.build import (
    DEAD,
    ELSEWHERE,
    EXPIRED_S,
    LEASE_S,
    Ingest,
    hash_of,
    repo,
    text,
)
from tests.contract.stores import CLUSTERS, STORES

A, B = text("a"), text("b")
LONG_S, NOW_S = 3600.0, -1.0


async def next_name(journal: Journal) -> str | None:
    claimed = await journal.claim_next(this_process(), LEASE_S)
    return claimed and claimed[1].full_name


async def test_the_next_is_the_one_due_longest(journal: Journal) -> None:
    for name in ("c/c", "a/a", "b/b"):
        await journal.register(repo(name))
    assert len(await journal.due(2)) == 2
    claimed = await journal.claim_next(this_process(), LEASE_S)
    assert claimed is not None
    row, visit = claimed
    assert (row.id, row.full_name, row.state, row.attempts) == (visit.repo_id, "c/c", "visiting", 1)
    assert [await next_name(journal) for _ in range(3)] == ["a/a", "b/b", None]
    assert await journal.due(9) == []


async def test_one_of_those_that_are_named(journal: Journal) -> None:
    ids = [await journal.register(repo(name)) for name in ("a/a", "b/b", "c/c")]
    claimed = await journal.claim_next(this_process(), LEASE_S, [ids[1], 999])
    assert claimed is not None
    assert claimed[1].repo_id == ids[1]
    assert await journal.claim_next(this_process(), LEASE_S, [ids[1]]) is None
    assert await journal.claim_next(this_process(), LEASE_S, []) is None
    assert await journal.due(9) == [ids[0], ids[2]]


@pytest.mark.parametrize(
    ("owner", "lease_s"), [(DEAD, LEASE_S), (ELSEWHERE, EXPIRED_S)], ids=["dead", "expired"]
)
async def test_what_a_dead_daemon_visited_is_next(
    journal: Journal, owner: str, lease_s: float
) -> None:
    await journal.register(repo("a/a"))
    stale = await journal.claim_next(owner, lease_s)
    fresh = await journal.claim_next(this_process(), LEASE_S)
    assert stale is not None
    assert fresh is not None
    assert (fresh[1].repo_id, fresh[1].epoch) == (stale[1].repo_id, stale[1].epoch + 1)


async def test_when_a_repository_is_due_again(journal: Journal, ingest: Ingest) -> None:
    for state, due_in_s in (("failed", LONG_S), ("failed", NOW_S), ("due", None)):
        visit = await ingest.begin(f"{state}/{due_in_s}")
        await journal.release(visit, state, "why", due_in_s=due_in_s)
    for due_in_s in (LONG_S, NOW_S, None):
        visit = await ingest.begin(f"done/{due_in_s}")
        await journal.finish(visit, None, repo("x").standing, "v", due_in_s=due_in_s)
    names = {await next_name(journal) for _ in range(9)}
    assert names == {f"failed/{NOW_S}", "due/None", f"done/{NOW_S}", None}


async def test_no_repository_is_handed_out_twice(store: str, place: Path, journal: Journal) -> None:
    others = [STORES[store](place) for _ in range(3)]
    for one in others:
        await one.open(create=False)
    for number in range(40):
        await journal.register(repo(f"a/{number:02}"))

    async def take(one: Journal) -> list[str]:
        found = []
        while (name := await next_name(one)) is not None:
            found.append(name)
        return found

    taken = await asyncio.gather(*map(take, [journal, *others]))
    for one in others:
        await one.close()
    assert Counter(name for names in taken for name in names) == Counter(
        f"a/{number:02}" for number in range(40)
    )


async def test_what_changed_since(journal: Journal, ingest: Ingest) -> None:
    for name in ("a/a", "b/b", "c/c"):
        await journal.register(repo(name, "MIT", 5))
    first = await journal.repositories_since(0, 0, 2)
    rest = await journal.repositories_since(first[-1].changed_at, first[-1].id, 9)
    assert [row.full_name for row in first + rest] == ["a/a", "b/b", "c/c"]
    assert {row.standing.license for row in first + rest} == {"MIT"}
    last = rest[-1]
    assert await journal.repositories_since(last.changed_at, last.id, 9) == []
    visit = await ingest.begin("a/a")
    await journal.renew(visit, LEASE_S)
    await ingest.record(visit, {"x.py": A})
    await ingest.end(visit, {"x.py": A}, repo("a/a", "MIT", 6).standing)
    [row] = await journal.repositories_since(last.changed_at, last.id, 9)
    assert (row.full_name, row.state, row.file_count, row.standing.stars) == ("a/a", "done", 1, 6)
    assert row.head is not None
    assert row.visited_at is not None


async def test_live_contents_by_their_hashes(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    await ingest.complete("a/a", {"a.py": A})
    hashes = [hash_of(A), hash_of(B), hash_of("never")]
    [found] = await journal.live_by_hashes(hashes, content=True)
    assert (found.content_hash, found.content, found.place.path) == (hash_of(A), A, "a.py")
    [without] = await journal.live_by_hashes(hashes, content=False)
    assert without == found._replace(content=None)
    assert await journal.live_by_hashes([], content=True) == []


async def test_a_text_that_is_recorded_need_not_be_sent_again(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete("z/z", {"a.py": A})
    visit = await ingest.begin(repo("a/a", "MIT", 9))
    part = ingest.part(visit, {"a.py": A})
    bare = {key: content._replace(packed=None) for key, content in part.contents.items()}
    recorded = await journal.append([part._replace(contents=bare)])
    assert recorded.ops == {Op.MOVE: 1}
    await ingest.end(visit, {"a.py": A}, repo("a/a", "MIT", 9).standing)
    assert await ingest.live() == {A: "a/a/a.py"}


async def test_a_text_that_died_is_taken_from_its_older_row(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await ingest.complete("a/a", {})
    visit = await ingest.begin("a/a")
    part = ingest.part(visit, {"new.py": A})
    bare = {key: content._replace(packed=None) for key, content in part.contents.items()}
    assert (await journal.append([part._replace(contents=bare)])).ops == {Op.ADD: 1}
    assert await ingest.live() == {A: "a/a/new.py"}


async def test_a_text_that_nobody_has_is_asked_for(journal: Journal, ingest: Ingest) -> None:
    visit = await ingest.begin("a/a")
    part = ingest.part(visit, {"a.py": A, "b.py": B})
    key = (hash_of(A), "Python")
    bare = {**part.contents, key: part.contents[key]._replace(packed=None)}
    with pytest.raises(TextsMissing):
        await journal.append([part._replace(contents=bare)])
    assert await ingest.ops() == []
    assert await journal.paths(visit.repo_id, "", 9) == []
    assert (await journal.append([part])).ops == {Op.ADD: 2}


async def test_a_listener_is_woken_or_polls(store: str, place: Path, ingest: Ingest) -> None:
    """Through a bouncer nobody is woken; no listener may rely on it."""
    woken = asyncio.Event()
    other = STORES[store](place)
    await other.open(create=False)
    async with other.listening(woken.set):
        for number in range(50):
            await ingest.complete("a/a", {f"{number}.py": text(f"n{number}")})
            if woken.is_set() or store != "postgres":
                break
            await asyncio.sleep(0.05)
    await other.close()
    assert woken.is_set() == (store == "postgres")


@pytest.fixture
async def consumers(store: str, journal: Journal, place: Path) -> ClusterStore:
    opened = CLUSTERS[store](place, journal)
    await opened.open()
    return opened


async def test_watermarks_and_dead_letters_of_any_consumer(consumers: ClusterStore) -> None:
    one = await consumers.claim("elasticsearch", this_process(), LEASE_S)
    other = await consumers.claim("mongo", this_process(), LEASE_S)
    assert one is not None
    assert other is not None
    assert await consumers.advance(one, 7, [(3, "odd"), (5, "too long \0 \udcff")])
    assert await consumers.advance(one, 6, [(3, "odder")])
    assert await consumers.advance(other, 2)
    assert await consumers.watermarks() == {"elasticsearch": 7, "mongo": 2}
    assert [row_id for row_id, _ in await consumers.dead_letters("elasticsearch", 9)] == [3, 5]
    assert (await consumers.dead_letters("elasticsearch", 1))[0] == (3, "odder")
    assert await consumers.exhume(one, [5, 99])
    assert await consumers.dead_letters("elasticsearch", 9) == [(3, "odder")]
    assert await consumers.restart(one)
    assert await consumers.dead_letters("elasticsearch", 9) == []
    assert await consumers.watermarks() == {"elasticsearch": 0, "mongo": 2}
    await consumers.close()


async def test_who_lost_a_consumer_changes_nothing_of_it(consumers: ClusterStore) -> None:
    stale = await consumers.claim("mongo", DEAD, LEASE_S)
    fresh = await consumers.claim("mongo", this_process(), LEASE_S)
    assert stale is not None
    assert fresh is not None
    assert await consumers.advance(fresh, 4, [(4, "odd")])
    assert not await consumers.exhume(stale, [4])
    assert not await consumers.restart(stale)
    assert not await consumers.advance(stale, 9)
    assert await consumers.watermark("mongo") == 4
    assert await consumers.dead_letters("mongo", 9) == [(4, "odd")]
    await consumers.close()
