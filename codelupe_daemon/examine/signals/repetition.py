"""Repetition, 1 being none: lines of code that stand in the text more than once."""

from __future__ import annotations

from codelupe_daemon.examine.features import CODE, DUPLICATES, Batch, Column
from codelupe_daemon.examine.signals.base import fall


def repetition(batch: Batch) -> Column:
    return fall(batch.share(DUPLICATES, of=CODE), 0.45, 2.5)
