"""Who trains a profile: one at a time, and whoever was taken over writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from codelupe_daemon.journal.owner import this_process
from tests.contract.build import DEAD, ELSEWHERE
from tests.trainer.registry.build import EXPIRED_S, LEASE_S, PROFILE, manifest, row, version
from trainer.errors import StaleTrainer
from trainer.registry.base import Holder, Registry
from trainer.types import SessionStatus, Side


@pytest.mark.parametrize("owner", [this_process(), ELSEWHERE], ids=["here", "elsewhere"])
async def test_a_living_trainer_is_left_alone(registry: Registry, owner: str) -> None:
    held = await registry.claim(PROFILE, owner, LEASE_S)
    assert held == Holder(PROFILE, owner, 1)
    for taker in (this_process(), ELSEWHERE, "a-third:boot:1:1"):
        assert await registry.claim(PROFILE, taker, LEASE_S) is None
    await registry.renew(held, LEASE_S)


@pytest.mark.parametrize(
    ("owner", "lease_s"), [(DEAD, LEASE_S), (ELSEWHERE, EXPIRED_S)], ids=["dead", "expired"]
)
async def test_a_dead_or_expired_trainer_is_taken_over(
    registry: Registry, owner: str, lease_s: float
) -> None:
    await registry.claim(PROFILE, owner, lease_s)
    assert await registry.claim(PROFILE, this_process(), LEASE_S) == Holder(
        PROFILE, this_process(), 2
    )


async def test_a_renewed_lease_lives_on_and_a_released_one_is_free(registry: Registry) -> None:
    held = await registry.claim(PROFILE, ELSEWHERE, EXPIRED_S)
    assert held is not None
    await registry.renew(held, LEASE_S)
    assert await registry.claim(PROFILE, this_process(), LEASE_S) is None
    await registry.release(held)
    assert await registry.claim(PROFILE, this_process(), LEASE_S) is not None


async def test_profiles_are_claimed_apart(registry: Registry) -> None:
    assert await registry.claim("a", this_process(), LEASE_S) == Holder("a", this_process(), 1)
    assert await registry.claim("b", ELSEWHERE, LEASE_S) == Holder("b", ELSEWHERE, 1)


async def test_of_several_that_claim_at_once_one_has_it(another: Callable[[], Registry]) -> None:
    two = [another(), another()]
    await asyncio.gather(*(one.open() for one in two))  # they also make the tables at once
    owners = [f"machine-{number}:boot:1:1" for number in range(8)]
    claims = (two[n % 2].claim(PROFILE, owner, LEASE_S) for n, owner in enumerate(owners))
    held = [holder for holder in await asyncio.gather(*claims) if holder is not None]
    assert len(held) == 1
    await two[0].renew(held[0], LEASE_S)
    for one in two:
        await one.close()


async def test_who_was_taken_over_writes_nothing(registry: Registry) -> None:
    stale = await registry.claim(PROFILE, DEAD, LEASE_S)
    assert stale is not None
    begun = await registry.begin(stale, manifest("one", [row(1, "a")]), {})
    fresh = await registry.claim(PROFILE, this_process(), LEASE_S)
    assert fresh is not None
    for attempt in (
        registry.renew(stale, LEASE_S),
        registry.release(stale),
        registry.begin(stale, manifest("two", [row(2, "b")]), {"repo:b": Side.TRAIN}),
        registry.mark(stale, begun.id, SessionStatus.TRAINING, {"by": "stale"}),
        registry.finish(stale, begun.id, SessionStatus.COMPLETED, version=version(begun.id, "1")),
    ):
        with pytest.raises(StaleTrainer, match=PROFILE):
            await attempt
    assert await registry.open_session(PROFILE) == begun
    assert await registry.sessions(None, 9) == [begun]
    assert await registry.versions() == []
    assert await registry.all_sides(PROFILE) == {}
    assert await registry.watermark(PROFILE, "journal") == 0
    assert await registry.claim(PROFILE, ELSEWHERE, LEASE_S) is None
    await registry.mark(fresh, begun.id, SessionStatus.TRAINING, {})
