"""Stopped at any micro-batch, and gone on with: the same bytes as of a training left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.resume.conftest import IS_FULL, Whole
from tests.trainer.resume.training import SEVERAL, VARIANTS, Call, StopAt, outcome, steps, train
from trainer.types import Stopped

STEP, MEASURE = "training_step", "_mean_loss"
MOMENTS = {
    "before anything": (Call(MEASURE, 0), 0),
    "before the first step": (Call(STEP, 0), 0),
    "within the first step": (Call(STEP, 0), 1),
    "between steps": (Call(STEP, 3), 0),
    "within a step": (Call(STEP, 3), 1),
    "in an evaluation": (Call(MEASURE, 4), 1),
    "after an evaluation": (Call(STEP, 4), 0),
    "as an epoch ends": (Call(STEP, 5), 1),
    "in the second epoch": (Call(STEP, 6), 1),
    "before the last step": (Call(STEP, 10), 0),
    "in the last evaluation": (Call(MEASURE, 11), 1),
    "as the other sets are measured": (Call(MEASURE, 11), 3),
}
OF_ALL = ("within a step", "in an evaluation")

pytestmark = pytest.mark.timeout(300)


def cases() -> list[tuple[str, str]]:
    """Every moment of one variant, some of the others; in the full form every moment of all."""
    others = [v for v in VARIANTS if v not in {"lora", "patience", *SEVERAL}]
    few = [(v, moment) for v in others for moment in (MOMENTS if IS_FULL else OF_ALL)]
    return [("lora", moment) for moment in MOMENTS] + few


def stopped_at(whole: Whole, call: Call, nth: int) -> StopAt:
    """A stop at the n-th question of that kind."""
    return StopAt([at for at, asked in enumerate(whole.stop.calls) if asked == call][nth])


@pytest.mark.parametrize("variant, moment", cases())
def test_stopped_and_gone_on_with_is_the_same(
    model: Path, whole: Callable[[str], Whole], tmp_path: Path, variant: str, moment: str
) -> None:
    call, nth = MOMENTS[moment]
    stopped = train(variant, model, tmp_path, stopped_at(whole(variant), call, nth))
    assert stopped == Stopped(call.step)
    assert steps(tmp_path)[-1] == call.step, "a checkpoint of the last whole step"
    assert outcome(train(variant, model, tmp_path, StopAt()), tmp_path) == whole(variant).outcome


@pytest.mark.parametrize("step", [4, 6, 8])
def test_patience_is_not_forgotten(
    model: Path, whole: Callable[[str], Whole], tmp_path: Path, step: int
) -> None:
    uninterrupted = whole("patience")
    facts = uninterrupted.outcome.trained
    assert (facts["is_early_stopped"], facts["steps"], facts["best_step"]) == (True, 8, 4)
    stop = stopped_at(uninterrupted, Call(MEASURE, step), 1)
    assert train("patience", model, tmp_path, stop) == Stopped(step)
    again = train("patience", model, tmp_path, StopAt())
    assert outcome(again, tmp_path) == uninterrupted.outcome


def test_what_has_ended_is_not_trained_further(
    model: Path, whole: Callable[[str], Whole], tmp_path: Path
) -> None:
    for _ in range(2):
        stop = StopAt()
        trained = train("patience", model, tmp_path, stop)
        assert outcome(trained, tmp_path) == whole("patience").outcome
    assert {call.by for call in stop.calls} == {MEASURE}


def test_many_stops(model: Path, whole: Callable[[str], Whole], tmp_path: Path) -> None:
    """Each piece has nine questions, of which a step and its evaluation take four."""
    ends = [train("lora", model, tmp_path, StopAt(9))]
    while isinstance(ends[-1], Stopped):
        ends.append(train("lora", model, tmp_path, StopAt(9)))
        assert len(ends) < 20, f"it does not come further: {ends}"
    assert len(ends) > 4
    assert outcome(ends[-1], tmp_path) == whole("lora").outcome
