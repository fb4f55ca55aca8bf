"""What must be known of a language to find the names that its texts define."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

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
    """What a keyword does."""

    FUNCTION = 1
    """The next name is a function's; the next brace opens its body."""
    TYPE = 2
    """The next name is a type's; the next brace opens its members."""
    ENUM = 3
    MODULE = 4
    INTERFACE = 5
    NAME = 6
    """The next name is defined, and there is no body."""
    GROUP = 7
    """Go: one name, or one a line in brackets."""
    CONST = 8
    """JavaScript: the next name is defined where it stands outside functions."""
    VAR = 9
    """The next name is defined only if it is given a function."""
    BODY = 10
    """The next brace opens members, without a name."""
    TYPEDEF = 11
    USING = 12
    OPERATOR = 13
    MODIFIER = 14
    """May stand between a keyword and its name."""
    CONTROL = 15
    """Never a name, and an expression may follow."""
    TYPE_WORD = 16
    """Never a name, as `int`."""
    ATTRIBUTE = 17
    """Brackets after it are its own."""
    AFTER_AT = 18
    """As NAME, but only after `@`."""


class Trait(IntFlag):
    """How texts of a language are read: first what comments and strings look like."""

    SLASHES = 1 << 0
    """`//` and `/* */`."""
    NESTED = 1 << 1
    HASHES = 1 << 2
    DASHES = 1 << 3
    """`--`, and `--[[ ]]`."""
    PREPROCESSOR = 1 << 4
    LONG_DOUBLE = 1 << 5
    """A string in double quotes may have several lines."""
    SINGLE = 1 << 6
    """Single quotes are a string (or a character) of one line."""
    LONG_SINGLE = 1 << 7
    LIFETIMES = 1 << 8
    """A single quote may stand before a name."""
    RAW_BACKTICK = 1 << 9
    TEMPLATE = 1 << 10
    TRIPLE_DOUBLE = 1 << 11
    TRIPLE_SINGLE = 1 << 12
    RUST_RAW = 1 << 13
    CPP_RAW = 1 << 14
    R_RAW = 1 << 15
    AT_RAW = 1 << 16
    REGEX = 1 << 17
    HEREDOC = 1 << 18
    SIGILS = 1 << 19
    HOLES = 1 << 20
    """`${}` in double (and single) quotes."""
    HASH_HOLES = 1 << 21
    """`#{}` likewise."""
    DOLLAR = 1 << 22
    """`$` belongs to names."""
    FLAT = 1 << 23
    """Brackets do not matter."""
    QUIET = 1 << 24
    """Nothing inside a function's body is looked for."""
    HEADS = 1 << 25
    """`name(...) {` is a function outside functions, as in C."""
    MEMBERS = 1 << 26
    """`name(` is a function among the members of a type, as in Java."""
    TOP_MEMBERS = 1 << 27
    """And outside of types."""
    SCRIPT = 1 << 28
    """`name(...) {` is a method and `name = (...) =>` a function, as in JavaScript."""
    ASSIGNED = 1 << 29
    """`name = function` defines it."""
    DEFERRED = 1 << 30
    """A type's name counts if a body follows, as in C."""
    LINES = 1 << 31
    """A statement ends with its line, as in Go."""
    CAPITALS = 1 << 32
    """`NAME =` in capitals is a constant among members or outside."""
    COLUMN_0 = 1 << 33
    """Where it begins a line without indentation."""
    DOTTED = 1 << 34
    """The name after `def` may be a path: its last part counts."""
    MARKS = 1 << 35
    """A name may end with `?` or `!`."""
    SHELL = 1 << 36
    """`name()` that begins a line is a function."""
    TYPES = 1 << 37
    """Names have types, as in TypeScript."""
    PHP = 1 << 38
    ARROWS = 1 << 39
    """`name => ...;` among members is a getter."""


@dataclass(frozen=True)
class Grammar:
    languages: Sequence[str]
    traits: Trait
    words: Mapping[Act, str] = field(default_factory=dict)
    contextual: Mapping[Act, str] = field(default_factory=dict)


def slot(low: int, high: int) -> int:
    """Where the search for a word begins; the kernel computes the same."""
    return (((low * MIX_LOW) ^ (high * MIX_HIGH)) & 0xFFFFFFFFFFFFFFFF) >> 56


def word_table(grammar: Grammar) -> npt.NDArray[np.uint64]:
    """Open addressing: (SLOTS, 3), the 16 bytes of a word and its act; act 0 is free."""
    table = np.zeros((SLOTS, 3), np.uint64)
    acts = [(word, int(act)) for act, words in grammar.words.items() for word in words.split()]
    acts += [
        (word, act | CONTEXTUAL)
        for act, words in grammar.contextual.items()
        for word in words.split()
    ]
    for word, act in acts:
        assert len(word) <= WORD_MAX_BYTES, word
        raw = word.encode().ljust(WORD_MAX_BYTES, b"\0")
        low, high = (int.from_bytes(half, "little") for half in (raw[:8], raw[8:]))
        at = slot(low, high)
        while table[at, 2]:
            at = (at + 1) % SLOTS
        table[at] = low, high, act
    return table
