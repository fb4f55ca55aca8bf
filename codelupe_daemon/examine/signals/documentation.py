"""Documentation: comments in measure, definitions that are explained, not only commented code."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    BLANK,
    CODE,
    COMMENT,
    DOCUMENTED,
    HEADER_LINES,
    LINES,
    Batch,
    Column,
)
from codelupe_daemon.examine.signals.base import fall, rise

HEADER_WORTH = 0.25
"""What a line of the comment that a text begins with counts for: often it is a licence."""


def documentation(batch: Batch) -> Column:
    header = np.minimum(batch.column(HEADER_LINES), batch.column(COMMENT))
    comments = batch.column(COMMENT) - (1 - HEADER_WORTH) * header
    share = comments / np.maximum(batch.column(LINES) - batch.column(BLANK) - header, 1)
    commented = rise(share, 0.06) * fall(share, 1.2, 6)
    explained = rise(batch.share(DOCUMENTED, of=CODE), 0.03)
    return np.asarray(0.6 * commented + 0.4 * explained)
