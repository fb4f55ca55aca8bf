"""Documentation: comments in measure, definitions that are explained, not only commented code."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    BLANK,
    COMMENT,
    DEFINITIONS,
    DOCUMENTED,
    LINES,
    Batch,
    Column,
)
from codelupe_daemon.examine.signals.base import fall, rise


def documentation(batch: Batch) -> Column:
    written = np.maximum(batch.column(LINES) - batch.column(BLANK), 1)
    share = batch.column(COMMENT) / written
    commented = rise(share, 0.0, 0.18) * fall(share, 0.6, 0.95)
    explained = rise(np.minimum(batch.share(DOCUMENTED, of=DEFINITIONS), 1), 0.0, 0.6)
    return np.asarray(np.maximum(commented, 0.5 * commented + 0.5 * explained))
