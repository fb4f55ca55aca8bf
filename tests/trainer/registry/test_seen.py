"""What earlier rounds saw: trained, replayed, measured; and the sides, once and for all."""

from __future__ import annotations

import pytest

from tests.trainer.registry.build import PROFILE, SOURCE, hash_of, manifest, rounds, row
from trainer.registry.base import Registry
from trainer.types import ENDED, Origin, SessionStatus, Side

TRAINED = {SessionStatus.COMPLETED, SessionStatus.NOT_PROMOTED}


@pytest.mark.parametrize("status", sorted(ENDED))
async def test_trained_are_rows_of_rounds_that_trained(
    registry: Registry, status: SessionStatus
) -> None:
    done = await rounds(registry)
    hashes = [hash_of(word) for word in "abcd"]
    await done.begin(row(1, "a"), row(2, "b", Side.VALIDATION))
    assert await registry.trained(PROFILE, hashes) == set()
    [session] = await registry.sessions(PROFILE, 1)
    await registry.finish(done.holder, session.id, status)
    expected = {hash_of("a")} if status in TRAINED else set()
    assert await registry.trained(PROFILE, hashes) == expected
    assert await registry.trained(PROFILE, []) == set()
    assert await registry.trained("other", hashes) == set()
    assert [one.content_hash for one in await registry.replay(PROFILE, 9)] == list(expected)


async def test_replay_is_of_new_rows_newest_first_each_once(registry: Registry) -> None:
    done = await rounds(registry)
    completed = SessionStatus.COMPLETED
    await done.end(row(1, "a"), row(3, "c"), row(2, "b"), status=completed)
    await done.end(row(4, "d", Side.VALIDATION), row(5, "e"), row(6, "a"), status=completed)
    await done.end(row(7, "w"), status=SessionStatus.WITHDRAWN)
    await done.end(
        row(2, "b", origin=Origin.REPLAY), row(8, "f"), status=SessionStatus.NOT_PROMOTED
    )
    await done.begin(row(9, "open"))
    kept = await registry.replay(PROFILE, 99)
    assert [one.id for one in kept] == [8, 6, 5, 3, 2]
    assert kept[0] == row(8, "f")
    assert [one.id for one in await registry.replay(PROFILE, 3)] == [8, 6, 5]
    assert await registry.replay(PROFILE, 0) == []
    assert await registry.replay("other", 9) == []


async def test_the_last_row_that_was_taken_of_a_source(registry: Registry) -> None:
    done = await rounds(registry)
    assert await registry.last_taken(PROFILE, SOURCE) is None
    taken = (
        row(5, "e"),
        row(9, "v", Side.VALIDATION),
        row(7, "b"),
        row(2, "a", origin=Origin.REPLAY),
    )
    await done.end(*taken, status=SessionStatus.NOT_PROMOTED)
    await done.end(row(120, "w"), status=SessionStatus.WITHDRAWN)
    await done.end(row(130, "v", Side.VALIDATION), status=SessionStatus.EMPTY)
    await done.begin(row(210, "open"))
    assert await registry.last_taken(PROFILE, SOURCE) == (7, hash_of("b"))
    assert await registry.last_taken(PROFILE, "elasticsearch") is None
    assert await registry.last_taken("other", SOURCE) is None


@pytest.mark.parametrize("side", [Side.VALIDATION, Side.HOLDOUT])
async def test_measured_are_rows_of_a_side_whatever_became_of_the_round(
    registry: Registry, side: Side
) -> None:
    done = await rounds(registry)
    await done.end(row(1, "a", side), row(2, "b"), status=SessionStatus.DIVERGED)
    await done.end(row(3, "a", side), row(4, "c", side), status=SessionStatus.COMPLETED)
    await done.end(status=SessionStatus.EMPTY)
    await done.begin(row(5, "open", side))
    measured = await registry.measured(PROFILE, side, 9)
    assert measured == [row(4, "c", side), row(3, "a", side)]
    assert await registry.measured(PROFILE, side, 1) == [row(4, "c", side)]


async def test_sides_are_of_a_profile(registry: Registry) -> None:
    done, other = await rounds(registry), await rounds(registry, "other")
    decided = {
        "repo:größe/'x'": Side.HOLDOUT, "repo:a": Side.TRAIN, "cluster:ff": Side.VALIDATION
    }  # fmt: skip
    await registry.begin(done.holder, manifest("one"), decided)
    await registry.begin(other.holder, manifest("two", profile="other"), {"repo:a": Side.HOLDOUT})
    assert await registry.sides(PROFILE, [*decided, "repo:unknown"]) == decided
    assert await registry.sides(PROFILE, []) == {}
    assert await registry.sides("other", list(decided)) == {"repo:a": Side.HOLDOUT}
    repositories = {key: side for key, side in decided.items() if key.startswith("repo:")}
    assert await registry.all_sides(PROFILE) == repositories


async def test_sides_that_were_decided_may_be_told_again(registry: Registry) -> None:
    done = await rounds(registry)
    await registry.begin(done.holder, manifest("one"), {"repo:a": Side.HOLDOUT})
    await registry.finish(done.holder, "one", SessionStatus.EMPTY)
    both = {"repo:a": Side.HOLDOUT, "repo:b": Side.TRAIN}
    await registry.begin(done.holder, manifest("two", window=(100, 200)), both)
    assert await registry.all_sides(PROFILE) == both
