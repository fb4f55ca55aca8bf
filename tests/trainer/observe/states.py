"""A trainer's state in the middle of a round."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from trainer.observe.state import Doing, Gpu, Hardware, State
from trainer.types import Progress

GPU = Gpu(0, "Card 5090", 0.97, 21 << 30, 32 << 30, 61, 430.5, 2.4e9)


def progress(step: int, **changes: float | None) -> Progress:
    figures: dict[str, Any] = {
        "loss": 2.5 - step / 100, "eval_loss": 2.25, "learning_rate": 1e-4, "grad_norm": 0.5,
        "tokens": 1000 * step, "tokens_per_s": 1250.0, "seconds": 2.0 * step,
        "packing_fill": 0.99, "speed_of_light": 0.6,
    }  # fmt: skip
    return Progress(step=step, steps=40, **(figures | changes))


def training() -> State:
    state = State(
        "tiny", watermark=1000, head=1500, pending=350, runs=3, samples_trained=2400,
        last_run=1_760_000_000, rounds=Counter({"completed": 2, "not_promoted": 1}),
        active_version="v0003",
        hardware=Hardware(time.monotonic(), 0.25, 3 << 30, 8 << 30, (GPU,)),
    )  # fmt: skip
    state.enter(Doing.TRAINING, "r4")
    for step in range(1, 11):
        state.told(progress(step))
    return state
