"""How long a training is, how it is judged, and how much arithmetic it needs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tests.trainer import tiny
from trainer.finetune.collate import Tally
from trainer.finetune.course import Course, learning_rate, plan_course, read
from trainer.finetune.speed import work_of


def planned(rows: int, *, every_steps_max: int = 100, **training: Any) -> Course:
    evaluation = {"every_steps_max": every_steps_max}
    return plan_course(tiny.profile("x", training=training, evaluation=evaluation), rows, 4)


@pytest.mark.parametrize(
    "rows, every_steps_max, steps, every",
    [(1, 100, 1, 1), (17, 100, 5, 1), (40, 100, 10, 2), (9999, 100, 2500, 100), (400, 7, 100, 7)],
)
def test_it_is_measured_five_times_and_more(
    rows: int, every_steps_max: int, steps: int, every: int
) -> None:
    course = planned(rows, every_steps_max=every_steps_max)
    assert (course.steps, course.every) == (steps, every)


@pytest.mark.parametrize(
    "bounds, epochs", [({}, 2.5), ({"max_epochs": 2.0}, 2.0), ({"min_epochs": 3.0}, 3.0)]
)
def test_a_target_of_tokens_decides_the_epochs_within_bounds(
    bounds: dict[str, Any], epochs: float
) -> None:
    assert planned(10, epochs=None, target_tokens=10 * 64 * 5 // 2, **bounds).epochs == epochs


def test_the_rows_decide_the_end_once_they_are_counted() -> None:
    course = planned(40, epochs=2.0)
    assert (course.last_step(), course.is_over(99)) == (20, False)
    course.epoch_rows = 45
    assert (course.last_step(), course.is_over(22), course.is_over(23)) == (23, False, True)
    assert [course.is_due(step) for step in (0, 4, 5, 22, 23)] == [False, True, False, False, True]


def test_patience_counts_evaluations_since_the_best() -> None:
    course = planned(40)
    ended = []
    for step, loss in enumerate([3.0, 2.0, 2.5, 2.0, 1.9, 1.95, 1.9, 2.0], 1):
        course.judge(step, loss, patience=3)
        ended.append(course.is_early_stopped)
    assert ended == [False] * 7 + [True]
    assert (course.best_step, course.best_loss) == (5, 1.9)


def test_a_course_is_the_same_when_read_again(tmp_path: Path) -> None:
    course = planned(40)
    course.write(tmp_path)
    assert read(tmp_path) == course
    course.before = {"validation": 5.0}
    course.judge(2, 4.0, patience=3)
    course.write(tmp_path)
    assert read(tmp_path) == course


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_warms_up_falls_and_never_reaches_zero(schedule: str) -> None:
    training = {"warmup_share": 0.25, "lr_schedule": schedule}
    factor = learning_rate(tiny.profile("x", training=training), 8)
    warm, peak, *falling = [factor(step) for step in range(1, 12)]
    assert [factor(0), warm, peak] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == falling[4] > 0
    expected = {"cosine": 0.5 * (1 + math.cos(math.pi / 6)), "linear": 5 / 6, "constant": 1.0}
    assert falling[0] == pytest.approx(expected[schedule])


def test_the_arithmetic_of_a_step_is_that_of_its_matrix_products() -> None:
    """Two layers of width 32, 4 heads of 8, 2 of them for keys and values, feed-forward 64."""
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64
    head = 32 * tiny.VOCAB_SIZE
    model = AutoModelForCausalLM.from_config(tiny.tiny("qwen2"))
    work = work_of(model, model)
    assert work == (6 * 2 * layer, 6 * head, 12 * 32 * 2)
    assert work.flops(Tally(100, 10, 52), 4) == 10 * work.token + 4 * work.supervised + 26 * 12 * 64

    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"]))
    adapter = 2 * 4 * (32 + 32)
    assert work_of(adapted, model) == (4 * 2 * layer + 6 * adapter, 4 * head, 12 * 32 * 2)
    with torch.device("meta"):
        gpt2 = AutoModelForCausalLM.from_config(tiny.tiny("gpt2"))
    assert work_of(gpt2, gpt2).token == 6 * 2 * 12 * 32 * 32
