"""Places inside a text: ends of lines, words, what is no blank."""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    U64,
    byte_at,
    equal_mask,
    get,
    limit,
    load64,
    lowest_bit,
    range_mask,
)


@njit(**INLINE)
def line_end(at: np.uint64, end: np.uint64, newline: np.uint8) -> np.uint64:
    while at < end:
        found = equal_mask(at, newline) & limit(end - at)
        if found != U64(0):
            return at + lowest_bit(found)
        at += U64(64)
    return end


@njit(**INLINE)
def first_visible(at: np.uint64, end: np.uint64) -> np.uint64:
    """The first byte that is no blank; `end` for none."""
    while at < end:
        blank = equal_mask(at, 32) | range_mask(at, 0, 9, 5)
        visible = ~blank & limit(end - at)
        if visible != U64(0):
            return at + lowest_bit(visible)
        at += U64(64)
    return end


@njit(**INLINE)
def last_visible(at: np.uint64, end: np.uint64) -> np.uint64:
    """The end of at..end without the blanks at its end."""
    while end > at and (byte_at(end - U64(1)) == 32 or 9 <= byte_at(end - U64(1)) <= 13):
        end -= U64(1)
    return end


@njit(**JIT)
def find(at: np.uint64, end: np.uint64, word: np.uint64, size: np.int64) -> np.uint64:
    """Where the `size` bytes of `word` (at most 8) first stand in at..end; `end` for none."""
    keep = (U64(1) << U64(8 * size)) - U64(1)
    first = np.uint8(word & U64(255))
    while at + U64(size) <= end:
        found = equal_mask(at, first) & limit(end - at)
        while found != U64(0):
            place = at + lowest_bit(found)
            if place + U64(size) <= end and load64(place) & keep == word:
                return place
            found &= found - U64(1)
        at += U64(64)
    return end


@njit(**INLINE)
def begins_with(head: np.uint64, marks: np.uint64, marker: np.int64) -> bool:
    """Whether the line begins with the marker in this column; the next column is its mask."""
    mask = U64(get(marks, marker + 1))
    return mask != U64(0) and head & mask == U64(get(marks, marker))
