"""What a reader of a window is told of each row: what is true of its content now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codelupe_daemon.journal.base import Journal, Rejudged
from codelupe_daemon.journal.clusters import Cluster, ClusterStore, Member, WindowRow
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Op
from tests.contract.build import LEASE_S, Ingest, content, hash_of, repo, text
from tests.contract.stores import CLUSTERS

ANT, BEE, CAT = (text(word) for word in ("ant", "bee", "cat"))
BENCHMARK = b'{"benchmark": 0.5, "lines": 6}'


@pytest.fixture
async def clusters(store: str, journal: Journal, place: Path) -> AsyncIterator[ClusterStore]:
    opened = CLUSTERS[store](place, journal)
    await opened.open()
    yield opened
    await opened.close()


async def put(clusters: ClusterStore, *rows: Cluster) -> None:
    holder = await clusters.claim("near_duplicates", this_process(), LEASE_S)
    assert holder is not None
    assert await clusters.put(holder, rows, [], 1)


async def revise(journal: Journal, source: str, score: float, signals: bytes = b"{}") -> None:
    verdict = content(journal, source, language="Cython", score=score, signals=signals)
    await journal.rejudge(
        [Rejudged(hash_of(source), {".py": verdict}, {})], "examiner-2", lambda _: True
    )


def told(row: WindowRow) -> tuple[object, ...]:
    return row.op, row.is_live, row.quality, row.quality_before, f"{row.repo}/{row.path}"


async def test_facts_are_those_of_the_newest_row(
    journal: Journal, ingest: Ingest, clusters: ClusterStore
) -> None:
    await ingest.complete("z/z", {"old.py": ANT})
    await ingest.complete(repo("a/a", "MIT"), {"new.py": ANT})
    await revise(journal, ANT, 0.4, BENCHMARK)
    await revise(journal, ANT, 0.9, BENCHMARK)
    rows = await clusters.window(0, 9, 9)
    assert [told(row) for row in rows] == [
        (Op.ADD, True, 90.0, None, "a/a/new.py"),
        (Op.MOVE, True, 90.0, None, "a/a/new.py"),
        (Op.REVISE, True, 90.0, 80.0, "a/a/new.py"),
        (Op.REVISE, True, 90.0, 40.0, "a/a/new.py"),
    ]
    before = [(row.language_before, row.license_before, row.signals_before) for row in rows]
    assert before == [
        (None, None, None), (None, None, None), ("Python", "MIT", None),
        ("Cython", "MIT", BENCHMARK.decode()),
    ]  # fmt: skip
    first = (await journal.read(0, 1))[0]
    same = (hash_of(ANT), "MIT", "Cython", len(ANT), first.created_at, BENCHMARK.decode())
    assert {
        (
            row.content_hash, row.license, row.language, row.content_chars, row.created_at,
            row.signals,
        )
        for row in rows
    } == {same}  # fmt: skip
    assert {(row.cluster_id, row.winner) for row in rows} == {(None, None)}


async def test_what_is_dead_is_told_as_of_its_row(
    journal: Journal, ingest: Ingest, clusters: ClusterStore
) -> None:
    await ingest.complete("a/a", {"a.py": ANT, "b.py": BEE})
    await ingest.complete("a/a", {"b.py": BEE})
    await journal.forget_content(hash_of(BEE))
    rows = await clusters.window(0, 9, 9)
    assert [row.is_live for row in rows] == [False] * 4
    assert [row.op for row in rows] == [Op.ADD, Op.ADD, Op.REMOVE, Op.REMOVE]
    assert {row.path for row in rows if row.content_hash == hash_of(ANT)} == {"a.py"}
    assert {row.signals for row in rows} == {None}


async def test_pages_and_bounds(ingest: Ingest, clusters: ClusterStore) -> None:
    await ingest.complete("a/a", {f"{n}.py": text(f"word{n}") for n in range(7)})
    assert [row.id for row in await clusters.window(0, 6, 4)] == [1, 2, 3, 4]
    assert [row.id for row in await clusters.window(4, 6, 4)] == [5, 6]
    assert await clusters.window(6, 6, 4) == []


async def test_clusters_and_their_members(
    journal: Journal, ingest: Ingest, clusters: ClusterStore
) -> None:
    await ingest.complete("a/a", {"a.py": ANT})
    await ingest.complete("b/b", {"b.py": BEE})
    await ingest.complete("c/c", {"c.py": CAT})
    ant, bee, cat = map(hash_of, (ANT, BEE, CAT))
    gone = hash_of("gone")
    await put(
        clusters, Cluster(ant, bee, bee, 1), Cluster(bee, bee, bee, 2), Cluster(gone, bee, bee, 1)
    )
    rows = await clusters.window(0, 9, 9)
    assert [(row.cluster_id, row.winner) for row in rows] == [(bee, bee), (bee, bee), (None, None)]
    members = [Member(ant, "a/a"), Member(bee, "b/b")]
    assert await clusters.members([bee, cat]) == {bee: members}
    assert await clusters.members([ant, bee]) == {ant: members, bee: members}
    assert await clusters.members([]) == {}
    await journal.forget_content(ant)
    assert await clusters.members([bee]) == {bee: members[1:]}
