"""Trainings that are the same each time they are run, whole or in pieces, here or in a child."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tests.trainer import tiny
from tests.trainer.finetune.rows import Rows, packed
from trainer.devices import device
from trainer.finetune import finetune
from trainer.memory import Batches
from trainer.models.load import load
from trainer.types import Stopped, Trained

ROWS = 22
"""With two epochs of them and 4 rows a step: 11 steps, an epoch ends inside one, and every second
is followed by an evaluation and a checkpoint."""

WHOLE = {"use_lora": False}
FSDP = {"epochs": 1.0, "distributed": "fsdp"}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "lora": {"lora": {"dropout": 0.3}},
    "bf16": {"model": {"precision": "bf16"}, "lora": {"dropout": 0.3}},
    "recomputed": {"training": {"gradient_checkpointing": "full"}, "lora": {"dropout": 0.3}},
    "deterministic": {"training": {"deterministic": True}},
    "lora-8bit": {"lora": {"rank": 128}, "training": {"optimizer": "adamw_8bit"}},
    "whole": {"model": WHOLE},
    "whole-8bit": {"model": WHOLE, "training": {"optimizer": "adamw_8bit"}},
    "patience": {
        "model": WHOLE,
        "training": {"base_learning_rate": 1.0, "lr_schedule": "constant"},
        "evaluation": {"early_stopping_patience": 2},
    },
    "ddp": {"model": WHOLE, "training": {"epochs": 1.0}},
    "fsdp": {"model": WHOLE, "training": FSDP},
    "fsdp-lora": {"model": {"precision": "bf16"}, "training": FSDP},
}
"""All with dropout in the model. adamw_8bit keeps 8 bits only of tensors from 4,096 numbers on,
hence the rank. `patience` learns so fast that it gets worse twice after step 4, and ends at 8."""
SEVERAL = ("ddp", "fsdp", "fsdp-lora")
"""For several processes."""


class Call(NamedTuple):
    """A moment at which a training asks whether to stop: `by` the function that asks."""

    by: str
    step: int


class StopAt(threading.Event):
    """Set from the n-th question on, counted from 0; notes who asked. It stands for a signal."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__()
        self.at, self.calls = at, list[Call]()

    def is_set(self) -> bool:
        asking = sys._getframe(2)
        self.calls.append(Call(asking.f_code.co_name, asking.f_locals["self"].state.global_step))
        return self.at is not None and len(self.calls) > self.at


class Outcome(NamedTuple):
    """All of a training's result that must not depend on interruptions."""

    trained: dict[str, Any]
    sha256: dict[str, str]
    """Of the best and the final weights, and of everything of the last checkpoint that counts."""


def make_model(folder: Path, dropout: float = 0.1) -> Path:
    return tiny.save_model(folder, attention_dropout=dropout)


def train(
    variant: str,
    model: Path,
    folder: Path,
    stop: threading.Event,
    *,
    rows: int = ROWS,
    batches: tuple[int, int] = (2, 2),
) -> Trained | Stopped:
    """One process's part: from the newest checkpoint to the end, or to the stop."""
    training = {"epochs": 2.0} | VARIANTS[variant].get("training", {})
    profile = tiny.profile(model, **(VARIANTS[variant] | {"training": training}))
    loaded = load(profile, device("cpu", profile), adapter=None, scratch=None)
    sets = {name: Rows(packed(5, seed)) for seed, name in enumerate(("validation", "holdout"), 1)}
    try:
        return finetune(
            profile, loaded, Rows(packed(rows)), sets, folder, plan=Batches(*batches), stop=stop,
            told=lambda _: None,
        )  # fmt: skip
    finally:
        torch.use_deterministic_algorithms(mode=False)


def outcome(trained: Trained | Stopped, folder: Path) -> Outcome:
    assert isinstance(trained, Trained)
    facts = json.loads(json.dumps(asdict(trained)))
    del facts["seconds"]
    checkpoint = folder / "checkpoints" / f"checkpoint-{trained.steps}"
    files = [*folder.glob("best/*.safetensors"), *folder.glob("final/*.safetensors")]
    files += [
        *checkpoint.glob("*.safetensors"),
        *checkpoint.glob("*.pt"),
        *checkpoint.glob("*.pth"),
    ]
    hashes = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    return Outcome(facts, hashes)


def steps(folder: Path) -> list[int]:
    """Of the checkpoints that are there."""
    names = (path.name for path in folder.glob("checkpoints/checkpoint-*"))
    return sorted(int(name.removeprefix("checkpoint-")) for name in names)
