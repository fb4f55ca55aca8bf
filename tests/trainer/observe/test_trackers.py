"""Weights & Biases and TensorBoard, through transformers' Trainer, with no network."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.errors import UsageError
from tests.trainer import tiny
from trainer.observe import trackers
from trainer.observe.trackers import check, tracking
from trainer.profile import Profile


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """wandb reads the environment once; its service process does not outlive a test."""
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "TENSORBOARD_LOGGING_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


def profile(*report_to: str) -> Profile:
    whole = tiny.profile("example/tiny")
    training = whole.training.model_copy(update={"report_to": report_to})
    return whole.model_copy(update={"training": training})


def nowhere(text: str) -> None:
    raise AssertionError(text)


def train(
    report_to: Profile, session: str, folder: Path, tell: Callable[[str], None] = nowhere
) -> list[dict[str, Any]]:
    """Two steps as a round makes them, on a thread of its own; what Trainer logged."""
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    logged: list[dict[str, Any]] = []

    def run() -> None:
        arguments = TrainingArguments(
            str(folder / "work"), max_steps=2, logging_steps=1, save_strategy="no",
            disable_tqdm=True, use_cpu=True, report_to=list(report_to.training.report_to),
        )  # fmt: skip
        model = AutoModelForCausalLM.from_config(tiny.tiny("qwen2"))
        rows = [{"input_ids": list(range(8)), "labels": list(range(8))}] * 4
        with tracking(report_to, session, "tiny: file:/a/b 1 to 9", folder, tell):
            trainer = Trainer(model, arguments, train_dataset=rows)
            trainer.train()
        logged.extend(trainer.state.log_history)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert logged
    return logged


def test_tensorboard_holds_the_losses(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]  # it has no types
        EventAccumulator,
    )

    logged = train(profile("tensorboard"), "r1", tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "r1")).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train/loss")]
    expected = [(it["step"], it["loss"]) for it in logged if "loss" in it]
    assert [step for step, _ in losses] == [1, 2]
    assert [value for _, value in losses] == pytest.approx([loss for _, loss in expected])
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ


def runs(folder: Path) -> list[str]:
    """Sessions whose losses were recorded offline, in order of their names."""
    sys.modules["wandb"].teardown()  # ends when everything is written
    files = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    return sorted(
        path.stem.removeprefix("run-") for path in files if b"train/loss" in path.read_bytes()
    )


def test_each_round_is_a_run_of_wandb(tmp_path: Path) -> None:
    """Also in one process, where transformers alone would put all rounds into one run."""
    for session in ("r1", "r2"):
        train(profile("wandb"), session, tmp_path)
    assert runs(tmp_path) == ["r1", "r2"]


def test_both(tmp_path: Path) -> None:
    train(profile("wandb", "tensorboard"), "r1", tmp_path)
    assert runs(tmp_path) == ["r1"]
    assert len(list((tmp_path / "tensorboard" / "r1").iterdir())) == 1


def test_neither(tmp_path: Path) -> None:
    train(profile(), "r1", tmp_path)
    assert not (tmp_path / "wandb").exists()
    assert not (tmp_path / "tensorboard").exists()


def test_a_server_that_is_away_costs_no_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setattr(trackers, "INIT_S", 1.0)
    said: list[str] = []
    train(profile("wandb"), "r1", tmp_path, said.append)
    assert len(said) == 1
    assert "wandb is away, this round is recorded offline" in said[0]
    assert runs(tmp_path) == ["r1"]


def test_no_key_for_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE")
    with (
        pytest.raises(UsageError, match=r"wandb login.*WANDB_MODE=offline"),
        tracking(profile("wandb"), "r1", "a round", tmp_path, nowhere),
    ):
        pass
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_a_package_that_is_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(profile(name))
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=f"names {name}, .* `pip install {name}`"):
        check(profile(name))
    check(profile())
