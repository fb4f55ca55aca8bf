"""What an analyser knows about a language, and its form inside the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Word(IntEnum):
    """The classes of words that are counted in code, never in comments."""

    DEFINITION = 1
    BRANCH = 2
    LOOP = 3
    JUMP = 4
    ERROR = 5
    IMPORT = 6
    OTHER = 7
    """A keyword that is no name and counts for nothing."""
    DANGER = 8
    DANGER_CALL = 9
    """Counts as DANGER where a bracket follows."""


WORD_CLASSES = len(Word) + 1
WORD_MAX_BYTES = 16
SLOTS = 512
SLOT_BYTES = 24
MIX_LOW = 0x9E3779B97F4A7C15
MIX_HIGH = 0xC2B2AE3D27D4EB4F

LINE_1, LINE_1_MASK, LINE_2, LINE_2_MASK, OPEN, OPEN_MASK = range(6)
CLOSE, CLOSE_BYTES, TRIPLE, BRACES, STATEMENTS, MARK_COLUMNS = range(6, 12)


@dataclass(frozen=True)
class Analyser:
    """A language or a family of them.

    `line_comments`: at most two; `block_comment`: open and close, at most 4 and 2..3 bytes.
    `triple_quotes`: a text between three quotes is documentation where it stands by itself.
    `statements`: lines that pass, import or print are counted as those of Python.
    `braces`: what ends in `) {` defines a function unless a word of control stands before it.
    """

    languages: Sequence[str]
    words: Mapping[Word, str]
    line_comments: Sequence[str] = ("//",)
    block_comment: tuple[str, str] | None = ("/*", "*/")
    triple_quotes: bool = False
    braces: bool = False
    statements: bool = False


def _number(text: str) -> int:
    return int.from_bytes(text.encode(), "little")


def marks(analyser: Analyser) -> list[int]:
    """The comment markers as numbers, MARK_COLUMNS of them; a mask of 0 is no marker."""
    row = [0] * MARK_COLUMNS
    starts = [*analyser.line_comments, "", ""][:2]
    opening, closing = analyser.block_comment or ("", "")
    for column, marker in zip((LINE_1, LINE_2, OPEN), (*starts, opening), strict=True):
        row[column] = _number(marker)
        row[column + 1] = (1 << 8 * len(marker)) - 1
    row[CLOSE] = _number(closing)
    row[CLOSE_BYTES] = len(closing)
    row[TRIPLE] = analyser.triple_quotes
    row[BRACES] = analyser.braces
    row[STATEMENTS] = analyser.statements
    return row


def slot(low: int, high: int) -> int:
    """Where the search for a word begins; the kernel computes the same."""
    return (((low * MIX_LOW) ^ (high * MIX_HIGH)) & 0xFFFFFFFFFFFFFFFF) >> 55


def word_table(analyser: Analyser) -> npt.NDArray[np.uint64]:
    """Open addressing: (SLOTS, 3), the 16 bytes of a word and its class; class 0 is free."""
    table = np.zeros((SLOTS, 3), np.uint64)
    for word_class, words in analyser.words.items():
        for word in words.split():
            assert len(word) <= WORD_MAX_BYTES, word
            raw = word.encode().ljust(WORD_MAX_BYTES, b"\0")
            low, high = (int.from_bytes(half, "little") for half in (raw[:8], raw[8:]))
            at = slot(low, high)
            while table[at, 2]:
                at = (at + 1) % SLOTS
            table[at] = low, high, word_class
    return table
