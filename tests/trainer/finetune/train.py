"""A training on the CPU, with what a test does not care about filled in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.trainer import tiny
from tests.trainer.finetune.rows import Rows, packed
from trainer.devices import Device
from trainer.finetune import finetune
from trainer.memory import Batches
from trainer.models.load import Loaded, load
from trainer.profile import Profile
from trainer.types import Progress, Stopped, Trained

DEVICE = Device("cpu", "CPU", 1 << 34, None, "fp32", "sdpa", None)
BATCHES = Batches(2, 2)
SETS = {"validation": Rows(packed(4, seed=7)), "holdout": Rows(packed(3, seed=8))}


def loaded(profile: Profile, *, adapter: Path | None = None, device: Device = DEVICE) -> Loaded:
    return load(profile, device, adapter=adapter, scratch=None)


def train(
    profile: Profile,
    folder: Path,
    *,
    model: Loaded | None = None,
    rows: Rows | None = None,
    sets: Mapping[str, Rows] | None = None,
    plan: Batches = BATCHES,
    stop: threading.Event | None = None,
    told: Callable[[Progress], Any] = lambda _: None,
) -> Trained | Stopped:
    return finetune(
        profile,
        model or loaded(profile),
        rows or Rows(packed(12)),
        SETS if sets is None else sets,
        folder,
        plan=plan,
        stop=stop or threading.Event(),
        told=told,
    )


def trained(profile: Profile, folder: Path, **given: Any) -> Trained:
    """Of a training that is expected to go to its end."""
    result = train(profile, folder, **given)
    assert isinstance(result, Trained)
    return result


def tiny_profile(
    folder: Path,
    model_type: str = "qwen2",
    *,
    shape: Mapping[str, int] = {},
    **sections: dict[str, Any],
) -> Profile:
    """Of a new model with random weights in `folder`; `shape` changes its config."""
    return tiny.profile(tiny.save_model(folder, model_type, **shape), **sections)
