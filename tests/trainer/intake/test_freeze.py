"""Windows become manifests: every row once, or counted with its reason."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.journal.base import Rejudged
from codelupe_daemon.journal.clusters import Cluster, Member
from codelupe_daemon.journal.owner import this_process
from tests.contract.build import LEASE_S, content, hash_of, text
from tests.trainer.intake.build import NOW, InJournal, all_rows, candidate, profile
from trainer.intake import freeze as freezing
from trainer.intake.base import Source
from trainer.intake.freeze import freeze, measured_sets, pending
from trainer.intake.sides import of_repositories
from trainer.profile import Profile
from trainer.registry.base import Registry
from trainer.types import Base, Candidate, Manifest, NotTaken, Origin, SessionStatus, Side

BASE = Base("tiny", None, "digest")


class Listed(Source):
    """Rows that a test wrote down; `near`: clusters by their contents."""

    name = "listed"

    def __init__(self, rows: Sequence[Candidate] = ()) -> None:
        self.listed = list(rows)
        self.near: list[list[Member]] = []
        self.dead: set[bytes] = set()
        self.read: list[tuple[int, int]] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def head(self) -> int:
        return max((row.id for row in self.listed), default=0)

    async def rows(self, after_id: int, to_id: int) -> AsyncGenerator[list[Candidate], None]:
        self.read.append((after_id, to_id))
        rows = [row for row in self.listed if after_id < row.id <= to_id]
        for start in range(0, len(rows), 3):
            yield rows[start : start + 3]

    async def texts(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        return dict.fromkeys(await self.alive(hashes), "text")

    async def alive(self, hashes: Sequence[bytes]) -> set[bytes]:
        return {row.content_hash for row in self.listed}.intersection(hashes) - self.dead

    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        return {
            member.content_hash: group
            for group in self.near
            for member in group
            if member.content_hash in hashes
        }

    def cluster(self, *ids: int) -> None:
        """These rows become near-duplicates of each other."""
        at = {row.id: number for number, row in enumerate(self.listed)}
        group = [self.listed[at[one]] for one in ids]
        for row in group:
            self.listed[at[row.id]] = row._replace(cluster=group[0].content_hash)
        self.near.append([Member(row.content_hash, row.repo) for row in group])


async def frozen(
    source: Source, registry: Registry, plan: Profile, number: int = 1, *, seed: int = 7
) -> tuple[Manifest, dict[str, Side]]:
    manifest, sides = await freeze(
        source, registry, plan, session_id=f"s{number}", base=BASE, seed=seed, now=NOW
    )
    new = sum(row.origin is Origin.NEW for row in manifest.taken)
    in_window = await all_rows(source, manifest.from_id, manifest.to_id)
    assert new + sum(manifest.not_taken.values()) == len(in_window)
    assert len({row.content_hash for row in manifest.taken}) == len(manifest.taken)
    return manifest, sides


async def trained(
    source: Source,
    registry: Registry,
    plan: Profile,
    number: int = 1,
    status: SessionStatus = SessionStatus.COMPLETED,
) -> Manifest:
    """A whole round."""
    holder = await registry.claim(plan.name, this_process(), LEASE_S)
    assert holder is not None
    manifest, sides = await frozen(source, registry, plan, number)
    session = await registry.begin(holder, manifest, sides)
    await registry.mark(holder, session.id, SessionStatus.TRAINING, {})
    await registry.mark(holder, session.id, SessionStatus.TRAINED, {})
    await registry.finish(holder, session.id, status)
    await registry.release(holder)
    return manifest


def ids(manifest: Manifest, **wanted: Any) -> list[int]:
    return sorted(
        row.id
        for row in manifest.taken
        if all(getattr(row, name) == value for name, value in wanted.items())
    )


def named(side: Side, plan: Profile) -> str:
    """A repository whose name puts it there."""
    names = [f"some/{side}{n}" for n in range(1000)]
    sides = of_repositories({}, names, plan.data)
    return next(name for name in names if sides[name] is side)


async def test_the_window_ends_where_the_profile_says(registry: Registry) -> None:
    source = Listed([candidate(10 * n) for n in range(1, 9)])
    plan = profile(max_window_rows=5)
    assert await pending(source, registry, plan) == (0, 80, 50, 5, 5, True)
    first = await trained(source, registry, plan)
    assert (first.from_id, first.to_id, ids(first)) == (0, 50, [10, 20, 30, 40, 50])
    assert await pending(source, registry, plan) == (50, 80, 80, 3, 3, False)
    assert (await pending(source, registry, plan, enough=1)).to_id == 80
    second = await trained(source, registry, profile(max_window_rows=5, replay_share=0.0), 2)
    assert ids(second) == [60, 70, 80]
    assert await pending(source, registry, plan) == (80, 80, 80, 0, 0, False)


async def test_a_poll_reads_what_came_since_the_last_one(registry: Registry) -> None:
    source, plan = Listed([candidate(n) for n in range(1, 6)]), profile(max_window_rows=20)

    async def polled() -> tuple[int, int, int]:
        source.read.clear()
        found = await pending(source, registry, plan, enough=10)
        return found.rows, found.passing, found.to_id

    assert (await polled(), source.read) == ((5, 5, 5), [(0, 5)])
    assert (await polled(), source.read) == ((5, 5, 5), [(5, 5)])
    source.listed += [candidate(n, quality=10.0 if n < 10 else 90.0) for n in range(6, 14)]
    assert (await polled(), source.read) == ((13, 9, 13), [(5, 13)])
    source.listed.append(candidate(14))
    assert (await polled(), source.read) == ((14, 10, 14), [(13, 14), (0, 14)])
    source.listed = [row._replace(is_live=row.id > 2) for row in source.listed]
    assert (await polled(), source.read) == ((14, 8, 14), [(14, 14), (0, 14)])
    assert (await polled(), source.read) == ((14, 8, 14), [(14, 14)])
    source.listed += [candidate(n, quality=10.0) for n in range(15, 30)]
    for _ in range(2):  # a full window that was withdrawn is full again
        assert await polled() == (20, 8, 20)
    await trained(source, registry, plan)
    assert (await polled(), source.read[-1]) == ((9, 0, 29), (20, 29))
    assert (await pending(source, registry, profile(min_quality=5.0), enough=10)).passing == 9


async def test_a_head_that_fell_back_is_an_empty_window(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Listed([candidate(3), candidate(5)])
    await trained(source, registry, profile())

    async def behind() -> int:
        return 3

    monkeypatch.setattr(source, "head", behind)
    manifest, _ = await frozen(source, registry, profile(), 2)
    assert (manifest.from_id, manifest.to_id, manifest.taken) == (5, 5, [])
    assert (await pending(source, registry, profile())).rows == 0


async def test_the_same_again_is_the_same_manifest(registry: Registry) -> None:
    source = Listed([candidate(n, repo=f"r/{n % 9}") for n in range(1, 60)])
    plan = profile(validation_share=0.3, holdout_share=0.2, min_holdout_repos=3)
    assert await frozen(source, registry, plan) == await frozen(source, registry, plan)
    other, _ = await frozen(source, registry, plan, seed=8)
    assert other.taken != (await frozen(source, registry, plan))[0].taken
    assert other.settings["data"]["validation_share"] == 0.3


async def test_what_was_trained_is_not_new_again(registry: Registry) -> None:
    source = Listed([candidate(1, word="ant"), candidate(2, word="bee")])
    await trained(source, registry, profile())
    source.listed.append(candidate(3, word="ant"))
    manifest, _ = await frozen(source, registry, profile(replay_share=0.0), 2)
    assert manifest.not_taken == {NotTaken.TRAINED_BEFORE: 1}
    assert (await pending(source, registry, profile())).passing == 0


async def test_sides_are_kept_through_rounds(registry: Registry) -> None:
    plan = profile(validation_share=0.3, holdout_share=0.2, min_holdout_repos=12, replay_share=0.25)
    source = Listed()
    sides: dict[str, Side] = {}
    for number in range(1, 6):
        start = 100 * number
        source.listed += [candidate(start + n, repo=f"r/{(start + n) % 37}") for n in range(40)]
        manifest = await trained(source, registry, plan, number)
        for row in manifest.taken:
            assert sides.setdefault(row.repo, row.side) is row.side
        replayed = ids(manifest, origin=Origin.REPLAY, side=Side.TRAIN)
        new = ids(manifest, origin=Origin.NEW, side=Side.TRAIN)
        assert len(replayed) == (round(len(new) / 3) if number > 1 else 0)
    assert set(sides.values()) == set(Side)
    assert {f"repo:{repo}": side for repo, side in sides.items()} == await registry.all_sides(
        "tiny"
    )
    stands = [row for row in source.listed if sides[row.repo] is Side.HOLDOUT]
    assert ids(manifest, side=Side.HOLDOUT) == [row.id for row in stands]


async def test_replay_leaves_out_what_died(registry: Registry) -> None:
    source = Listed([candidate(n) for n in range(1, 9)])
    plan = profile(replay_share=0.25)
    await trained(source, registry, plan)
    source.dead = {row.content_hash for row in source.listed[:7]}
    source.listed += [candidate(n) for n in range(11, 23)]
    manifest, _ = await frozen(source, registry, plan, 2)
    assert ids(manifest, origin=Origin.REPLAY) == [8]
    assert len(ids(manifest, origin=Origin.NEW)) == 12


async def test_measured_rows_stay_until_they_die(registry: Registry) -> None:
    plan = profile(validation_share=0.5, recent_files=2)
    repo = named(Side.VALIDATION, plan)
    source = Listed([candidate(n, repo=repo, created_at=NOW + n) for n in range(1, 4)])
    first = await trained(source, registry, plan)
    assert [row.id for row in measured_sets(first, 2)["recent"]] == [3, 2]
    source.listed.append(candidate(9, repo=repo, created_at=NOW + 9))
    source.dead = {source.listed[0].content_hash}
    second, _ = await frozen(source, registry, plan, 2)
    assert ids(second, side=Side.VALIDATION) == [2, 3, 9]
    assert ids(second, origin=Origin.NEW) == [9]
    sets = measured_sets(second, 2)
    assert {name: sorted(row.id for row in rows) for name, rows in sets.items()} == {
        "validation": [2, 3, 9], "holdout": [], "recent": [3, 9],
    }  # fmt: skip


async def test_measured_rows_are_bounded(registry: Registry) -> None:
    plan = profile(validation_share=0.5)
    repo = named(Side.VALIDATION, plan)
    source = Listed([candidate(n, repo=repo, chars=7000) for n in range(1, 41)])
    manifest, _ = await frozen(source, registry, plan)
    rows = 256 * 128 * 3.2 // 7000
    assert len(manifest.taken) == rows == 14
    assert manifest.not_taken == {NotTaken.OVER_BUDGET: 40 - rows}


async def test_a_hold_out_that_is_full_stays_as_it_is(registry: Registry) -> None:
    """And what was validated makes room for what is new."""
    sides = {"holdout_share": 0.3, "min_holdout_repos": 1, "validation_share": 0.3}
    plan = profile(**sides)
    repos = named(Side.HOLDOUT, plan), named(Side.VALIDATION, plan)
    source = Listed([candidate(n, repo=repos[n % 2], chars=7000) for n in range(41)])
    first = await trained(source, registry, plan)
    source.listed += [candidate(n, repo=repos[n % 2], chars=7000) for n in range(41, 101)]
    second, _ = await frozen(source, registry, plan, 2)
    assert second.not_taken == {NotTaken.OVER_BUDGET: 60 - 14}
    assert ids(second, side=Side.HOLDOUT) == ids(first, side=Side.HOLDOUT)
    assert min(ids(second, side=Side.VALIDATION)) > 40
    source.dead = {first.taken[-1].content_hash}
    third, _ = await frozen(source, registry, plan, 3)
    assert len(ids(third, side=Side.HOLDOUT, origin=Origin.NEW)) == 1


async def test_what_touches_the_hold_out_is_not_trained(registry: Registry) -> None:
    plan = profile(holdout_share=0.3, min_holdout_repos=1)
    train, holdout = named(Side.TRAIN, plan), named(Side.HOLDOUT, plan)
    source = Listed([
        candidate(1, repo=train), candidate(2, repo=holdout, is_winner=False),
        candidate(3, repo=train), candidate(4, repo=holdout),
    ])  # fmt: skip
    source.cluster(1, 2)
    first, sides = await frozen(source, registry, plan)
    assert first.not_taken == {NotTaken.HOLDOUT: 1, NotTaken.NEAR_DUPLICATE: 1}
    assert (ids(first, side=Side.TRAIN), ids(first, side=Side.HOLDOUT)) == ([3], [4])
    assert sides[f"cluster:{source.listed[0].content_hash.hex()}"] is Side.HOLDOUT


async def test_a_leak_is_left_out_of_the_measure_and_counted(registry: Registry) -> None:
    plan = profile(holdout_share=0.3, min_holdout_repos=1, replay_share=0.0)
    train, holdout = named(Side.TRAIN, plan), named(Side.HOLDOUT, plan)
    source = Listed([candidate(n, repo=train) for n in (1, 2)])
    source.listed += [candidate(n, repo=holdout) for n in (3, 4)]
    await trained(source, registry, plan)
    source.listed += [candidate(n, repo=holdout) for n in (5, 6)]
    source.cluster(1, 5)  # a new file is near to one that was trained
    source.cluster(2, 3)  # so is one that was measured on, found only now
    manifest, sides = await frozen(source, registry, plan, 2)
    assert ids(manifest, side=Side.HOLDOUT) == [4, 6]
    assert manifest.not_taken == {NotTaken.OTHER_SIDE: 1}
    assert manifest.leaked == 2
    assert sides[f"cluster:{source.listed[0].content_hash.hex()}"] is Side.TRAIN


async def test_a_cluster_stands_where_its_first_row_does(registry: Registry) -> None:
    plan = profile(validation_share=0.3)
    train, validation = named(Side.TRAIN, plan), named(Side.VALIDATION, plan)
    source = Listed([
        candidate(1, repo=validation), candidate(2, repo=train),
        candidate(3, repo=train), candidate(4, repo=validation),
    ])  # fmt: skip
    source.cluster(1, 2)
    source.cluster(3, 4)
    manifest = await trained(source, registry, plan)
    assert (ids(manifest, side=Side.TRAIN), ids(manifest, side=Side.VALIDATION)) == ([3], [1])
    assert manifest.not_taken == {NotTaken.OTHER_SIDE: 2}
    source.listed.append(candidate(5, repo=train, cluster=source.listed[0].content_hash))
    source.near = [[Member(source.listed[4].content_hash, train)]]  # its first row is gone
    later, sides = await frozen(source, registry, profile(replay_share=0.0), 2)
    assert later.not_taken == {NotTaken.OTHER_SIDE: 1}
    assert sides == {}


async def test_a_cluster_that_changes_meanwhile_stays_on_its_side(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first row dies, and another is its winner now."""
    plan = profile(validation_share=0.3)
    train, validation = named(Side.TRAIN, plan), named(Side.VALIDATION, plan)
    source = Listed([candidate(1, repo=validation), candidate(2, repo=train)])
    source.cluster(1, 2)
    members = source.members

    async def dying(hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        found = await members(hashes)
        source.near = [[Member(source.listed[1].content_hash, train)]]
        return found

    monkeypatch.setattr(freezing, "_AT_ONCE", 1)
    monkeypatch.setattr(source, "members", dying)
    manifest, _ = await frozen(source, registry, plan)
    assert (ids(manifest), manifest.not_taken) == ([1], {NotTaken.OTHER_SIDE: 1})


# -- on a real journal --------------------------------------------------------------------------


@pytest.fixture
async def corpus(tmp_path: Path) -> AsyncIterator[InJournal]:
    made = await InJournal.sqlite(tmp_path)
    await made.source.open()
    yield made
    await made.source.close()
    await made.close()


async def test_two_rounds_of_a_journal(corpus: InJournal, registry: Registry) -> None:
    ant, bee, cat = map(text, ("ant", "bee", "cat"))
    await corpus.add({"a/a": {"ant.py": ant, "bee.py": bee}})
    await corpus.put_clusters(Cluster(hash_of(bee), hash_of(ant), hash_of(ant), 1))
    first = await trained(corpus.source, registry, profile())
    assert [row.path for row in first.taken] == ["ant.py"]
    assert first.not_taken == {NotTaken.NEAR_DUPLICATE: 1}
    low = content(corpus.journal, cat, score=0.5)
    part = corpus.ingest.part(await corpus.ingest.begin("b/b"), {"cat.py": cat})
    await corpus.journal.append([part._replace(contents={low.key: low})])
    assert (await pending(corpus.source, registry, profile())).head == 2  # not clustered yet
    await corpus.put_clusters()
    second = await trained(corpus.source, registry, profile(), 2)
    assert (second.taken, second.not_taken) == ([], {NotTaken.LOW_QUALITY: 1})
    better = content(corpus.journal, cat, score=0.9)
    judged = Rejudged(hash_of(cat), {".py": better}, {})
    await corpus.journal.rejudge([judged], "examiner-2", lambda _: True)
    await corpus.take_down(ant)
    third = await trained(corpus.source, registry, profile(replay_share=0.25), 3)
    assert [(row.path, row.quality, row.origin) for row in third.taken] == [
        ("cat.py", 90.0, Origin.NEW)
    ]
    assert third.not_taken == {NotTaken.NOT_A_CANDIDATE: 1}
