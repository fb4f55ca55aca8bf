"""What the published limits ask of a text: letters, digits, blanks, and lines that say nothing new.

Duplicate lines are found through a table of hashes that all texts of a batch share: the stamp of a
slot says which text wrote it last, so that the table is never cleared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    U64,
    byte_at,
    count_bits,
    equal_mask,
    first_bytes,
    letter_mask,
    limit,
    load64,
    lowest_bit,
    put,
    range_mask,
)

SEEN_MAX_SLOTS = 1 << 17
"""1 MiB: up to 65,000 different lines; what a larger text has beyond them is taken as new."""
_PROBES = 64
_STAMP_MASK = U64((1 << 23) - 1)
_HASH_SHIFT = U64(24)
_MIX = U64(0x9E3779B97F4A7C15)
_LOWER = U64(0x2020202020202020)


def _word(text: bytes) -> np.uint64:
    return U64(int.from_bytes(text, "little"))


_LEFT, _BROKEN = _word(b"todo"), _word(b"fixme")
_YOUR_COD, _ODE_HERE = _word(b"your cod"), _word(b"ode here")
_PASS, _PRINT, _IMPORT, _FROM = _word(b"pass"), _word(b"print"), _word(b"import"), _word(b"from")
_FOUR, _FIVE = _word(b"\xff" * 4), _word(b"\xff" * 5)


@njit(**JIT)
def count_characters(at: np.uint64, end: np.uint64) -> Any:
    """Letters, digits, blanks; a letter is one of ASCII, or any character beyond it."""
    letters = digits = blanks = U64(0)
    while at < end:
        keep = limit(end - at)
        letter = range_mask(at, 32, 97, 26) | range_mask(at, 0, 0xC0, 0x40)
        letters += count_bits(letter & keep)
        digits += count_bits(range_mask(at, 0, 48, 10) & keep)
        blanks += count_bits((equal_mask(at, 32) | range_mask(at, 0, 9, 5)) & keep)
        at += U64(64)
    return np.int64(letters), np.int64(digits), np.int64(blanks)


@njit(**JIT)
def seen_slots(lines: np.int64) -> np.int64:
    """A power of two, twice as many slots as there are lines."""
    slots = np.int64(64)
    while slots < 2 * lines and slots < SEEN_MAX_SLOTS:
        slots *= 2
    return slots


@njit(**INLINE)
def line_hash(at: np.uint64, end: np.uint64) -> np.uint64:
    mixed = (end - at) * _MIX
    while at < end:
        mixed = (mixed ^ first_bytes(at, end)) * _MIX
        mixed ^= mixed >> U64(29)
        at += U64(8)
    return mixed


@njit(**INLINE)
def duplicates(
    first: np.uint64, tail: np.uint64, seen: np.uint64, slots: np.int64, stamp: np.int64
) -> np.int64:
    """How many lines of code this one makes duplicates: 2 where the first is met again, then 1.

    A bracket alone is in every text, and none.
    """
    if tail - first == U64(1) or (
        tail - first == U64(2) and byte_at(first) == 125 and byte_at(first + U64(1)) == 44
    ):
        return np.int64(0)
    mixed = line_hash(first, tail)
    at = mixed & U64(slots - 1)
    mine = U64(stamp) & _STAMP_MASK
    for _ in range(_PROBES):
        slot = load64(seen + (at << U64(3)))
        if (slot >> U64(1)) & _STAMP_MASK != mine:
            kept = ((mixed >> _HASH_SHIFT) << _HASH_SHIFT) | (mine << U64(1))
            put(seen, np.int64(at), np.int64(kept))
            return np.int64(0)
        if slot >> _HASH_SHIFT == mixed >> _HASH_SHIFT:
            put(seen, np.int64(at), np.int64(slot | U64(1)))
            return np.int64(2) - np.int64(slot & U64(1))
        at = (at + U64(1)) & U64(slots - 1)
    return np.int64(0)


@njit(**INLINE)
def lower(at: np.uint64) -> np.uint64:
    return load64(at) | _LOWER


@njit(**INLINE)
def is_name_byte(byte: np.uint8) -> bool:
    code = int(byte)
    return 97 <= (code | 32) <= 122 or 48 <= code <= 57 or code == 95 or code >= 128


@njit(**INLINE)
def is_word(start: np.uint64, stop: np.uint64, at: np.uint64, end: np.uint64) -> bool:
    """Whether start..stop lies in at..end with no name going on before or after it."""
    if start < at or stop > end or (start > at and is_name_byte(byte_at(start - U64(1)))):
        return False
    return stop == end or not is_name_byte(byte_at(stop))


@njit(**INLINE)
def is_todo_near(place: np.uint64, at: np.uint64, end: np.uint64) -> bool:
    """Whether the "od" or "xm" at `place` is that of "todo", "your code here" or "fixme"."""
    after = place + U64(3)
    one, two, six = place - U64(1), place - U64(2), place - U64(6)
    if lower(one) & _FOUR == _LEFT and is_word(one, after, at, end):
        return True
    if lower(two) & _FIVE == _BROKEN and is_word(two, after, at, end):
        return True
    if lower(place) != _ODE_HERE or not is_word(six, place + U64(8), at, end):
        return False
    return lower(six) == _YOUR_COD


@njit(**INLINE)
def is_todo(at: np.uint64, end: np.uint64) -> bool:
    """Whether a line of comment says that something is left to do."""
    i = at
    while i < end:
        pair = letter_mask(i, 111) & (letter_mask(i, 100) >> U64(1))
        pair |= letter_mask(i, 120) & (letter_mask(i, 109) >> U64(1))
        pair &= limit(end - i)
        while pair != U64(0):
            if is_todo_near(i + lowest_bit(pair), at, end):
                return True
            pair &= pair - U64(1)
        i += U64(63)
    return False


@njit(**INLINE)
def begins_word(
    head: np.uint64, at: np.uint64, end: np.uint64, word: np.uint64, size: np.uint64
) -> bool:
    mask = (U64(1) << (size << U64(3))) - U64(1)
    if head & mask != word or end - at < size:
        return False
    return end - at == size or not is_name_byte(byte_at(at + size))


@njit(**INLINE)
def statement(first: np.uint64, tail: np.uint64) -> np.int64:
    """What a line of Python does: 0 passes, 1 imports, 2 prints, -1 something else."""
    head = first_bytes(first, tail)
    if begins_word(head, first, tail, _PASS, U64(4)):
        return np.int64(0)
    if begins_word(head, first, tail, _IMPORT, U64(6)):
        return np.int64(1)
    if begins_word(head, first, tail, _FROM, U64(4)):
        return np.int64(1)
    return np.int64(2 if begins_word(head, first, tail, _PRINT, U64(5)) else -1)
