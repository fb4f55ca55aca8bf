"""Figures of a round, as they are told while it runs and as people ask for them with SQL."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from pathlib import Path

from tests.trainer.registry.build import rounds
from tests.trainer.registry.conftest import FILE
from tests.trainer.registry.sql import rows_of
from trainer.registry.base import Registry
from trainer.types import Progress

ASKED = """
select step, steps, epoch, loss, eval_loss, learning_rate, grad_norm, tokens, tokens_per_s,
       training_time_seconds, packing_fill, speed_of_light
from t5_training_progress order by inserted_at desc, step desc"""


def told(step: int) -> Progress:
    return Progress(
        step=step, steps=9, epoch=step / 9, loss=2.5 / (step + 1), eval_loss=None,
        learning_rate=1e-4, grad_norm=0.5, tokens=1 << 40, tokens_per_s=1300.5, seconds=step * 2.0,
        packing_fill=0.99, speed_of_light=0.61,
    )  # fmt: skip


def progress(store: str, place: Path) -> list[Progress]:
    return [Progress(*row) for row in rows_of(store, place, FILE, ASKED)]


async def test_progress_comes_back_newest_first(
    registry: Registry, store: str, place: Path
) -> None:
    session = await (await rounds(registry)).begin()
    await registry.add_progress(session.id, [])
    assert progress(store, place) == []
    await registry.add_progress(session.id, [told(0), told(1)])
    await registry.add_progress(session.id, [told(2)])
    assert progress(store, place) == [told(2), told(1), told(0)]


async def test_a_step_that_is_told_again_is_told_once(
    registry: Registry, store: str, place: Path
) -> None:
    """A resumed round repeats the steps since its checkpoint."""
    session = await (await rounds(registry)).begin()
    await registry.add_progress(session.id, [told(1), told(2)])
    again = replace(told(1), loss=7.0)
    await registry.add_progress(session.id, [again])
    found = progress(store, place)  # of one millisecond, maybe
    assert sorted(found, key=lambda one: one.step) == [again, told(2)]


async def test_what_is_no_number_is_unknown(registry: Registry, store: str, place: Path) -> None:
    session = await (await rounds(registry)).begin()
    wrong = Progress(step=1, loss=nan, eval_loss=inf, grad_norm=-inf)
    await registry.add_progress(session.id, [wrong])
    assert progress(store, place) == [Progress(step=1)]


async def test_results_by_name(registry: Registry, store: str, place: Path) -> None:
    session = await (await rounds(registry)).begin()
    await registry.add_results(session.id, None, {"loss before": 2.5, "loss": nan})
    await registry.add_results(session.id, "v1", {"loss": 2.25})
    asked = "select name, version, value, training_session_id from t5_evaluation_results"
    assert sorted(rows_of(store, place, FILE, asked)) == [
        ("loss", "v1", 2.25, session.id),
        ("loss before", None, 2.5, session.id),
    ]
