"""Structure: code in functions of a size that can be read, few long lines, some air."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    BLANK,
    CODE,
    DEFINITIONS,
    LINES,
    LONG_LINES,
    LONGEST,
    Batch,
    Column,
)
from codelupe_daemon.examine.signals.base import fall, rise

SCRIPT_LINES = 12
"""Code without a definition is as good as a function of so many lines more."""


def structure(batch: Batch) -> Column:
    each = (batch.column(CODE) + SCRIPT_LINES) / (batch.column(DEFINITIONS) + 1)
    sized = fall(each, 35)
    unbroken = fall(batch.column(LONGEST), 120)
    narrow = fall(batch.share(LONG_LINES, of=LINES), 0.06)
    airy = rise(batch.share(BLANK, of=LINES) + 0.02, 0.05, 2)
    return np.asarray(0.45 * sized + 0.25 * unbroken + 0.2 * narrow + 0.1 * airy)
