"""Structure: code in functions of a size that can be read, few long lines, some air."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    BLANK,
    CODE,
    DEFINITIONS,
    LINES,
    LONG_LINES,
    Batch,
    Column,
)
from codelupe_daemon.examine.signals.base import fall, rise

SHORT_SCRIPT_LINES = 40


def structure(batch: Batch) -> Column:
    code = batch.column(CODE)
    definitions = batch.column(DEFINITIONS)
    lines_each = code / np.maximum(definitions, 1)
    sized = fall(lines_each, 15, 110)
    sized = np.where((definitions == 0) & (code < SHORT_SCRIPT_LINES), 0.7, sized)
    narrow = fall(batch.share(LONG_LINES, of=LINES), 0.01, 0.2)
    airy = rise(batch.share(BLANK, of=LINES), 0.02, 0.1)
    airy = np.where(batch.column(LINES) < 20, 1.0, airy)
    return np.asarray(0.5 * sized + 0.3 * narrow + 0.2 * airy)
