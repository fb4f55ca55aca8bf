"""The columns that the kernel measures and that rules and signals read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from codelupe_daemon.examine.languages.base import WORD_CLASSES, Word

(
    LINES,
    BLANK,
    COMMENT,
    CODE,
    MAX_LINE,  # characters
    LONG_LINES,  # over 120 bytes
    ALNUM,  # bytes of words: ASCII letters, digits, underscores, and all that is not ASCII
    VISIBLE,  # bytes without indentation and blank lines
    BACKSLASHES,  # in code
    ENCODED,  # bytes in runs that look like base64 or hex
    LONGEST_ENCODED,
    MARKER_LINE,  # the first of the head's lines that speaks of generating or editing; 0: none
    WORDS,  # in code, as all that follows
    NUMBERS,
    NAMES,
    NAME_BYTES,
    SHORT_NAMES,  # of one letter
    SNAKE,
    CAMEL,
    INDENTED,  # columns before code, summed
    DEEP,  # lines of code that begin beyond column 24
    DEFINITIONS,
    DOCUMENTED,  # definitions with a comment before them or a docstring after them
    LETTERS,  # characters, as DIGITS and BLANKS
    DIGITS,
    BLANKS,
    COMMENT_BYTES,
    HEADER_LINES,  # of comment, before the first line that is none; a blank one ends them
    HEADER_BYTES,
    DUPLICATES,  # lines of code that stand in the text more than once
    TODOS,  # lines of comment that say that something is left to do
    PASS_LINES,  # of Python, as the next two
    IMPORT_LINES,
    PRINT_LINES,
    LONGEST,  # lines of code from one definition to the next, at most
    NUMBERED,  # names that end in a digit
    SWALLOWED,  # handlers of errors that do nothing, results that are thrown away
    BROKEN,  # brackets, strings and blocks that do not close
    FEATURES,
) = range(39)
TABLE_COLUMNS = FEATURES + WORD_CLASSES

HEAD_BYTES = 8192

Column = npt.NDArray[np.float64]


class Batch(NamedTuple):
    """A batch as rules and signals see it: one column of n numbers for each measure."""

    table: Column
    size_bytes: Column
    chars: Column
    head: Callable[[int], bytes]
    """The first HEAD_BYTES of a text."""
    data: npt.NDArray[np.uint8]
    """The buffer of all texts; where each begins:"""
    offsets: npt.NDArray[np.int64]

    def column(self, feature: int) -> Column:
        return self.table[:, feature]

    def words(self, word: Word) -> Column:
        return self.table[:, FEATURES + word]

    def share(self, feature: int, of: int) -> Column:
        """One measure as a share of another, 0 where that is 0."""
        return self.column(feature) / np.maximum(self.column(of), 1)
