"""Clusters, their watermark and lease, and what a store says of contents to be clustered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import Cluster, Clustered, ClusterStore, Facts
from codelupe_daemon.journal.consumers import Holder
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Op, Standing, place_key
from tests.contract.build import DEAD, ELSEWHERE, EXPIRED_S, LEASE_S, Ingest, hash_of, repo, text
from tests.contract.stores import CLUSTERS

NAME = "near_duplicates"
A, B, C = (hash_of(text(word)) for word in ("ant", "bee", "cat"))


@pytest.fixture
async def clusters(store: str, journal: Journal, place: Path) -> AsyncIterator[ClusterStore]:
    opened = CLUSTERS[store](place, journal)
    await opened.open()
    yield opened
    await opened.close()


async def holder_of(clusters: ClusterStore) -> Holder:
    holder = await clusters.claim(NAME, this_process(), LEASE_S)
    assert holder is not None
    return holder


async def test_one_holds_it_at_a_time(clusters: ClusterStore) -> None:
    first = await clusters.claim(NAME, ELSEWHERE, LEASE_S)
    assert first is not None
    assert await clusters.claim(NAME, this_process(), LEASE_S) is None
    assert await clusters.renew(first, LEASE_S)
    assert await clusters.release(first)
    second = await holder_of(clusters)
    assert second.epoch > first.epoch
    assert not await clusters.renew(first, LEASE_S)
    assert not await clusters.release(first)
    assert await clusters.claim("another", ELSEWHERE, LEASE_S) is not None


@pytest.mark.parametrize(
    ("owner", "lease_s"), [(ELSEWHERE, EXPIRED_S), (DEAD, LEASE_S)], ids=["expired", "ended"]
)
async def test_what_nobody_living_holds_is_free(
    clusters: ClusterStore, owner: str, lease_s: float
) -> None:
    stale = await clusters.claim(NAME, owner, lease_s)
    assert stale is not None
    await holder_of(clusters)
    row = Cluster(A, A, A, 1)
    assert not await clusters.put(stale, [row], [], 5)
    assert not await clusters.advance(stale, 5, [(5, "no")])
    assert not await clusters.reset(stale)
    assert await clusters.clusters_of([A]) == {}
    assert await clusters.watermark(NAME) == 0
    assert await clusters.dead_letters(NAME, 9) == []


async def test_rows_are_replaced_and_dropped_with_the_watermark(clusters: ClusterStore) -> None:
    holder = await holder_of(clusters)
    assert await clusters.put(holder, [Cluster(A, A, A, 1), Cluster(B, A, A, 2)], [], 2)
    assert await clusters.clusters_of([A, B, C]) == {
        A: Cluster(A, A, A, 1), B: Cluster(B, A, A, 2),
    }  # fmt: skip
    assert await clusters.put(holder, [Cluster(B, B, B, 3), Cluster(C, B, B, 4)], [A, C], 4)
    assert await clusters.clusters_of([A, B, C]) == {
        B: Cluster(B, B, B, 3), C: Cluster(C, B, B, 4),
    }  # fmt: skip
    assert await clusters.watermark(NAME) == 4
    assert await clusters.clusters_of([]) == {}


async def test_reset_forgets_all(clusters: ClusterStore) -> None:
    holder = await holder_of(clusters)
    await clusters.put(holder, [Cluster(A, A, A, 1)], [], 2)
    assert await clusters.advance(holder, 3, [(3, "odd")])
    assert await clusters.watermark(NAME) == 3
    assert await clusters.dead_letters(NAME, 9) == [(3, "odd")]
    assert await clusters.reset(holder)
    assert await clusters.clusters_of([A]) == {}
    assert await clusters.dead_letters(NAME, 9) == []
    assert await clusters.watermark(NAME) == 0


async def test_what_is_clustered(ingest: Ingest, clusters: ClusterStore) -> None:
    await ingest.complete("a/a", {"1.py": text("ant")})
    await ingest.complete("a/a", {"1.py": text("ant"), "2.py": text("bee")})
    holder = await holder_of(clusters)
    await clusters.put(holder, [Cluster(A, A, A, 1), Cluster(B, C, C, 2)], [], 2)
    rows = [Clustered(1, None, True, 1), Clustered(2, None, True, None)]
    assert await clusters.clustered(0, 2, 10) == rows
    assert await clusters.clustered(0, 1, 10) == rows[:1]
    assert await clusters.clustered(0, 2, 1) == rows[:1]
    assert await clusters.clustered(1, 2, 10) == rows[1:]


async def test_facts_are_those_of_the_newest_row(ingest: Ingest, clusters: ClusterStore) -> None:
    await ingest.complete("z/z", {"old.py": text("ant")})
    await ingest.complete(repo("a/a", "MIT", 9, 8, 7), {"new.py": text("ant")})
    await ingest.complete("b/b", {"gone.py": text("bee")})
    await ingest.complete("b/b", {})
    assert [op for op, _ in await ingest.ops()] == [Op.ADD, Op.MOVE, Op.ADD, Op.REMOVE]
    place = place_key(Standing("MIT", 9, 8, 7), "a/a", "new.py")
    [facts] = await clusters.facts([1, 3, 4], content=True)
    assert facts == Facts(1, A, 2, place, text("ant"))
    assert await clusters.facts([1], content=False) == [Facts(1, A, 2, place, None)]
    assert await clusters.facts([], content=True) == []


async def test_what_was_before_a_row(ingest: Ingest, clusters: ClusterStore) -> None:
    await ingest.complete("z/z", {"old.py": text("ant")})
    await ingest.complete(repo("a/a", "MIT", 9), {"new.py": text("ant")})
    for name in ("z/z", "a/a"):
        await ingest.complete(name, {})
    await ingest.complete("z/z", {"old.py": text("ant")})
    await ingest.complete("z/z", {})
    ops = [op for op, _ in await ingest.ops()]
    assert ops == [Op.ADD, Op.MOVE, Op.REMOVE, Op.ADD, Op.REMOVE]
    found = await clusters.before([(A, 2), (A, 3), (A, 5)])
    assert [one.add_id for one in found] == [1, 1, 4]
    old = place_key(Standing(), "z/z", "old.py")
    new = place_key(Standing("MIT", 9), "a/a", "new.py")
    assert [one.place for one in found] == [old, new, old]
