"""Robustness: errors are handled, not swallowed, and what the language's users avoid is rare."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import CODE, SWALLOWED, Batch, Column
from codelupe_daemon.examine.languages.base import Word
from codelupe_daemon.examine.signals.base import fall

SHORT_LINES = 50
"""One slip in a short text is no habit."""


def robustness(batch: Batch) -> Column:
    lines = np.maximum(batch.column(CODE), SHORT_LINES)
    swallowed = fall(batch.column(SWALLOWED) / lines, 0.02)
    avoided = fall(batch.words(Word.SMELL) / lines, 0.12)
    return np.asarray(0.6 * swallowed + 0.4 * avoided)
