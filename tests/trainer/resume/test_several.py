"""Two processes (gloo, on this machine) train as one does, end at the same step, stop as one: with
DDP, and with FSDP, which shards all weights, or those of an adapter and its base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from codelupe_daemon.errors import Fatal
from tests.trainer.finetune.rows import Rows, packed
from tests.trainer.finetune.test_architectures import loss_of
from tests.trainer.resume.children import ended, started
from tests.trainer.resume.training import (
    SEVERAL,
    Outcome,
    StopAt,
    make_model,
    outcome,
    steps,
    train,
)
from trainer import distributed
from trainer.checkpoints import newest

pytestmark = pytest.mark.timeout(600)

ROWS = 24
"""The last of them is one process's: it alone sees the end of the epoch."""
LOSS_BOUND = {"ddp": 1e-4, "fsdp": 1e-4, "fsdp-lora": 2e-4}
NORM_BOUND = {"ddp": 1e-4, "fsdp": 1e-4, "fsdp-lora": 2e-2}
"""Relative: the same numbers are added up in another order; the last in bf16, in which a loss
itself would be off by 2e-3."""
WEIGHT_BOUND = {"ddp": 1e-4, "fsdp": 1e-4, "fsdp-lora": 3e-2}
"""Absolute, after 6 steps of up to 1e-2."""

Ended = Mapping[str, Outcome]
"""What came out of each variant, in both processes."""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout, whose random numbers each process draws for itself."""
    return make_model(tmp_path_factory.mktemp("models") / "quiet", dropout=0.0)


def two(model: Path, folder: Path, *arguments: str | int) -> dict[str, dict[str, Any]]:
    """All variants, in two processes of half as large micro-batches."""
    arguments = (*SEVERAL, "--rows", ROWS, "--batches", 1, 2, *arguments)
    child = started(model, folder, *arguments, processes=2)
    said = ended(child, *(folder / variant for variant in SEVERAL))
    assert said[::2] == said[1::2]
    return dict(zip(SEVERAL, said[::2], strict=True))


@pytest.fixture(scope="module")
def pair(quiet: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    folder = tmp_path_factory.mktemp("pair")
    return folder, {variant: Outcome(**said) for variant, said in two(quiet, folder).items()}


@pytest.fixture(scope="module")
def alone(
    quiet: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, Outcome]]:
    @cache
    def of(variant: str) -> tuple[Path, Outcome]:
        folder = tmp_path_factory.mktemp("alone")
        return folder, outcome(train(variant, quiet, folder, StopAt(), rows=ROWS), folder)

    return of


@pytest.mark.parametrize("variant", SEVERAL)
def test_two_processes_learn_what_one_learns(
    pair: tuple[Path, Ended], alone: Callable[[str], tuple[Path, Outcome]], variant: str
) -> None:
    folder, (lone, theirs), ours = pair[0] / variant, alone(variant), pair[1][variant]
    counts = ("steps", "epochs", "tokens", "best_step")
    assert [ours.trained[n] for n in counts] == [theirs.trained[n] for n in counts]
    for name in ("before", "after"):
        bound = LOSS_BOUND[variant] / 10
        assert ours.trained[name] == pytest.approx(theirs.trained[name], rel=bound)
    for name, bounds in (
        ("loss", LOSS_BOUND),
        ("eval_loss", LOSS_BOUND),
        ("grad_norm", NORM_BOUND),
    ):
        found, expected = (
            [at[name] for at in one.trained["history"] if name in at] for one in (ours, theirs)
        )
        assert found == pytest.approx(expected, rel=bounds[variant])
    (weights,) = (folder / "final").glob("*.safetensors")
    saved, theirs_saved = load_file(weights), load_file(lone / "final" / weights.name)
    assert {n: w.dtype for n, w in saved.items()} == {n: w.dtype for n, w in theirs_saved.items()}
    apart = max((saved[n] - theirs_saved[n]).abs().max().item() for n in saved)
    assert apart < WEIGHT_BOUND[variant]


@pytest.mark.parametrize("variant", SEVERAL)
def test_what_two_processes_leave_loads_in_transformers_and_peft(
    pair: tuple[Path, Ended], variant: str
) -> None:
    folder, ours = pair[0] / variant, pair[1][variant]
    kind = AutoPeftModelForCausalLM if variant == "fsdp-lora" else AutoModelForCausalLM
    model = kind.from_pretrained(folder / "best", dtype=torch.float32).eval()
    measured = loss_of(model, [*Rows(packed(5, 1)).rows(0, 0)][:4])
    assert measured == pytest.approx(ours.trained["after"]["validation"], rel=LOSS_BOUND[variant])


@pytest.mark.parametrize("variant", SEVERAL)
def test_each_checkpoint_is_written_once_with_the_random_state_of_both(
    pair: tuple[Path, Ended], variant: str
) -> None:
    folder = pair[0] / variant
    assert steps(folder) == [5, 6]
    checkpoint = newest(folder / "checkpoints")
    assert checkpoint
    names = {path.name for path in checkpoint.iterdir()}
    optimizer = "optimizer.pt" if variant == "ddp" else "optimizer.bin"
    assert {"rng_state_0.pth", "rng_state_1.pth", optimizer} <= names


def test_a_stop_of_one_stops_both_and_both_go_on(
    pair: tuple[Path, Ended], quiet: Path, tmp_path: Path
) -> None:
    """Rank 1 alone is asked to, in the middle of its third step."""
    stopped = two(quiet, tmp_path, "--stop-at", 13, 1)
    assert list(stopped.values()) == [{"step": 2}] * 3
    assert [steps(tmp_path / variant)[-1] for variant in SEVERAL] == [2, 2, 2]
    again = two(quiet, tmp_path)
    assert {variant: Outcome(**said) for variant, said in again.items()} == pair[1]


def test_alone_nothing_is_asked_of_others() -> None:
    assert (distributed.world_size(), distributed.rank(), distributed.is_main()) == (1, 0, True)
    assert [distributed.agree(is_wanted=wanted) for wanted in (True, False)] == [True, False]
    assert distributed.from_main(lambda: "an answer") == "an answer"
    distributed.start("cpu")
    distributed.barrier()
    distributed.end()
    assert distributed.arguments("deepspeed", "cpu", "fp32") == (
        distributed.arguments("ddp", "cpu", "fp32")
    )


@pytest.mark.parametrize(
    "kind, device, precision, message",
    [
        ("fsdp", "cuda", "fp16", "no scaled fp16: set it to ddp"),
        ("deepspeed", "cpu", "fp32", "needs GPUs: set it to ddp or fsdp"),
        ("deepspeed", "cuda", "bf16", "is not installed: install the package deepspeed, or set"),
    ],
)
def test_what_several_processes_cannot_use_is_told(
    monkeypatch: pytest.MonkeyPatch, kind: Any, device: Any, precision: Any, message: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(Fatal, match=message):
        distributed.arguments(kind, device, precision)
