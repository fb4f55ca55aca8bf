"""Validity: whether brackets, strings and blocks close, as they do in what a parser accepts."""

from __future__ import annotations

from codelupe_daemon.examine.features import BROKEN, Batch, Column
from codelupe_daemon.examine.signals.base import fall


def validity(batch: Batch) -> Column:
    return fall(batch.column(BROKEN), 0.5)
