"""Naming: names that say something, in one style."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    CAMEL,
    NAME_BYTES,
    NAMES,
    NUMBERED,
    SHORT_NAMES,
    SNAKE,
    Batch,
    Column,
)
from codelupe_daemon.examine.signals.base import fall, rise


def naming(batch: Batch) -> Column:
    mean = batch.share(NAME_BYTES, of=NAMES)
    telling = rise(mean, 4.5, 4) * fall(mean, 30, 6)
    spoken = fall(batch.share(SHORT_NAMES, of=NAMES), 0.25, 1.5)
    counted = fall(batch.share(NUMBERED, of=NAMES), 0.25, 1.5)
    snake, camel = batch.column(SNAKE), batch.column(CAMEL)
    one_style = (np.maximum(snake, camel) + 1) / (snake + camel + 1)
    return np.asarray(0.5 * telling + 0.25 * spoken + 0.15 * counted + 0.1 * one_style)
