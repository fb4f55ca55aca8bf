"""Where comments and strings end: pieces of the kernel that finds definitions.

Every function takes addresses and gives the address where the text goes on, never beyond `end`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.syntax.blocks import (
    INLINE,
    JIT,
    U64,
    byte_at,
    equal_mask,
    limit,
    lowest_bit,
    range_mask,
)

ONE = U64(1)
_NEWLINE, _RETURN, _BACKSLASH, _BRACE = 10, 13, 92, 123
_RAW_MARKS_MAX = 16
ANGLES_MAX_BYTES = 400


@njit(**INLINE)
def peek(at: np.uint64, end: np.uint64) -> np.int64:
    """The byte at an address; 0 outside of the text."""
    return np.int64(byte_at(at)) if at < end else np.int64(0)


@njit(**INLINE)
def is_word(byte: np.int64) -> bool:
    return bool(97 <= (byte | 32) <= 122 or 48 <= byte <= 57 or byte == 95 or byte >= 128)


@njit(**JIT)
def line_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """The next line feed."""
    while at < end:
        found = equal_mask(at, 10) & limit(end - at)
        if found != U64(0):
            return at + lowest_bit(found)
        at += U64(64)
    return end


@njit(**JIT)
def first_visible(at: np.uint64, end: np.uint64) -> np.uint64:
    while at < end:
        visible = ~(equal_mask(at, 32) | range_mask(at, 0, 9, 5)) & limit(end - at)
        if visible != U64(0):
            return at + lowest_bit(visible)
        at += U64(64)
    return end


@njit(**JIT)
def word_end(at: np.uint64, end: np.uint64) -> np.uint64:
    while at < end and is_word(np.int64(byte_at(at))):
        at += ONE
    return at


@njit(**JIT)
def find_pair(at: np.uint64, end: np.uint64, first: np.uint8, second: np.uint8) -> np.uint64:
    """Where two bytes stand side by side."""
    while at + ONE < end:
        found = equal_mask(at, first) & equal_mask(at + ONE, second) & limit(end - at - ONE)
        if found != U64(0):
            return at + lowest_bit(found)
        at += U64(64)
    return end


@njit(**JIT)
def comment_end(at: np.uint64, end: np.uint64, nested: bool) -> np.uint64:
    """Behind the block comment whose `/*` stands at `at`."""
    at += U64(2)
    close = find_pair(at, end, 42, 47)
    depth = 1
    while close < end:
        opening = find_pair(at, close, 47, 42) if nested else close
        if opening < close:
            depth += 1
            at = opening + U64(2)
            continue
        depth -= 1
        at = close + U64(2)
        if depth == 0:
            return at
        close = find_pair(at, end, 42, 47)
    return end


@njit(**JIT)
def string_end(
    at: np.uint64, end: np.uint64, quote: np.uint8, hole: np.uint8, escapes: bool, lines: bool
) -> np.uint64:
    """Behind the quote that closes a string, behind the brace that opens a hole in it, or at the
    line feed that ends a string of one line; `at` is behind the quote that opens it."""
    while at < end:
        stops = equal_mask(at, quote) | equal_mask(at, 92)
        if not lines:
            stops |= equal_mask(at, 10)
        if hole != 0:
            stops |= equal_mask(at, hole)
        stops &= limit(end - at)
        if stops == U64(0):
            at += U64(64)
            continue
        at += lowest_bit(stops)
        byte = byte_at(at)
        if byte == quote:
            return at + ONE
        if byte == _BACKSLASH and escapes:
            at += U64(3 if peek(at + ONE, end) == _RETURN else 2)
        elif byte == _NEWLINE and not lines:
            return at
        elif byte == hole and peek(at + ONE, end) == _BRACE:
            return at + U64(2)
        else:
            at += ONE
    return end


@njit(**JIT)
def triple_end(
    at: np.uint64, end: np.uint64, quote: np.uint8, hole: np.uint8, escapes: bool
) -> np.uint64:
    """As `string_end`, for three quotes."""
    while at < end:
        stops = equal_mask(at, quote) | equal_mask(at, 92)
        if hole != 0:
            stops |= equal_mask(at, hole)
        stops &= limit(end - at)
        if stops == U64(0):
            at += U64(64)
            continue
        at += lowest_bit(stops)
        byte = byte_at(at)
        if byte == quote:
            if peek(at + ONE, end) == quote and peek(at + U64(2), end) == quote:
                return at + U64(3)
            at += ONE
        elif byte == _BACKSLASH and escapes:
            at += U64(2)
        elif byte == hole and peek(at + ONE, end) == _BRACE:
            return at + U64(2)
        else:
            at += ONE
    return end


@njit(**JIT)
def rust_marks(start: np.uint64, at: np.uint64) -> np.int64:
    """How many `#` a raw string has whose quote stands at `at`; -1: it is not raw."""
    marks = 0
    while at > start and byte_at(at - ONE) == 35 and marks < _RAW_MARKS_MAX:
        at -= ONE
        marks += 1
    if at > start and byte_at(at - ONE) == 114:  # r
        return np.int64(marks)
    return np.int64(-1)


@njit(**JIT)
def rust_raw_end(at: np.uint64, end: np.uint64, marks: np.int64) -> np.uint64:
    while at < end:
        stops = equal_mask(at, 34) & limit(end - at)
        if stops == U64(0):
            at += U64(64)
            continue
        at += lowest_bit(stops) + ONE
        found = 0
        while found < marks and peek(at + U64(found), end) == 35:
            found += 1
        if found == marks:
            return at + U64(marks)
    return end


@njit(**JIT)
def cpp_raw_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind R"mark(...)mark", whose first quote stands before `at`."""
    size = U64(0)
    while size <= U64(16) and peek(at + size, end) != 40:
        size += ONE
    if size > U64(16):
        return at
    place = at + size
    while place < end:
        stops = equal_mask(place, 41) & limit(end - place)
        if stops == U64(0):
            place += U64(64)
            continue
        place += lowest_bit(stops) + ONE
        same = U64(0)
        while same < size and peek(place + same, end) == byte_at(at + same):
            same += ONE
        if same == size and peek(place + size, end) == 34:
            return place + size + ONE
    return end


