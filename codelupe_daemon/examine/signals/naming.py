"""Naming: names that say something, in one style."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    CAMEL,
    NAME_BYTES,
    NAMES,
    SHORT_NAMES,
    SNAKE,
    Batch,
    Column,
)
from codelupe_daemon.examine.signals.base import fall, rise


def naming(batch: Batch) -> Column:
    mean = batch.share(NAME_BYTES, of=NAMES)
    telling = rise(mean, 2.0, 6.5) * fall(mean, 18, 36)
    spoken = fall(batch.share(SHORT_NAMES, of=NAMES), 0.04, 0.45)
    snake, camel = batch.column(SNAKE), batch.column(CAMEL)
    one_style = np.where(
        snake + camel > 0, np.maximum(snake, camel) / np.maximum(snake + camel, 1), 1.0
    )
    return np.asarray(0.45 * telling + 0.35 * spoken + 0.2 * rise(one_style, 0.5, 0.95))
