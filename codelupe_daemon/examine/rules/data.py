"""Data that wears the name of a program: encoded blobs, tables of numbers, no letters."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    ALNUM,
    BACKSLASHES,
    ENCODED,
    LONGEST_ENCODED,
    NUMBERS,
    VISIBLE,
    WORDS,
    Batch,
    Column,
)
from codelupe_daemon.examine.rules.base import ContentRule
from codelupe_daemon.examine.settings import ExamineSettings
from codelupe_daemon.model import Reason


def judge(batch: Batch, settings: ExamineSettings) -> Column:
    """The measure that fires, the first of: length and share of encoded runs, share of
    backslashes, share of numbers among the words, share of letters."""
    size = np.maximum(batch.size_bytes, 1)
    longest = batch.column(LONGEST_ENCODED)
    encoded = batch.column(ENCODED) / size
    backslashes = batch.column(BACKSLASHES) / size
    letters = batch.share(ALNUM, of=VISIBLE)
    numbers = batch.share(NUMBERS, of=WORDS)
    table = batch.column(WORDS) >= settings.min_table_words
    return np.select(
        [
            longest > settings.max_encoded_bytes,
            encoded > settings.max_encoded_share,
            backslashes > settings.max_backslash_share,
            table & (numbers > settings.max_number_share),
            letters < settings.min_alnum_share,
        ],
        [longest, encoded.round(3), backslashes.round(3), numbers.round(3), letters.round(3)],
        default=np.nan,
    )


RULE = ContentRule(Reason.DATA, judge)
