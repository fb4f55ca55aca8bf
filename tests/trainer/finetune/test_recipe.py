"""A training stops early, diverges, runs out of memory, is stopped, and goes on."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from codelupe_daemon.errors import Fatal, Rejected, Transient
from tests.trainer import tiny
from tests.trainer.finetune.rows import Rows, packed
from tests.trainer.finetune.train import DEVICE, SETS, loaded, train, trained
from trainer.errors import Diverged, OutOfMemory
from trainer.finetune import finetune
from trainer.memory import Batches
from trainer.models.load import Loaded, load
from trainer.samples.rows import PackedRow
from trainer.types import Progress, Stopped, Trained

FAST = {"base_learning_rate": 3e-2}
ROWS = Rows(packed(40))
"""Ten steps; where no rows are named, there are three."""
DROPOUT = {"rank": 4, "alpha": 8, "dropout": 0.3}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one layer."""
    return tiny.save_model(tmp_path_factory.mktemp("base"), num_hidden_layers=1)


class Run(NamedTuple):
    result: Trained
    told: list[Progress]
    folder: Path


def run(folder: Path, base: Path, rows: Rows, **sections: dict[str, Any]) -> Run:
    """An undisturbed training."""
    told: list[Progress] = []
    profile = tiny.profile(base, training=FAST, **sections)
    return Run(trained(profile, folder, rows=rows, told=told.append), told, folder)


@pytest.fixture(scope="module")
def ten_steps(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("ten"), base, ROWS)


