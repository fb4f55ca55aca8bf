"""Where a training is, beside what Trainer saves; written into every checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trainer.profile import Profile

FILE = "course.json"
CHECKS = 5
"""A round is measured so many times at least, if it has as many steps."""


@dataclass
class Course:
    """How long a training is, and how it went. `steps`: by the estimate of its rows, as its
    learning rate is planned; a step takes `step_rows` rows, whatever the micro-batch.
    """

    steps: int
    step_rows: int
    epochs: float
    every: int
    """Steps between evaluations."""
    epoch_rows: int | None = None
    """Rows of an epoch, once one was read through."""
    step: int = 0
    micro_batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    before: dict[str, float] | None = None
    measured_step: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    worse: int = 0
    """Evaluations since the best."""
    is_early_stopped: bool = False
    history: list[dict[str, float]] = field(default_factory=list)

    def last_step(self) -> int:
        """The rows decide when it ends, as soon as they are counted; until then the estimate."""
        if self.epoch_rows is None or self.epochs < 1:
            return self.steps
        return max(1, math.ceil(self.epoch_rows * self.epochs / self.step_rows))

    def is_over(self, step: int) -> bool:
        is_counted = self.epoch_rows is not None or self.epochs < 1
        return self.is_early_stopped or (is_counted and step >= self.last_step())

    def is_due(self, step: int) -> bool:
        """Whether this step is followed by an evaluation and a checkpoint."""
        return step > 0 and (step % self.every == 0 or self.is_over(step))

    def judge(self, step: int, loss: float, patience: int) -> None:
        """Take an evaluation in; `patience` evaluations without a better one end the training."""
        self.measured_step = step
        self.history.append({"step": step, "eval_loss": loss})
        is_better = loss < self.best_loss
        if is_better:
            self.best_step, self.best_loss = step, loss
        self.worse = 0 if is_better else self.worse + 1
        self.is_early_stopped = self.worse >= patience

    def train_loss(self, after_step: int = 0) -> float:
        """The mean of the steps after that one."""
        losses = [at["loss"] for at in self.history if "loss" in at and at["step"] > after_step]
        return sum(losses) / len(losses) if losses else math.inf

    def write(self, checkpoint: Path) -> None:
        (checkpoint / FILE).write_text(json.dumps(asdict(self), sort_keys=True))


def read(checkpoint: Path) -> Course:
    return Course(**json.loads((checkpoint / FILE).read_text()))


def plan_course(profile: Profile, estimated_rows: int, step_rows: int) -> Course:
    """How long a new training is to be."""
    training, evaluation = profile.training, profile.evaluation
    epochs = training.epochs
    if epochs is None:
        wanted = training.target_tokens or 0
        epochs = wanted / (estimated_rows * profile.model.max_length)  # rows are full within 1%
        epochs = min(max(epochs, training.min_epochs), training.max_epochs)
    steps = max(1, math.ceil(estimated_rows * epochs / step_rows))
    every = max(1, min(evaluation.every_steps_max, steps // CHECKS))
    return Course(steps=steps, step_rows=step_rows, epochs=epochs, every=every)


def learning_rate(profile: Profile, steps: int) -> Callable[[int], float]:
    """The factor on the learning rate by step, counted from 0: up over the warm-up, then down to
    just above 0 at the last; where there are more steps than planned they go on as that one."""
    warm = math.ceil(steps * profile.training.warmup_share)
    schedule = profile.training.lr_schedule

    def factor(step: int) -> float:
        step = min(step, steps - 1)
        if step < warm:
            return (step + 1) / (warm + 1)
        share = (step - warm) / (steps - warm)
        if schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * share))
        return 1 - share if schedule == "linear" else 1.0

    return factor
