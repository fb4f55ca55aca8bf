"""Counting steps over rounds and restarts, and noticing that training hangs."""

from __future__ import annotations

import time

import pytest

from codelupe_daemon.observe.progress import duration
from tests.trainer.observe.states import progress, training
from trainer.observe.display import line
from trainer.observe.state import STALL_S, Doing, State, Stop
from trainer.types import Progress


def test_steps_and_tokens_are_counted_over_rounds() -> None:
    state = State("tiny")
    for session in ("r1", "r2"):
        state.enter(Doing.TRAINING, session)
        for step in (1, 2, 5):
            state.told(progress(step))
        state.enter(Doing.PUBLISHING, session)
        assert state.progress.step == 5
    assert (state.steps_total, state.tokens_total) == (10, 10_000)


def test_steps_of_another_process_are_not_counted_again() -> None:
    state = State("tiny")
    state.enter(Doing.TRAINING, "r1")
    for step in (21, 22, 23):
        state.told(progress(step))
    assert (state.steps_total, state.tokens_total) == (2, 2000)
    assert state.left_s() == 2.0 * 17


def test_what_is_told_is_copied() -> None:
    state, told = State("tiny"), progress(1)
    state.enter(Doing.TRAINING, "r1")
    state.told(told)
    told.loss = None
    assert state.progress.loss == 2.49
    assert state.losses == {"validation": 2.25}


def test_a_new_session_begins_with_nothing() -> None:
    state = training()
    state.enter(Doing.FREEZING, "r5")
    assert (state.progress, state.left_s()) == (Progress(), None)


@pytest.mark.parametrize("doing", list(Doing))
def test_only_training_can_hang(doing: Doing, monkeypatch: pytest.MonkeyPatch) -> None:
    state = training()
    state.enter(doing, "r4")
    assert not state.is_stuck()
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + STALL_S + 1)
    assert state.is_stuck() == (doing is Doing.TRAINING)


def test_asking_whether_to_stop_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    state = training()
    stop = Stop(state)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + STALL_S + 1)
    assert state.is_stuck()
    assert not stop.is_set()
    assert not state.is_stuck()
    stop.set()
    assert stop.is_set()


def test_the_line_of_a_round() -> None:
    state = training()
    assert line(state) == (
        "r4: step 10/40, loss 2.4000, evaluated 2.2500, 1,250 tokens/s, about 1:00 left,"
        " 21.0 of 32.0 GiB"
    )
    assert duration(state.left_s() or 0) == "1:00"


def test_the_line_without_a_card_and_before_the_first_step() -> None:
    state = training()
    assert state.hardware
    state.hardware = type(state.hardware)(time.monotonic(), 0.5, 2 << 30, 4 << 30)
    assert line(state).endswith("2.0 of 4.0 GiB")
    state.enter(Doing.TRAINING, "r5")
    assert line(state) == "r5: training"


def test_the_line_of_a_wait() -> None:
    state = State("tiny", pending=1234, problem="connection refused")
    assert line(state) == "starting, connection refused"
    state.enter(Doing.WAITING)
    state.problem = None
    assert line(state) == "waiting, 1,234 new rows"


def test_figures_of_a_machine_that_is_silent_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a call into a lost card never returns."""
    state = training()
    assert state.machine() is state.hardware
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 11)
    assert state.machine() is None
    assert state.status()["hardware"] is None
