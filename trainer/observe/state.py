"""What the trainer is doing: written by its loop, its rounds and training, read by all displays.

Plain data; single values are replaced as a whole, so other threads may read and write them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from trainer.types import Progress

STALL_S = 1800.0
"""Training that has not begun a micro-batch for so long hangs."""
STALE_S = 10.0


class Doing(StrEnum):
    """What the process is at."""

    STARTING = "starting"
    WAITING = "waiting"
    """For rows."""
    LOCKED_OUT = "locked out"
    """Another process trains the profile."""
    AWAY = "away"
    """The database or the source does not answer."""
    FREEZING = "freezing"
    TRAINING = "training"
    PUBLISHING = "publishing"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card's figures; None: it does not tell."""

    index: int
    name: str
    utilization: float | None
    """0..1"""
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    temperature_c: float | None
    power_w: float | None
    clock_hz: float | None


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine at `at_s` of the monotonic clock."""

    at_s: float
    cpu: float
    """0..1, over all cores."""
    memory_used_bytes: int
    memory_total_bytes: int
    gpus: tuple[Gpu, ...] = ()


@dataclass(slots=True)
class State:
    """Of one trainer process and its profile."""

    profile: str
    doing: Doing = Doing.STARTING
    session: str | None = None
    progress: Progress = field(default_factory=Progress)
    losses: Mapping[str, float] = field(default_factory=dict)
    """The latest by set: `validation`, `holdout`, `recent`."""
    watermark: int = 0
    head: int = 0
    pending: int = 0
    """New rows that may be trained on."""
    runs: int = 0
    samples_trained: int = 0
    last_run: int | None = None
    rounds: Counter[str] = field(default_factory=Counter)
    """That this process ended, by outcome."""
    active_version: str | None = None
    problem: str | None = None
    """Why it does not go on at the moment."""
    hardware: Hardware | None = None
    steps_total: int = 0
    """Of this process, as are the tokens."""
    tokens_total: int = 0
    began_at: Progress | None = None
    """Where this process took the session up."""
    moved_at_s: float = field(default_factory=time.monotonic)

    def enter(self, doing: Doing, session: str | None = None) -> None:
        """Go on to something else; progress is of one session."""
        if session != self.session:
            self.progress, self.began_at = Progress(), None
        self.doing, self.session, self.moved_at_s = doing, session, time.monotonic()

    def told(self, progress: Progress) -> None:
        """A step was made. Called from training's thread."""
        before = self.progress
        if self.began_at is None:  # earlier steps were another process's: this began in its place
            before = self.began_at = replace(progress) if progress.step > 1 else Progress()
        self.steps_total += max(0, progress.step - before.step)
        self.tokens_total += max(0, progress.tokens - before.tokens)
        self.progress, self.moved_at_s = replace(progress), time.monotonic()
        if progress.eval_loss is not None:
            self.losses = {**self.losses, "validation": progress.eval_loss}

    def is_stuck(self) -> bool:
        """Whether training hangs."""
        silent_s = time.monotonic() - self.moved_at_s
        return self.doing is Doing.TRAINING and silent_s > STALL_S

    @property
    def is_model_loaded(self) -> bool:
        """Whether a model has begun to learn, and has not ended."""
        return self.doing is Doing.TRAINING and self.began_at is not None

    def left_s(self) -> float | None:
        """About how long the session's training still takes."""
        now, began = self.progress, self.began_at
        if began is None or now.step <= began.step:
            return None
        return (now.seconds - began.seconds) / (now.step - began.step) * (now.steps - now.step)

    def status(self) -> dict[str, Any]:
        """What `codelupe-trainer status --json` prints, and what only the process itself knows."""
        return {
            "watermark": self.watermark, "pending": self.pending, "state": self.doing,
            "session": self.session, "runs": self.runs, "samples_trained": self.samples_trained,
            "last_run": self.last_run, "active_version": self.active_version,
            "profile": self.profile, "head": self.head, "problem": self.problem,
            "losses": dict(self.losses), "rounds": dict(self.rounds),
            "progress": asdict(self.progress) | {"left_s": self.left_s()},
            "hardware": (at := self.machine()) and asdict(at),
        }  # fmt: skip

    def machine(self) -> Hardware | None:
        """Unless it was not told for a while: a lost card can hold up whoever asks it."""
        at = self.hardware
        return at if at and time.monotonic() - at.at_s < STALE_S else None


class Stop(threading.Event):
    """Asks training to end. Whoever looks at it is alive, and training looks before every
    micro-batch, while it evaluates as well."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state

    def is_set(self) -> bool:
        self._state.moved_at_s = time.monotonic()
        return super().is_set()
