"""Clusters are what the live contents and their ranks give, whatever happened on the way."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import numpy as np
import pytest

from codelupe_daemon.consume.lsh import ALIKE_BYTES
from codelupe_daemon.consume.near_duplicates import THRESHOLD, NearDuplicates
from codelupe_daemon.consume.runner import Control, LeaseLost, Outcome, run
from codelupe_daemon.examine.fingerprint import (
    BAND_BYTES,
    FINGERPRINT_BYTES,
    fingerprints,
    jaccard,
    shingle_set,
)
from codelupe_daemon.journal.base import Journal, Rejudged
from codelupe_daemon.journal.clusters import Cluster
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import Op, Part, PlaceKey, Visit, place_key
from tests.consume.following import catch_up
from tests.contract.build import (
    ELSEWHERE,
    EXPIRED_S,
    LEASE_S,
    Files,
    Ingest,
    content,
    hash_of,
    repo,
)


def fingerprint(text: str) -> bytes | None:
    raw = text.encode()
    data = np.frombuffer(raw + bytes(64), np.uint8)
    return fingerprints(data, np.zeros(1, np.int64), np.array([len(raw)]))[0]


class Printing(Ingest):
    """Visits whose contents have fingerprints."""

    def part(self, visit: Visit, files: Files, *, language: str = "Python") -> Part:
        made = super().part(visit, files, language=language)
        texts = {hash_of(text): text for text in files.values()}
        contents = {
            key: one._replace(fingerprint=fingerprint(texts[one.content_hash]))
            for key, one in made.contents.items()
        }
        return made._replace(contents=contents)


@pytest.fixture
def ingest(journal: Journal) -> Ingest:
    return Printing(journal)


@pytest.fixture
async def clusters(journal: Journal, tmp_path: Path) -> AsyncIterator[SqliteClusters]:
    opened = SqliteClusters(tmp_path / "codelupe.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def consumer(clusters: SqliteClusters) -> NearDuplicates:
    return NearDuplicates(clusters)


def text(family: int, *changes: int, words: int = 100) -> str:
    """A text of `words` lines of two words, of which these lines are others."""
    lines = [f"name{family}x{n} = value{family}y{n}" for n in range(words)]
    for change in changes:
        lines[change % words] = f"other{family}x{change} = thing{change}"
    return "\n".join(lines)


def shares(one: str, other: str) -> float:
    return jaccard(shingle_set(one.encode()), shingle_set(other.encode()))


async def rows(journal: Journal, clusters: SqliteClusters) -> set[Cluster]:
    hashes = [one.content_hash for one in await journal.live(0, 10_000)]
    return set((await clusters.clusters_of(hashes)).values())


async def winners(journal: Journal, clusters: SqliteClusters) -> dict[str, str]:
    """path -> path of its winner, for contents with near-duplicates."""
    live = {one.content_hash: one.place.path for one in await journal.live(0, 10_000)}
    return {live[one.content_hash]: live[one.winner] for one in await rows(journal, clusters)}


async def expected(journal: Journal) -> set[Cluster]:
    """The rule, read plainly: in the order of rank, each against all winners before it."""
    ranks: dict[bytes, tuple[PlaceKey, int]] = {}
    prints: dict[bytes, bytes | None] = {}
    for entry in await journal.read(0, 100_000):
        at = place_key(entry.standing, entry.place.repo, entry.place.path, entry.license)
        ranks[entry.content_hash] = (at, entry.id)
        prints[entry.content_hash] = entry.fingerprint
    live = {one.content_hash: str(one.content) for one in await journal.live(0, 100_000)}
    taken: dict[bytes, bytes] = {}
    for one in sorted(live, key=lambda one: (ranks[one][0], one)):
        if prints[one] is None:
            continue
        taken[one] = one
        for winner in [other for other, over in taken.items() if other == over and other != one]:
            if are_alike(prints[one], prints[winner]) and shares(live[one], live[winner]) >= 0.7:
                taken[one] = winner
                break
    several = {winner for one, winner in taken.items() if one != winner}
    return {
        Cluster(one, winner, winner, ranks[one][1])
        for one, winner in taken.items()
        if winner in several
    }


def are_alike(one: bytes | None, other: bytes | None) -> bool:
    assert one is not None
    assert other is not None
    equal = sum(a == b for a, b in zip(one, other, strict=True))
    bands = range(0, FINGERPRINT_BYTES, BAND_BYTES)
    return equal >= ALIKE_BYTES and any(
        one[at : at + BAND_BYTES] == other[at : at + BAND_BYTES] for at in bands
    )


# -- one thing at a time --------------------------------------------------------------------


async def test_the_better_repository_wins(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    await ingest.complete(repo("a/few", "MIT", 10), {"few.py": text(1)})
    await ingest.complete(repo("b/many", "MIT", 20), {"many.py": text(1, 5), "else.py": text(2)})
    await ingest.complete(repo("c/none", None, 90), {"none.py": text(1, 50)})
    await catch_up(journal, consumer)
    assert await winners(journal, clusters) == dict.fromkeys(
        ["few.py", "many.py", "none.py"], "many.py"
    )
    assert await rows(journal, clusters) == await expected(journal)


async def test_below_the_threshold_are_no_duplicates(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    near, far = text(1, *range(12)), text(1, *range(20))
    assert shares(text(1), near) > THRESHOLD > shares(text(1), far) > 0.6
    await ingest.complete("a/a", {"a.py": text(1), "b.py": near, "c.py": text(2), "d.py": far})
    await catch_up(journal, consumer)
    found = await winners(journal, clusters)
    assert found["b.py"] == "a.py"
    assert found.get("d.py") != "a.py"


async def test_a_chain_has_two_winners(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    """What is near to a loser only is a winner itself: `why` names no stranger."""
    first, middle, last = text(1), text(1, *range(10)), text(1, *range(20))
    await ingest.complete("a/a", {"1.py": first, "2.py": middle, "3.py": last, "4.py": last + "\n"})
    await catch_up(journal, consumer)
    assert await winners(journal, clusters) == {
        "1.py": "1.py", "2.py": "1.py", "3.py": "3.py", "4.py": "3.py",
    }  # fmt: skip


async def test_when_the_winner_goes_the_others_find_a_new_one(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    await ingest.complete("z/z", {"2.py": text(1, 2), "3.py": text(1, 3)})
    await ingest.complete(repo("y/y", "MIT", 5), {"best.py": text(1)})
    await catch_up(journal, consumer)
    assert set((await winners(journal, clusters)).values()) == {"best.py"}
    await ingest.complete(repo("y/y", "MIT", 5), {})
    await catch_up(journal, consumer)
    assert await winners(journal, clusters) == {"2.py": "2.py", "3.py": "2.py"}
    await ingest.complete("z/z", {"3.py": text(1, 3)})
    await catch_up(journal, consumer)
    assert await rows(journal, clusters) == set()
    assert await clusters.clusters_of([hash_of(text(1)), hash_of(text(1, 2))]) == {}


async def test_a_better_place_makes_a_winner(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    await ingest.complete("a/a", {"1.py": text(1), "2.py": text(1, 2)})
    await catch_up(journal, consumer)
    assert await winners(journal, clusters) == {"1.py": "1.py", "2.py": "1.py"}
    await ingest.complete(repo("b/b", "MIT", 50), {"moved.py": text(1, 2)})
    assert [op for op, _ in await ingest.ops()][-1] is Op.MOVE
    await catch_up(journal, consumer)
    assert await winners(journal, clusters) == {"1.py": "moved.py", "moved.py": "moved.py"}
    assert await rows(journal, clusters) == await expected(journal)


async def test_a_fingerprint_that_comes_with_a_new_verdict(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    """Rows of an older version have none."""
    await Ingest(journal).complete("a/a", {"1.py": text(1), "2.py": text(1, 2)})
    await catch_up(journal, consumer)
    assert await rows(journal, clusters) == set()
    for known in (text(1), text(1, 2)):
        await revise(journal, known, f"examiner-{hash_of(known).hex()}")
        await catch_up(journal, NearDuplicates(clusters))
    assert await winners(journal, clusters) == {"1.py": "1.py", "2.py": "1.py"}
    assert await rows(journal, clusters) == await expected(journal)


async def test_a_new_verdict_that_changes_nothing_here_only_renews_the_facts(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    await ingest.complete("a/a", {"1.py": text(1), "2.py": text(1, 2), "3.py": text(3)})
    await catch_up(journal, consumer)
    before = {one.content_hash: one for one in await rows(journal, clusters)}
    await revise(journal, text(1), "examiner-2")
    await catch_up(journal, consumer)
    known = hash_of(text(1))
    before[known] = before[known]._replace(facts_id=4)
    assert await rows(journal, clusters) == set(before.values())


async def test_a_takedown_takes_the_row(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    await ingest.complete("a/a", {"1.py": text(1), "2.py": text(1, 2), "3.py": text(1, 3)})
    await journal.forget_content(hash_of(text(1, 3)))  # blanked before its `add` is read
    await catch_up(journal, consumer)
    await journal.forget_content(hash_of(text(1)))
    await catch_up(journal, consumer)
    found = await clusters.clusters_of([hash_of(text(1, *k)) for k in ((), (2,), (3,))])
    assert found == {}


async def test_texts_too_short_for_five_words_are_nobodys_duplicates(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    await ingest.complete("a/a", {"1.py": "a b c d", "2.py": "a b c d;", "3.py": "a b c d;;"})
    await catch_up(journal, consumer)
    assert await rows(journal, clusters) == set()
    assert await consumer.watermark() == 3


# -- any order, any page, any interruption ----------------------------------------------------


def some_texts(chosen: random.Random) -> Iterable[str]:
    for family in range(4):
        for _ in range(6):
            changes = chosen.sample(range(12), chosen.randrange(6))
            yield text(family, *changes, words=60)


async def history(chosen: random.Random, ingest: Ingest) -> None:
    """Visits that add, move and remove."""
    texts = list(some_texts(chosen))
    for _ in range(14):
        name = chosen.choice(["a/a", "b/b", "c/c", "d/d", "e/e"])
        standing = (chosen.choice(["MIT", "GPL-3.0-only", None]), chosen.choice([None, 1, 20]))
        files = {f"{chosen.randrange(30)}.py": one for one in chosen.sample(texts, 8)}
        await ingest.complete(repo(name, *standing), files)


async def follow(journal: Journal, consumer: NearDuplicates, page_rows: int) -> None:
    control = Control()
    control.drain()
    outcome = await run(
        journal, consumer, owner=this_process(), control=control, page_rows=page_rows
    )
    assert outcome is Outcome.CAUGHT_UP


@pytest.mark.parametrize("seed", range(6))
async def test_the_same_after_any_way(
    seed: int, journal: Journal, ingest: Ingest, clusters: SqliteClusters
) -> None:
    chosen = random.Random(seed)
    following = NearDuplicates(clusters)
    for step in range(3):
        await history(chosen, ingest)
        if chosen.random() < 0.5:
            following = NearDuplicates(clusters)  # as after a restart
        await follow(journal, following, chosen.choice([1, 2, 7, 500]))
        by_rule = await expected(journal)
        assert await rows(journal, clusters) == by_rule, f"step {step}"
        assert len(by_rule) >= 5
    await catch_up(journal, following, replay=True)
    assert await rows(journal, clusters) == by_rule
    live = {one.content_hash for one in await journal.live(0, 10_000)}
    assert {one.content_hash for one in await every_row(journal, clusters)} <= live


@pytest.mark.parametrize("seed", range(6))
async def test_loaded_in_the_middle_of_changes(
    seed: int, journal: Journal, ingest: Ingest, clusters: SqliteClusters
) -> None:
    """What is loaded is newer than the watermark: the rows in between find it changed already."""
    chosen = random.Random(seed)
    await history(chosen, ingest)
    await follow(journal, NearDuplicates(clusters), 500)
    await history(chosen, ingest)
    before = await clusters.watermark("near_duplicates")
    while rest := await journal.read(before, chosen.randrange(1, 9)):
        consumer = NearDuplicates(clusters)
        lease = await consumer.claim(this_process(), LEASE_S)
        assert lease is not None
        await consumer.apply(rest, lease)
        await consumer.apply(rest, lease)  # delivered twice
        await consumer.release(lease)
        before = rest[-1].id
    assert await rows(journal, clusters) == await expected(journal)


async def test_who_lost_the_lease_writes_nothing(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, consumer: NearDuplicates
) -> None:
    await ingest.complete("a/a", {"1.py": text(1), "2.py": text(1, 2)})
    lease = await consumer.claim(ELSEWHERE, EXPIRED_S)
    assert lease is not None
    other = NearDuplicates(clusters)
    newer = await other.claim(this_process(), LEASE_S)
    assert newer is not None
    entries = await journal.read(0, 10)
    with pytest.raises(LeaseLost):
        await consumer.apply(entries, lease)
    assert await consumer.watermark() == 0
    assert await rows(journal, clusters) == set()
    assert await consumer.claim(ELSEWHERE, LEASE_S) is None
    await other.apply(entries, newer)
    assert len(await rows(journal, clusters)) == 2
    assert await other.watermark() == 2


async def every_row(journal: Journal, clusters: SqliteClusters) -> set[Cluster]:
    """Also of contents that are no longer live."""
    hashes = {entry.content_hash for entry in await journal.read(0, 100_000)}
    return set((await clusters.clusters_of(sorted(hashes))).values())


async def revise(journal: Journal, known: str, version: str) -> None:
    """A new verdict on one recorded text."""
    made = content(journal, known, score=0.9)._replace(fingerprint=fingerprint(known))
    rejudged = Rejudged(made.content_hash, {".py": made}, {})
    done = await journal.rejudge([rejudged], version, lambda _: True)
    assert done.ops == {Op.REVISE: 1}
