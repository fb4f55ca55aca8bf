"""Where comments, strings, brackets and words end, and what stands at a place.

Every function takes addresses and never looks behind `end`; where the text goes on is an address.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    U64,
    byte_at,
    equal_mask,
    first_bytes,
    limit,
    lowest_bit,
    range_mask,
)

ONE = U64(1)
_NEWLINE, _RETURN, _BACKSLASH, _BRACE = 10, 13, 92, 123
_MARKS_MAX = 16
BRACKETS_MAX_BYTES = 400
_ASYNC, _FUNCTION, _CLASS = (
    U64(int.from_bytes(word, "little")) for word in (b"async", b"function", b"class")
)


@njit(**INLINE)
def peek(at: np.uint64, end: np.uint64) -> np.int64:
    """The byte at an address; 0 outside of the text."""
    return np.int64(byte_at(at)) if at < end else np.int64(0)


@njit(**INLINE)
def is_word(byte: np.int64) -> bool:
    return bool(97 <= (byte | 32) <= 122 or 48 <= byte <= 57 or byte == 95 or byte >= 128)


@njit(**JIT)
def find_byte(at: np.uint64, end: np.uint64, byte: np.uint8) -> np.uint64:
    while at < end:
        found = equal_mask(at, byte) & limit(end - at)
        if found != U64(0):
            return at + lowest_bit(found)
        at += U64(64)
    return end


@njit(**JIT)
def find_pair(at: np.uint64, end: np.uint64, first: np.uint8, second: np.uint8) -> np.uint64:
    """Where two bytes stand side by side."""
    while at + ONE < end:
        found = equal_mask(at, first) & equal_mask(at + ONE, second) & limit(end - at - ONE)
        if found != U64(0):
            return at + lowest_bit(found)
        at += U64(64)
    return end


@njit(**INLINE)
def line_end(at: np.uint64, end: np.uint64) -> np.uint64:
    return find_byte(at, end, np.uint8(_NEWLINE))


@njit(**INLINE)
def block_comment_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the `*/` that comes after `at`."""
    return min(find_pair(at, end, np.uint8(42), np.uint8(47)) + U64(2), end)


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
def same(at: np.uint64, end: np.uint64, word: np.uint64, size: np.uint64) -> bool:
    """Whether the `size` bytes at `word` stand at `at` too."""
    k = U64(0)
    while k < size and peek(at + k, end) == byte_at(word + k):
        k += ONE
    return bool(k == size)


@njit(**JIT)
def string_end(
    at: np.uint64, end: np.uint64, quote: np.uint8, tail: np.uint64, more: np.uint64,
    hole: np.uint8, escapes: bool, lines: bool,
) -> np.uint64:  # fmt: skip
    """Behind what closes a string: the quote and then the `more` bytes that `tail` points to.

    Or behind the brace that opens a hole in it, or at the line feed that ends a string of one
    line.
    """
    while at < end:
        stops = equal_mask(at, quote)
        if escapes:
            stops |= equal_mask(at, 92)
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
        if byte == _BACKSLASH and escapes:
            at += U64(3 if peek(at + ONE, end) == _RETURN else 2)
        elif byte == quote and same(at + ONE, end, tail, more):
            return at + ONE + more
        elif byte == _NEWLINE and not lines:
            return at
        elif byte == hole and peek(at + ONE, end) == _BRACE:
            return at + U64(2)
        else:
            at += ONE
    return end


@njit(**JIT)
def rust_string_end(at: np.uint64, end: np.uint64, start: np.uint64) -> np.uint64:
    """Behind the raw string whose quote stands at `at`; `at` if it is not raw."""
    tail = at
    while tail > start and byte_at(tail - ONE) == 35 and at - tail < U64(_MARKS_MAX):
        tail -= ONE
    if tail == start or byte_at(tail - ONE) != 114:  # r
        return at
    return string_end(at + ONE, end, np.uint8(34), tail, at - tail, np.uint8(0), False, True)


@njit(**JIT)
def character_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind a character, or behind the quote of a lifetime, which stands at `at`."""
    after = peek(at + ONE, end)
    if after == _BACKSLASH:
        return string_end(at + ONE, end, np.uint8(39), at, U64(0), np.uint8(0), True, False)
    for k in range(2, 6 if after >= 128 else 3):
        if peek(at + U64(k), end) == 39:
            return at + U64(k + 1)
    return at + ONE


@njit(**JIT)
def regex_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """Behind the regular expression whose slash stands at `at`, or the end of its line."""
    place = at + ONE
    in_class = False
    while place < end and byte_at(place) != _NEWLINE:
        byte = byte_at(place)
        if byte == 47 and not in_class:
            return place + ONE
        in_class = (in_class or byte == 91) and byte != 93
        place += U64(2 if byte == _BACKSLASH else 1)
    return min(place, end)


@njit(**JIT)
def bracket_end(at: np.uint64, end: np.uint64, opening: np.int64) -> np.uint64:
    """Behind what closes the bracket at `at`; `at` itself if it is none or does not end soon."""
    closing = opening + (1 if opening == 40 else 2)
    depth = 0
    for place in range(at, min(end, at + U64(BRACKETS_MAX_BYTES))):
        byte, before = byte_at(place), byte_at(place - ONE)
        if byte == opening:
            depth += 1
        elif byte == closing and before != 61 and before != 45:  # => and ->
            depth -= 1
            if depth == 0:
                return place + ONE
        elif byte == 59 or byte == 34 or (byte == 38 and before == 38):
            return at
    return at


@njit(**JIT)
def is_function(at: np.uint64, end: np.uint64) -> bool:
    """Whether `function`, `class`, `(...) =>` or `name =>` stands here, perhaps after `async`."""
    at = first_visible(at, end)
    stop = word_end(at, end)
    if stop - at == U64(5) and first_bytes(at, stop) == _ASYNC:
        at = first_visible(stop, end)
        stop = word_end(at, end)
    if stop > at:
        word = first_bytes(at, stop)
        if (stop - at == U64(8) and word == _FUNCTION) or word == _CLASS:
            return True
    if peek(at, end) == 60:
        at = first_visible(bracket_end(at, end, 60), end)
    if peek(at, end) == 40:
        stop = bracket_end(at, end, 40)
    arrow = first_visible(stop, end)
    if peek(arrow, end) == 58 and stop > at:  # the type of what it returns
        line = line_end(arrow, min(end, arrow + U64(BRACKETS_MAX_BYTES)))
        arrow = min(find_pair(arrow, line, 61, 62), find_byte(arrow, line, 59))
    return stop > at and peek(arrow, end) == 61 and peek(arrow + ONE, end) == 62


@njit(**JIT)
def directive_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """The end of a preprocessor's line, of the lines that continue it and of a comment in it."""
    while True:
        stop = line_end(at, end)
        comment = find_pair(at, stop, np.uint8(47), np.uint8(42))
        if comment < stop and byte_at(comment - ONE) != 34:
            at = block_comment_end(comment + U64(2), end)
            continue
        last = stop - U64(2 if byte_at(stop - ONE) == _RETURN else 1)
        if stop >= end or last < at or byte_at(last) != _BACKSLASH:
            return stop
        at = stop + ONE
