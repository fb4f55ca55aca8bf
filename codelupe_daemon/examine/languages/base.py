"""What an analyser knows about a language, and its form inside the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

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
    HANDLER = 10
    """Begins what happens after an error; an empty one swallows it."""
    IDIOM = 11
    """What those who know the language reach for."""
    SMELL = 12
    """What they avoid."""
    SMELL_CALL = 13
    """Counts as SMELL where a bracket follows."""


class Lexis(IntFlag):
    """How strings and brackets are read, to see whether they close."""

    DOUBLE = 1
    """Text between double quotes, within a line."""
    DOUBLE_LINES = 2
    """The same over several lines."""
    SINGLE = 4
    """Text between single quotes, within a line."""
    CHARACTER = 8
    """One character between single quotes; a lone quote is something else."""
    BACKTICK = 16
    """Text over several lines, with escapes."""
    RAW_BACKTICK = 32
    TRIPLE = 64
    """Text between three quotes, over several lines."""
    REGEX = 128
    """A slash where a value may stand begins a pattern."""
    RAW_HASH = 256
    """r#"..."#"""
    RAW_BRACKET = 512
    """R"(...)", or a word before and behind the brackets."""
    DIRECTIVES = 1024
    """Of #if ... #else ... #endif only the first branch is read."""
    INDENTATION = 2048
    """A block begins after a colon and is indented."""


WORD_CLASSES = len(Word) + 1
WORD_MAX_BYTES = 16
SLOTS = 512
SLOT_BYTES = 24
MIX_LOW = 0x9E3779B97F4A7C15
MIX_HIGH = 0xC2B2AE3D27D4EB4F

LINE_1, LINE_1_MASK, LINE_2, LINE_2_MASK, OPEN, OPEN_MASK = range(6)
CLOSE, CLOSE_BYTES, TRIPLE, BRACES, STATEMENTS, LEXIS = range(6, 12)
IGNORE_1, IGNORE_1_MASK, IGNORE_2, IGNORE_2_MASK, MARK_COLUMNS = range(12, 17)


@dataclass(frozen=True)
class Analyser:
    """A language or a family of them.

    `line_comments`: at most two; `block_comment`: open and close, at most 4 and 2..3 bytes.
    `triple_quotes`: a text between three quotes is documentation where it stands by itself.
    `statements`: lines that pass, import or print are counted as those of Python.
    `braces`: what ends in `) {` defines a function unless a word of control stands before it.
    `ignores`: at most two beginnings of lines, of at most 8 bytes, that throw away the result of
    a call.
    """

    languages: Sequence[str]
    words: Mapping[Word, str]
    line_comments: Sequence[str] = ("//",)
    block_comment: tuple[str, str] | None = ("/*", "*/")
    triple_quotes: bool = False
    braces: bool = False
    statements: bool = False
    lexis: Lexis | None = None
    ignores: Sequence[str] = ()


def _number(text: str) -> int:
    return int.from_bytes(text.encode(), "little")


def marks(analyser: Analyser) -> list[int]:
    """The comment markers as numbers, MARK_COLUMNS of them; a mask of 0 is no marker."""
    row = [0] * MARK_COLUMNS
    starts = [*analyser.line_comments, "", ""][:2]
    ignores = [*analyser.ignores, "", ""][:2]
    opening, closing = analyser.block_comment or ("", "")
    columns = (LINE_1, LINE_2, OPEN, IGNORE_1, IGNORE_2)
    for column, marker in zip(columns, (*starts, opening, *ignores), strict=True):
        row[column] = _number(marker)
        row[column + 1] = (1 << 8 * len(marker)) - 1
        row[column + 1] -= (1 << 64) * (len(marker) == 8)  # all ones, signed
    row[CLOSE] = _number(closing)
    row[CLOSE_BYTES] = len(closing)
    row[TRIPLE] = analyser.triple_quotes
    row[BRACES] = analyser.braces
    row[LEXIS] = analyser.lexis or 0
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
