"""Security: how rarely the text reaches for what is known to be dangerous in its language."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import CODE, Batch, Column
from codelupe_daemon.examine.languages.base import Word

HALVING_PER_LINE = 0.05
"""One dangerous word in 20 lines of code halves the signal."""


def security(batch: Batch) -> Column:
    lines = np.maximum(batch.column(CODE), 20)
    return np.asarray(0.5 ** (batch.words(Word.DANGER) / lines / HALVING_PER_LINE))
