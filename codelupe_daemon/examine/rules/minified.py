"""Text in lines that no person writes."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import LINES, MAX_LINE, Batch, Column
from codelupe_daemon.examine.rules.base import ContentRule, PathRule
from codelupe_daemon.examine.settings import ExamineSettings
from codelupe_daemon.model import Reason

BY_PATH = PathRule(
    Reason.MINIFIED,
    endings=(
        *(".min.js", ".min.css", "-min.js", "-min.css", ".min.mjs", ".min.cjs"),
        *(".bundle.js", ".packed.js", ".chunk.js"),
    ),
)


def judge(batch: Batch, settings: ExamineSettings) -> Column:
    """The characters of the longest line, else of the mean line."""
    longest = batch.column(MAX_LINE)
    mean = batch.chars / np.maximum(batch.column(LINES), 1)
    measured = np.where(mean > settings.mean_line_chars, mean.round(1), np.nan)
    return np.where(longest > settings.max_line_chars, longest, measured)


RULE = ContentRule(Reason.MINIFIED, judge)