@pytest.fixture(scope="module")
def with_dropout(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three steps that depend on the random state."""
    return run(tmp_path_factory.mktemp("dropout"), base, Rows(packed(12)), lora=DROPOUT)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def are_equal(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def layer(model: Loaded) -> Any:
    """What a test lets something happen in."""
    return model.model.get_base_model().base_model.layers[-1]


def in_training(model: Loaded, call: int, happens: Callable[[Any], Any]) -> None:
    """At that forward pass of training (from 1 on) the layer's output is what `happens` makes."""
    seen = 0

    def hook(module: Any, _inputs: Any, output: Any) -> Any:
        nonlocal seen
        seen += module.training
        return happens(output) if module.training and seen == call else None

    layer(model).register_forward_hook(hook)


def test_it_is_measured_and_told_at_each_step(ten_steps: Run) -> None:
    result, told, _ = ten_steps
    assert [(at.step, at.steps) for at in told] == [(step, 10) for step in range(1, 11)]
    assert [at.epoch for at in told] == pytest.approx([step / 10 for step in range(1, 11)])
    assert [at.tokens for at in told] == sorted(at.tokens for at in told)
    assert told[-1].tokens == result.tokens == supervised(ROWS)
    assert told[0].learning_rate == pytest.approx(3e-2)
    assert all(at.loss and at.grad_norm and at.tokens_per_s > 0 for at in told)
    assert all(0.4 < at.packing_fill < 1 and at.speed_of_light is None for at in told)
    measured = [at["step"] for at in result.history if "eval_loss" in at]
    assert measured == [2, 4, 6, 8, 10]
    assert [at.eval_loss is None for at in told] == [True, True] + [False] * 8
    assert result.train_loss == pytest.approx(sum(at.loss or 0 for at in told) / 10)
    assert result.before.keys() == result.after.keys() == {"validation", "holdout"}
    assert (result.epochs, result.best_step, result.is_early_stopped) == (1.0, 10, False)


def supervised(rows: Rows) -> int:
    """Of each document four fifths, and never its first token."""
    counted = 0
    for row in rows.rows(0, 0):
        starts = [sum(row.lengths[:at]) for at in range(len(row.lengths))]
        counted += int(row.supervised.sum() - row.supervised[starts].sum())
    return counted


async def test_it_runs_in_a_thread_of_a_silent_process(
    base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    result = await asyncio.to_thread(train, tiny.profile(base, training=FAST), tmp_path)
    assert isinstance(result, Trained)
    assert capfd.readouterr() == ("", "")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_the_share_of_the_speed_of_light_is_told_where_it_is_known(
    base: Path, tmp_path: Path
) -> None:
    told: list[Progress] = []
    profile = tiny.profile(base, training=FAST)
    device = DEVICE._replace(peak_flops=1e12)
    trained(profile, tmp_path / "run", model=loaded(profile, device=device), told=told.append)
    assert all(at.speed_of_light and 0 < at.speed_of_light < 1 for at in told)


def test_it_stops_early_and_the_best_is_kept_beside_the_last(base: Path, tmp_path: Path) -> None:
    wild = {"base_learning_rate": 0.5, "lr_schedule": "constant", "epochs": 4.0}
    evaluation = {"early_stopping_patience": 2, "every_steps_max": 2}
    profile = tiny.profile(base, training=wild, evaluation=evaluation)
    model = loaded(profile)
    result = trained(profile, tmp_path / "run", model=model, rows=ROWS)
    assert result.is_early_stopped
    assert result.steps == result.best_step + 4 < 40
    losses = {int(at["step"]): at["eval_loss"] for at in result.history if "eval_loss" in at}
    assert result.after["validation"] == min(losses.values()) == losses[result.best_step]
    assert not are_equal(tmp_path / "run" / "best", tmp_path / "run" / "final")
    for name, value in weights(tmp_path / "run" / "best").items():
        own = name.replace(".weight", ".default.weight")
        assert torch.equal(model.model.state_dict()[own], value)


def test_without_validation_files_it_is_judged_by_the_training_loss(
    base: Path, tmp_path: Path
) -> None:
    profile = tiny.profile(base, training=FAST)
    result = trained(profile, tmp_path / "run", rows=ROWS, sets={"holdout": SETS["holdout"]})
    assert result.before.keys() == result.after.keys() == {"holdout"}
    by_step = {int(at["step"]): at for at in result.history if "loss" in at}
    judged = {int(at["step"]): at["eval_loss"] for at in result.history if "eval_loss" in at}
    assert judged[4] == pytest.approx((by_step[3]["loss"] + by_step[4]["loss"]) / 2)
    assert judged[result.best_step] == min(judged.values())


def test_sets_without_rows_are_left_out(base: Path, tmp_path: Path) -> None:
    profile = tiny.profile(base)
    sets = {"validation": Rows([]), "holdout": SETS["holdout"], "recent": Rows([])}
    assert trained(profile, tmp_path / "run", sets=sets).after.keys() == {"holdout"}


@pytest.mark.parametrize("plan", [Batches(4, 1), Batches(1, 4)], ids=["4x1", "1x4"])
def test_accumulation_changes_nothing(
    plan: Batches, base: Path, ten_steps: Run, tmp_path: Path
) -> None:
    """Supervised tokens are counted over the whole step: each weighs the same."""
    profile = tiny.profile(base, training=FAST)
    result = trained(profile, tmp_path / "run", rows=ROWS, plan=plan)
    assert losses_of(result) == pytest.approx(losses_of(ten_steps.result), abs=1e-4)
    assert result.tokens == ten_steps.result.tokens


def losses_of(result: Trained) -> list[float]:
    return [at["loss"] for at in result.history if "loss" in at]


@pytest.mark.parametrize("mode", ["full", "selective"])
def test_recomputed_activations_change_nothing(
    mode: str, base: Path, ten_steps: Run, tmp_path: Path
) -> None:
    profile = tiny.profile(base, training=FAST | {"gradient_checkpointing": mode})
    result = trained(profile, tmp_path / "run", rows=ROWS)
    assert losses_of(result) == losses_of(ten_steps.result)


# -- how long --------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimate", [4, 24])
def test_every_row_is_trained_on_whatever_their_number_was_thought_to_be(
    estimate: int, base: Path, tmp_path: Path
) -> None:
    told: list[Progress] = []
    profile = tiny.profile(base, training=FAST)
    rows = Rows(packed(12), estimate)
    result = trained(profile, tmp_path / "run", rows=rows, told=told.append)
    assert (result.steps, result.tokens, result.epochs) == (3, supervised(rows), 1.0)
    assert told[0].steps == estimate // 4
    assert all(at.learning_rate > 0 for at in told)


def test_the_last_step_is_filled_up_with_rows_of_the_next_epoch(base: Path, tmp_path: Path) -> None:
    profile = tiny.profile(base, training=FAST)
    result = trained(profile, tmp_path / "run", rows=Rows(packed(10)))
    assert (result.steps, result.epochs) == (3, 1.2)


def test_a_part_of_an_epoch_ends_by_the_estimate(base: Path, tmp_path: Path) -> None:
    profile = tiny.profile(base, training=FAST | {"epochs": 0.5})
    assert trained(profile, tmp_path / "run", rows=ROWS).steps == 5


def test_nothing_to_train_on_is_told(base: Path, tmp_path: Path) -> None:
    profile = tiny.profile(base)
    with pytest.raises(Rejected, match="nothing of this round"):
        train(profile, tmp_path / "run", rows=Rows([]))


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it_and_the_last_good_checkpoint_stays(
    value: float, base: Path, tmp_path: Path
) -> None:
    profile = tiny.profile(base, training=FAST)
    model = loaded(profile)
    in_training(model, 2 * 3 + 1, lambda output: output * value)
    with pytest.raises(Diverged, match="at step 4") as raised:
        train(profile, tmp_path / "run", model=model, rows=ROWS)
    assert raised.value.step == 4
    saved = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert sorted(saved) == ["checkpoint-0", "checkpoint-2"]
    kept = weights(tmp_path / "run" / "checkpoints" / "checkpoint-2").values()
    assert all(value.isfinite().all() for value in kept)


def runs_out(_: Any) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory: simulated")


def test_out_of_memory_halves_the_micro_batch_once_and_loses_no_step(
    base: Path, ten_steps: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile = tiny.profile(base, training=FAST)
    model, told = loaded(profile), list[Progress]()
    in_training(model, 2 * 4 + 2, runs_out)
    with caplog.at_level(logging.WARNING):
        result = trained(profile, tmp_path / "run", model=model, rows=ROWS, told=told.append)
    assert "out of memory with a micro-batch of 2" in caplog.text
    assert [at.step for at in told] == list(range(1, 11))
    assert losses_of(result) == pytest.approx(losses_of(ten_steps.result), abs=1e-4)


def test_out_of_memory_in_a_measurement_is_gone_on_with(
    base: Path, ten_steps: Run, tmp_path: Path
) -> None:
    profile = tiny.profile(base, training=FAST)
    model = loaded(profile)
    measured = 0

    def hook(module: Any, inputs: Any, _output: Any) -> None:
        nonlocal measured
        are_rows = inputs[0].shape[:2].numel() % 64 == 0  # and not those of the proof
        measured += not module.training and are_rows
        if measured == 5:  # two of each set before the first step, then of the first evaluation
            measured += 1
            runs_out(None)

    layer(model).register_forward_hook(hook)
    result = trained(profile, tmp_path / "run", model=model, rows=ROWS)
    assert measured > 6
    assert losses_of(result) == pytest.approx(losses_of(ten_steps.result), abs=1e-4)
    assert result.after == pytest.approx(ten_steps.result.after, abs=1e-4)


def test_out_of_memory_twice_is_told_with_what_to_do(base: Path, tmp_path: Path) -> None:
    profile = tiny.profile(base, training=FAST)
    model = loaded(profile)
    layer(model).register_forward_hook(
        lambda module, _inputs, _output: runs_out(None) if module.training else None
    )
    with pytest.raises(OutOfMemory, match=r"micro-batch of 1: lower model\.max_length"):
        train(profile, tmp_path / "run", model=model, rows=ROWS)


# -- stopped and gone on with ----------------------------------------------------------------------


class Asked(threading.Event):
    """Set from the n-th question on."""

    def __init__(self, after: int | None) -> None:
        super().__init__()
        self.after, self.by = after, list[str]()

    def is_set(self) -> bool:
        self.by.append(sys._getframe(2).f_code.co_name)
        return self.after is not None and len(self.by) > self.after


def test_a_stop_is_seen_at_every_micro_batch_of_training_and_measuring(
    base: Path, tmp_path: Path
) -> None:
    profile = tiny.profile(base, training=FAST)
    asked = Asked(None)
    trained(profile, tmp_path / "run", stop=asked)
    before, step, measure = ["_mean_loss"] * 4, ["training_step"] * 2, ["_mean_loss"] * 2
    assert asked.by == before + 3 * (step + measure) + measure


@pytest.mark.parametrize(
    "after, step",
    [(2, 0), (5, 0), (7, 1), (9, 1), (17, 3)],
    ids=["measured before", "first step", "evaluated", "second step", "measured after"],
)
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    after: int, step: int, base: Path, with_dropout: Run, tmp_path: Path
) -> None:
    profile = tiny.profile(base, training=FAST, lora=DROPOUT)
    assert train(profile, tmp_path, stop=Asked(after)) == Stopped(step)
    result, expected = trained(profile, tmp_path), with_dropout.result
    assert losses_of(result) == losses_of(expected)
    assert (result.before, result.after) == (expected.before, expected.after)
    assert are_equal(tmp_path / "best", with_dropout.folder / "best")
    assert are_equal(tmp_path / "final", with_dropout.folder / "final")


def test_rows_that_do_not_come_leave_a_checkpoint(
    base: Path, with_dropout: Run, tmp_path: Path
) -> None:
    class Late(Rows):
        def rows(self, seed: int, epoch: int, *, skip: int = 0) -> Iterator[PackedRow]:
            yield from islice(super().rows(seed, epoch, skip=skip), 6)
            raise Transient("no rows came")

    profile = tiny.profile(base, training=FAST, lora=DROPOUT)
    with pytest.raises(Transient, match="no rows came"):
        train(profile, tmp_path, rows=Late(packed(12)))
    assert (tmp_path / "checkpoints" / "checkpoint-1").is_dir()
    assert losses_of(trained(profile, tmp_path)) == losses_of(with_dropout.result)


def test_an_ended_training_only_lays_its_result_down_again(base: Path, tmp_path: Path) -> None:
    profile = tiny.profile(base, training=FAST)
    first = trained(profile, tmp_path)
    told: list[Progress] = []
    assert trained(profile, tmp_path, told=told.append) == first
    assert told == []


def test_another_batch_is_refused_in_the_middle_of_a_round(base: Path, tmp_path: Path) -> None:
    profile = tiny.profile(base, training=FAST)
    train(profile, tmp_path / "run", stop=Asked(8))
    with pytest.raises(Fatal, match=r"began with 4 rows a step and cannot go on with 8: .*back"):
        train(profile, tmp_path / "run", plan=Batches(4, 2))


def test_a_model_from_scratch_is_trained_whole_and_then_adapted(tmp_path: Path) -> None:
    model = {
        "from_scratch": True,
        "config": {"model_type": "qwen2"} | tiny._MODERN,
        "vocab_size": tiny.VOCAB_SIZE,
    }
    profile = tiny.profile("demo", model=model, training=FAST)
    scratch = tiny.save_tokenizer(tmp_path / "scratch")
    born = load(profile, DEVICE, adapter=None, scratch=scratch)
    assert born.model.config.vocab_size == len(born.tokenizer)
    given: dict[str, Any] = {"plan": Batches(2, 2), "stop": threading.Event(), "told": print}
    first = finetune(profile, born, ROWS, SETS, tmp_path / "one", **given)
    assert isinstance(first, Trained)
    assert first.after["validation"] < first.before["validation"] - 0.1

    root = tmp_path / "one" / "best"
    tiny.save_tokenizer(root)
    adapted = load(profile, DEVICE, adapter=root, scratch=root)
    assert adapted.base.digest != born.base.digest
    second = finetune(profile, adapted, Rows(packed(40, 9)), SETS, tmp_path / "two", **given)
    assert isinstance(second, Trained)
    assert second.before["validation"] == pytest.approx(first.after["validation"], abs=1e-4)
    assert second.after["validation"] < second.before["validation"]
    assert (tmp_path / "two" / "best" / "adapter_config.json").is_file()
