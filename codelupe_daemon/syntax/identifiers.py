"""How identifiers are taken apart, for the search index and for the queries that are asked of it.

A word is a run of letters, digits and underscores of any script. Its parts end where an underscore
stands, where a capital follows what is none (`readFile`), before the last capital of several that
a small letter follows (`HTTPServer`), and between letters and digits (`Server2`). A word that
begins with a digit is a number and has no parts. `terms.py` does the same to whole texts, fast.
"""

from __future__ import annotations

import re
from itertools import pairwise

WORD = re.compile(r"\w+")

TERM_MIN_BYTES = 2
"""A single letter or digit stands in nearly every file: not indexed, only verified."""
TERM_MAX_BYTES = 64
WORD_MAX_BYTES = 128
"""Longer words are encoded data, whose parts would only be noise."""

UPPER, LOWER, DIGIT, UNDERSCORE, OTHER = 1, 2, 4, 8, 16
_LAST_CASED = 0xFFFF


def kind(char: str) -> int:
    """The class of a word character; 0 for anything else. Above U+FFFF nothing has a case."""
    if char == "_":
        return UNDERSCORE
    if not char.isalnum():
        return 0
    if ord(char) > _LAST_CASED:
        return OTHER
    if char.isupper():
        return UPPER
    if char.islower():
        return LOWER
    return DIGIT if char.isdecimal() else OTHER


def fold(text: str) -> str:
    """Lower case, letter by letter, where that leaves the number of UTF-8 bytes as it is."""
    if text.isascii():
        return text.lower()
    folded = text.encode().lower().decode()  # bytes: only what is ASCII
    for char in set(folded):
        if not char.isascii():
            folded = folded.replace(char, _fold_char(char))
    return folded


def _fold_char(char: str) -> str:
    small = char.lower()
    if ord(char) > _LAST_CASED or len(small) != 1 or len(small.encode()) != len(char.encode()):
        return char
    return small


def is_border(text: str, at: int) -> bool:
    """Whether a word or a part of one begins or ends between `text[at - 1]` and `text[at]`."""
    before = kind(text[at - 1]) if at > 0 else 0
    after = kind(text[at]) if at < len(text) else 0
    if before in (0, UNDERSCORE) or after in (0, UNDERSCORE):
        return True
    if (before == DIGIT) != (after == DIGIT):
        return True
    if after != UPPER:
        return False
    return before != UPPER or (at + 1 < len(text) and kind(text[at + 1]) == LOWER)


def parts(word: str) -> list[str]:
    """The parts of a word in their order, folded; a number is its only part."""
    if kind(word[0]) == DIGIT:
        return [fold(word)]
    cuts = [at for at in range(len(word) + 1) if is_border(word, at)]
    pieces = (word[start:end] for start, end in pairwise(cuts))
    return [fold(piece) for piece in pieces if piece != "_"]


def split(word: str) -> list[str]:
    """The terms that a word is found by: the word and its parts, folded, of 2..64 bytes."""
    if len(word.encode()) > WORD_MAX_BYTES:
        return []
    pieces = parts(word)
    terms = dict.fromkeys([fold(word), *pieces] if pieces else [])
    return [term for term in terms if TERM_MIN_BYTES <= len(term.encode()) <= TERM_MAX_BYTES]
