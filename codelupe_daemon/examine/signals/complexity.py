"""Complexity, 1 being simple: few decisions a function, and little nesting."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import CODE, DEEP, DEFINITIONS, INDENTED, Batch, Column
from codelupe_daemon.examine.languages.base import Word
from codelupe_daemon.examine.signals.base import fall


def complexity(batch: Batch) -> Column:
    decisions = batch.words(Word.BRANCH) + batch.words(Word.LOOP)
    each = decisions / (batch.column(DEFINITIONS) + 1)
    dense = decisions / np.maximum(batch.column(CODE), 1)
    simple = 0.6 * fall(each, 10, 1.5) + 0.4 * fall(dense, 0.25, 2)
    flat = fall(batch.share(DEEP, of=CODE), 0.2)
    shallow = fall(batch.share(INDENTED, of=CODE), 16, 3)
    return np.asarray(0.5 * simple + 0.2 * flat + 0.3 * shallow)
