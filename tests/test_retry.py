"""What is transient is tried again, and not for ever."""

from __future__ import annotations

import pytest

from codelupe_daemon.errors import Rejected, Transient
from codelupe_daemon.retry import retried


class Flaky:
    """Fails so often, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


async def test_it_is_tried_until_it_succeeds() -> None:
    assert await retried(Flaky(2, Transient("busy")), patience_s=30) == 3


async def test_who_wants_to_know_hears_of_failures_and_of_their_end() -> None:
    heard: list[str] = []
    flaky = Flaky(2, Transient("busy"))
    await retried(flaky, 30, told=lambda error: heard.append(str(error)))
    assert heard == ["busy", "busy", "None"]
    await retried(flaky, 30, told=lambda error: heard.append(str(error)))
    assert len(heard) == 3


async def test_an_error_that_is_an_answer_ends_a_failure_too() -> None:
    heard: list[str] = []
    errors = iter([Transient("away"), Rejected("no")])

    async def work() -> None:
        raise next(errors)

    with pytest.raises(Rejected):
        await retried(work, 30, told=lambda error: heard.append(str(error)))
    assert heard == ["away", "None"]


async def test_patience_ends() -> None:
    flaky = Flaky(1000, Transient("busy"))
    with pytest.raises(Transient, match="busy"):
        await retried(flaky, patience_s=0.15)
    assert 1 < flaky.calls < 10


async def test_what_is_not_transient_goes_through_at_once() -> None:
    flaky = Flaky(1, Rejected("no"))
    with pytest.raises(Rejected):
        await retried(flaky, patience_s=30)
    assert flaky.calls == 1


async def test_stopping_ends_it_too() -> None:
    flaky = Flaky(1, Transient("busy"))
    with pytest.raises(Transient):
        await retried(flaky, patience_s=30, is_stopping=lambda: True)
