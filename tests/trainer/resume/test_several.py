"""Two processes (gloo, on this machine) train as one does, end at the same step, stop as one."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from codelupe_daemon.errors import Fatal
from tests.trainer.resume.children import ended, started
from tests.trainer.resume.training import Outcome, StopAt, make_model, outcome, steps, train
from trainer import distributed
from trainer.checkpoints import newest

pytestmark = pytest.mark.timeout(600)

ROWS = 24
"""The last of them is one process's: it alone sees the end of the epoch."""
LOSS_BOUND = 1e-5
"""Relative: the same numbers are added up in another order."""
WEIGHT_BOUND = 1e-4
"""Absolute, after 6 steps of up to 1e-2."""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout, whose random numbers each process draws for itself."""
    return make_model(tmp_path_factory.mktemp("models") / "quiet", dropout=0.0)


def two(variant: str, model: Path, folder: Path, *arguments: str | int) -> list[dict[str, object]]:
    """Two processes of half as many micro-batches."""
    arguments = ("--rows", ROWS, "--micro-batches", 1, *arguments)
    said = ended(started(variant, model, folder, *arguments, processes=2), folder)
    assert len(said) == 2
    return said


@pytest.fixture(scope="module")
def pair(quiet: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("pair")
    first, second = two("one-epoch", quiet, folder)
    assert first == second
    return folder, Outcome(**first)  # type: ignore[arg-type]  # as it was written


def test_two_processes_learn_what_one_learns(
    pair: tuple[Path, Outcome], quiet: Path, tmp_path: Path
) -> None:
    folder, ours = pair
    alone = train("one-epoch", quiet, tmp_path, StopAt(), rows=ROWS)
    theirs = outcome(alone, tmp_path)
    counts = ("steps", "epochs", "tokens", "best_step")
    assert [ours.trained[n] for n in counts] == [theirs.trained[n] for n in counts]
    for name in ("before", "after"):
        assert ours.trained[name] == pytest.approx(theirs.trained[name], rel=LOSS_BOUND)
    history = zip(ours.trained["history"], theirs.trained["history"], strict=True)
    assert [one for one, other in history if one != pytest.approx(other, rel=10 * LOSS_BOUND)] == []
    weights, expected = (load_file(at / "final" / "model.safetensors") for at in (folder, tmp_path))
    assert weights.keys() == expected.keys()
    assert max((weights[n] - expected[n]).abs().max().item() for n in weights) < WEIGHT_BOUND


def test_each_checkpoint_is_written_once_with_the_random_state_of_both(
    pair: tuple[Path, Outcome],
) -> None:
    folder, ours = pair
    assert steps(folder) == [5, 6]
    checkpoint = newest(folder / "checkpoints")
    assert checkpoint
    names = {path.name for path in checkpoint.iterdir()}
    assert {"rng_state_0.pth", "rng_state_1.pth", "optimizer.pt", "model.safetensors"} <= names
    assert f"checkpoints/checkpoint-{ours.trained['steps']}/optimizer.pt" in ours.sha256


def test_a_stop_of_one_stops_both_and_both_go_on(
    pair: tuple[Path, Outcome], quiet: Path, tmp_path: Path
) -> None:
    """Rank 1 alone is asked to, as it measures after its third step."""
    _, uninterrupted = pair
    stopped = two("one-epoch", quiet, tmp_path, "--stop-at", 12, 1)
    assert stopped[0] == stopped[1]
    (step,) = stopped[0].values()
    assert steps(tmp_path)[-1] == step
    assert 0 < int(str(step)) < 6
    again = two("one-epoch", quiet, tmp_path)
    assert again[0] == again[1]
    assert Outcome(**again[0]) == uninterrupted  # type: ignore[arg-type]  # as it was written


def test_alone_nothing_is_asked_of_others() -> None:
    assert (distributed.world_size(), distributed.rank(), distributed.is_main()) == (1, 0, True)
    assert [distributed.agree(is_wanted=wanted) for wanted in (True, False)] == [True, False]
    assert distributed.from_main(lambda: "an answer") == "an answer"
    distributed.start("cpu")
    distributed.barrier()
    distributed.end()
    assert distributed.arguments("deepspeed", "cpu") == distributed.arguments("ddp", "cpu")


@pytest.mark.parametrize(
    "kind, device, message",
    [
        ("fsdp", "cpu", "needs GPUs: set it to ddp"),
        ("deepspeed", "cpu", "needs GPUs: set it to ddp"),
        ("deepspeed", "cuda", "is not installed: install the package deepspeed, or set"),
    ],
)
def test_what_several_processes_cannot_use_is_told(
    monkeypatch: pytest.MonkeyPatch, kind: str, device: str, message: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(Fatal, match=message):
        distributed.arguments(kind, device)  # type: ignore[arg-type]  # one of them each
    assert distributed.arguments("fsdp", "cuda")["fsdp"] is True
