"""The limits that OpenCoder published for code: one line each, with the measure that it holds.

The definitions are OpenCoder's, with three differences: a comment is counted by whole lines; `TODO`
and its like are words, in such lines; `pass`, `import` and `print` are words at the beginning of a
line, where OpenCoder looks for the letters anywhere ("password").
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from codelupe_daemon.examine.features import (
    BLANKS,
    CODE,
    COMMENT_BYTES,
    DIGITS,
    DUPLICATES,
    HEADER_BYTES,
    IMPORT_LINES,
    LETTERS,
    LINES,
    PASS_LINES,
    PRINT_LINES,
    TODOS,
    Batch,
    Column,
)
from codelupe_daemon.examine.rules.base import ContentRule
from codelupe_daemon.examine.settings import ExamineSettings
from codelupe_daemon.model import Reason

Measure = Callable[[Batch], Column]
Limit = Callable[[ExamineSettings], float]
_COPYRIGHT = re.compile(rb"copyright|licen[cs]e|\(c\)", re.IGNORECASE)


def _above(reason: Reason, measure: Measure, limit: Limit) -> ContentRule:
    def judge(batch: Batch, settings: ExamineSettings) -> Column:
        value = measure(batch)
        return np.where(value > limit(settings), value.round(3), np.nan)

    return ContentRule(reason, judge)


def _below(reason: Reason, measure: Measure, limit: Limit) -> ContentRule:
    def judge(batch: Batch, settings: ExamineSettings) -> Column:
        value = measure(batch)
        return np.where(value < limit(settings), value.round(3), np.nan)

    return ContentRule(reason, judge)


def _lines(batch: Batch) -> Column:
    return batch.column(LINES)


def _mean_line(batch: Batch) -> Column:
    return batch.chars / np.maximum(_lines(batch), 1)


def _of_visible(feature: int) -> Measure:
    """A share of the characters that are no blanks."""
    return lambda batch: batch.column(feature) / np.maximum(batch.chars - batch.column(BLANKS), 1)


def _of_chars(batch: Batch) -> Column:
    return batch.column(BLANKS) / np.maximum(batch.chars, 1)


def _comments(batch: Batch) -> Column:
    """Without the first block where that is about copyright, as OpenCoder takes it away before."""
    comments, size = batch.column(COMMENT_BYTES), batch.size_bytes
    header = batch.column(HEADER_BYTES).copy()
    for i in np.flatnonzero((header > 0) & (comments * 2 > size)).tolist():
        header[i] *= _COPYRIGHT.search(batch.head(i), 0, int(header[i])) is not None
    return ((comments - header) / np.maximum(size - header, 1)).clip(0, 1)


def _of_code(feature: int) -> Measure:
    return lambda batch: batch.share(feature, of=CODE)


RULES = (
    _above(Reason.TOO_MANY_LINES, _lines, lambda limits: limits.max_lines),
    _below(Reason.TOO_FEW_LINES, _lines, lambda limits: limits.min_lines),
    _below(Reason.SHORT_LINES, _mean_line, lambda limits: limits.min_mean_line_chars),
    _below(Reason.FEW_LETTERS, _of_visible(LETTERS), lambda limits: limits.min_letter_share),
    _above(Reason.MANY_DIGITS, _of_visible(DIGITS), lambda limits: limits.max_digit_share),
    _above(Reason.MOSTLY_BLANK, _of_chars, lambda limits: limits.max_blank_share),
    _above(Reason.MOSTLY_COMMENTS, _comments, lambda limits: limits.max_comment_share),
    _above(Reason.REPETITIVE, _of_code(DUPLICATES), lambda limits: limits.max_duplicate_share),
    _above(
        Reason.UNFINISHED,
        lambda batch: batch.share(TODOS, LINES),
        lambda limits: limits.max_todo_share,
    ),
    _above(Reason.MOSTLY_STUBS, _of_code(PASS_LINES), lambda limits: limits.max_pass_share),
    _above(Reason.MOSTLY_IMPORTS, _of_code(IMPORT_LINES), lambda limits: limits.max_import_share),
    _above(Reason.MOSTLY_PRINTS, _of_code(PRINT_LINES), lambda limits: limits.max_print_share),
)