@njit(**JIT)
def rust_quote_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind a character, or behind the quote of a lifetime, which stands at `at`."""
    after = peek(at + ONE, end)
    if after == _BACKSLASH:
        return string_end(at + ONE, end, np.uint8(39), np.uint8(0), True, False)
    if peek(at + U64(2), end) == 39:
        return at + U64(3)
    if after >= 128:
        for k in range(3, 6):
            if peek(at + U64(k), end) == 39:
                return at + U64(k + 1)
    return at + ONE


@njit(**JIT)
def regex_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the regular expression whose slash stands at `at`, or the end of its line."""
    place = at + ONE
    in_class = False
    while place < end:
        byte = byte_at(place)
        if byte == _NEWLINE:
            return place
        if byte == _BACKSLASH:
            place += U64(2)
            continue
        if byte == 91:
            in_class = True
        elif byte == 93:
            in_class = False
        elif byte == 47 and not in_class:
            return place + ONE
        place += ONE
    return end


@njit(**JIT)
def angles_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the `>` that closes the `<` at `at`; `at` itself if they are no brackets."""
    depth = 0
    stop = min(end, at + U64(ANGLES_MAX_BYTES))
    place = at
    while place < stop:
        byte = byte_at(place)
        if byte == 60:
            depth += 1
        elif byte == 62:
            before = byte_at(place - ONE)
            if before != 61 and before != 45:  # => and ->
                depth -= 1
                if depth == 0:
                    return place + ONE
        elif byte == 59 or byte == 34 or (byte == 38 and byte_at(place - ONE) == 38):
            return at
        place += ONE
    return at


@njit(**JIT)
def heredoc_end(at: np.uint64, end: np.uint64, word: np.uint64, stop: np.uint64) -> np.uint64:
    """The end of the line that holds nothing but the word (and what cannot be of a word); the
    lines begin at `at`."""
    while at < end:
        place = at
        while peek(place, end) == 32 or peek(place, end) == 9:
            place += ONE
        size = U64(0)
        while word + size < stop and peek(place + size, end) == byte_at(word + size):
            size += ONE
        if word + size == stop and not is_word(peek(place + size, end)):
            return place + size
        at = line_end(at, end) + ONE
    return end


@njit(**JIT)
def directive_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """The end of a preprocessor's line and the lines that continue it, or a comment in it that
    may go on."""
    while True:
        stop = line_end(at, end)
        opening = find_pair(at, stop, 47, 42)
        if opening < stop and byte_at(opening - ONE) != 34:
            closing = find_pair(opening + U64(2), stop, 42, 47)
            if closing >= stop:
                return opening
            at = closing + U64(2)
            continue
        last = stop
        if last > at and byte_at(last - ONE) == _RETURN:
            last -= ONE
        if stop >= end or last <= at or byte_at(last - ONE) != _BACKSLASH:
            return stop
        at = stop + ONE
