"""Figures of a round, as they are told while it runs and as people ask for them with SQL."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path

from tests.trainer.registry.build import rounds
from tests.trainer.registry.conftest import FILE
from tests.trainer.registry.sql import rows_of
from trainer.registry.base import Registry
from trainer.types import Progress


def told(step: int, **facts: float) -> Progress:
    return Progress(
        step=step, steps=9, epoch=step / 9, loss=2.5 / (step + 1), eval_loss=None,
        learning_rate=1e-4, grad_norm=0.5, tokens=1 << 40, tokens_per_s=1300.5, seconds=step * 2.0,
        packing_fill=0.99, speed_of_light=0.61,
    ) if not facts else Progress(step=step, **facts)  # type: ignore[arg-type]  # by name  # fmt: skip


async def test_progress_comes_back_newest_first(registry: Registry) -> None:
    session = await (await rounds(registry)).begin()
    await registry.add_progress(session.id, [])
    await registry.add_progress(session.id, [told(0), told(1)])
    await registry.add_progress(session.id, [told(2)])
    assert await registry.progress(session.id, 9) == [told(2), told(1), told(0)]
    assert await registry.progress(session.id, 2) == [told(2), told(1)]
    assert await registry.progress("another", 2) == []


async def test_a_step_that_is_told_again_is_told_once(registry: Registry) -> None:
    """A resumed round repeats the steps since its checkpoint."""
    session = await (await rounds(registry)).begin()
    await registry.add_progress(session.id, [told(1), told(2)])
    await registry.add_progress(session.id, [told(1, loss=7.0)])
    found = await registry.progress(session.id, 9)  # of one millisecond, maybe
    assert sorted(found, key=lambda one: one.step) == [told(1, loss=7.0), told(2)]


async def test_what_is_no_number_is_unknown(registry: Registry) -> None:
    session = await (await rounds(registry)).begin()
    await registry.add_progress(session.id, [told(1, loss=nan, eval_loss=inf, grad_norm=-inf)])
    assert await registry.progress(session.id, 9) == [Progress(step=1)]


async def test_results_by_name(registry: Registry, store: str, place: Path) -> None:
    session = await (await rounds(registry)).begin()
    await registry.add_results(session.id, None, {"loss before": 2.5, "loss": nan})
    await registry.add_results(session.id, "v1", {"loss": 2.25})
    asked = "select name, version, value, training_session_id from t5_evaluation_results"
    assert sorted(rows_of(store, place, FILE, asked)) == [
        ("loss", "v1", 2.25, session.id),
        ("loss before", None, 2.5, session.id),
    ]
