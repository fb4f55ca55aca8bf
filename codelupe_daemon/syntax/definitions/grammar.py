"""What must be known of a language to find the names that its texts define."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

WORD_MAX_BYTES = 16
SLOTS = 256
SLOT_BYTES = 24
MIX_LOW = 0x9E3779B97F4A7C15
MIX_HIGH = 0xC2B2AE3D27D4EB4F
CONTEXTUAL = 64
"""Added to an act: a keyword only where a statement starts and another word follows."""


class Act(IntEnum):
    """What a keyword does. Up to INTERFACE it is also what the next brace opens, and up to VAR
    what the next name is."""

    FUNCTION = 1
    TYPE = 2
    ENUM = 3
    MODULE = 4
    INTERFACE = 5
    NAME = 6  # defined, and there is no body
    GROUP = 7  # Go: one name, or one a line in brackets
    CONST = 8  # JavaScript: defined where it stands outside of functions
    VAR = 9  # defined only if it is given a function
    BASE = 10  # none: what a type inherits is named
    BODY = 11  # the next brace opens members, without a name
    TYPEDEF = 12
    USING = 13
    MODIFIER = 14  # may stand between a keyword and its name
    CONTROL = 15  # never a name, and an expression may follow
    TYPE_WORD = 16  # never a name, as `int`
    ATTRIBUTE = 17  # brackets after it are its own
    AFTER_AT = 18  # as NAME, but only after `@`


class Trait(IntEnum):
    """How texts of a language are read: what comments and strings look like, then what defines."""

    SLASHES = 1 << 0  # `//` and `/* */`
    HASHES = 1 << 1
    DASHES = 1 << 2  # `--` and `--[[ ]]`
    PREPROCESSOR = 1 << 3
    SINGLE = 1 << 4  # single quotes are a string of one line, and else a character
    BACKTICK = 1 << 5  # a string of several lines without escapes
    TEMPLATE = 1 << 6  # a string of several lines with holes
    TRIPLE = 1 << 7
    RUST = 1 << 8  # r#"..."#, r#name; strings have several lines
    REGEX = 1 << 9
    HOLES = 1 << 10  # `${}` in double (and single) quotes
    HASH_HOLES = 1 << 11  # `#{}` likewise
    DOLLAR = 1 << 12  # `$` belongs to names
    FLAT = 1 << 13  # brackets do not matter
    QUIET = 1 << 14  # nothing inside a function's body is looked for
    HEADS = 1 << 15  # as in C: `name(...) {` is a function; a type counts if its body follows
    MEMBERS = 1 << 16  # `name(` outside of functions is one, as in Java
    SCRIPT = 1 << 17  # `name(...) {` is a method and `name = (...) =>` a function
    ASSIGNED = 1 << 18  # `name = function` defines it
    LINES = 1 << 19  # a statement ends with its line, as in Go
    CAPITALS = 1 << 20  # `NAME =` in capitals is a constant outside of functions
    DOTTED = 1 << 21  # the name may be a path: its last part counts
    MARKS = 1 << 22  # a name may end with `?` or `!`
    SHELL = 1 << 23  # `name()` that begins a line is a function
    TYPES = 1 << 24  # names have types, as in TypeScript


class Grammar(NamedTuple):
    """`words`: each keyword and its act, which may be CONTEXTUAL."""

    languages: Sequence[str]
    traits: int
    words: dict[str, int]


def slot(low: int, high: int) -> int:
    """Where the search for a word begins; the kernel computes the same."""
    return (((low * MIX_LOW) ^ (high * MIX_HIGH)) & 0xFFFFFFFFFFFFFFFF) >> 56


def word_table(grammar: Grammar) -> npt.NDArray[np.uint64]:
    """Open addressing: (SLOTS, 3), the 16 bytes of a word and its act; act 0 is free."""
    table = np.zeros((SLOTS, 3), np.uint64)
    for word, act in grammar.words.items():
        assert len(word) <= WORD_MAX_BYTES, word
        raw = word.encode().ljust(WORD_MAX_BYTES, b"\0")
        low, high = (int.from_bytes(half, "little") for half in (raw[:8], raw[8:]))
        at = slot(low, high)
        while table[at, 2]:
            at = (at + 1) % SLOTS
        table[at] = low, high, act
    return table
