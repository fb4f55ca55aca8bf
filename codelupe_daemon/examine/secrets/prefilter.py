"""Where something may stand: one pass over all texts, outside the GIL.

Most texts have no candidate at all. What is emitted is looked at closely by the module of its
kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    U64,
    byte_at,
    equal_mask,
    get,
    letter_mask,
    limit,
    load64,
    lowest_bit,
    put,
    range_mask,
)

Integers = npt.NDArray[np.int64]


class Sort(IntEnum):
    """What a candidate may be, and what its position is that of."""

    PRIVATE_KEY = 0
    """The first dash."""
    TOKEN = 1
    """The first byte."""
    URL = 2
    """The colon before two slashes."""
    VALUE = 3
    """The first byte of the value."""
    EMAIL = 4
    """The `@`."""
    IP_ADDRESS = 5
    """The first digit."""


COLUMNS = 3
"""Of a candidate: the text, the sort, the position in the text."""
_ROOM, _COUNT, _TEXT = range(3)
PREFIX_SLOTS = 1024
_BEFORE = 1 << 40
"""Marks bytes that stand before a run, not at its beginning."""
_STEP = U64(48)  # of 64 bytes seen at a time: runs of 16 that begin in it end in what is seen
_STARTS = U64((1 << 48) - 1)
_MIX = U64(0x9E3779B97F4A7C15)
_ONE, _TWO, _FOUR, _EIGHT = U64(1), U64(2), U64(4), U64(8)
_LOOK_BACK = U64(64)
_KEY, _TOKEN, _URL, _VALUE, _EMAIL, _IP = (int(sort) for sort in Sort)
_PRIVATE = U64(int.from_bytes(b"PRIVATE ", "little"))
_HOOKS = U64(int.from_bytes(b"hooks.sl", "little"))
_DISCORD = U64(int.from_bytes(b"discord", "little"))
_BEARER = U64(int.from_bytes(b"earer", "little"))
_SEVEN_BYTES, _FIVE_BYTES = U64((1 << 56) - 1), U64((1 << 40) - 1)


def prefix_table(starts: Sequence[bytes], before: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """Open addressing; `starts`: 3 or 4 bytes that begin a token; `before`: as many
    that precede one."""
    table = np.zeros(PREFIX_SLOTS, np.uint64)
    keys = {int.from_bytes(start, "little") for start in starts}
    keys |= {int.from_bytes(end, "little") | _BEFORE for end in before}
    for key in keys:
        at = ((key * int(_MIX)) & 0xFFFFFFFFFFFFFFFF) >> 54
        while table[at]:
            at = (at + 1) % PREFIX_SLOTS
        table[at] = key
    return table


@njit(**INLINE)
def is_prefix(key: np.uint64, prefixes: np.uint64) -> bool:
    at = (key * _MIX) >> U64(54)
    while True:
        held = load64(prefixes + at * U64(8))
        if held == key:
            return True
        if held == U64(0):
            return False
        at = (at + U64(1)) & U64(PREFIX_SLOTS - 1)


@njit(**INLINE)
def is_digit(byte: np.uint8) -> bool:
    return bool(48 <= byte <= 57)


@njit(**INLINE)
def word_mask(at: np.uint64) -> np.uint64:
    """What tokens are made of: letters, digits, `_` and `-`."""
    letters = range_mask(at, 32, 97, 26) | range_mask(at, 0, 48, 10)
    return letters | equal_mask(at, 95) | equal_mask(at, 45)


@njit(**JIT)
def run_end(at: np.uint64, end: np.uint64) -> np.uint64:
    """The end of the letters, digits, `_` and `-` from `at` on."""
    while at < end:
        other = ~word_mask(at) & limit(end - at)
        if other != U64(0):
            return at + lowest_bit(other)
        at += U64(64)
    return end


@njit(**JIT)
def begins_token(at: np.uint64, stop: np.uint64, start: np.uint64, end: np.uint64,
                 prefixes: np.uint64) -> bool:  # fmt: skip
    """Whether the run at..stop begins like a provider's token, or follows on such a beginning."""
    four = load64(at) & U64(0xFFFFFFFF)
    if is_prefix(four, prefixes) or is_prefix(four & U64(0xFFFFFF), prefixes):
        return True
    first = byte_at(at)
    if (  # Discord: three parts, the second of six bytes
        77 <= first <= 79
        and stop + U64(7) < end
        and 22 <= stop - at <= 30
        and byte_at(stop) == 46
        and byte_at(stop + U64(7)) == 46
    ):
        return True
    if at < start + U64(3):
        return False
    before = byte_at(at - U64(1))
    if before == 58:  # Telegram: digits, a colon, 35 bytes
        return is_digit(byte_at(at - U64(2))) and first == 65 and stop - at == U64(35)
    if (before != 46 and before != 47) or at < start + U64(4):
        return False
    four = load64(at - U64(4)) & U64(0xFFFFFFFF) | U64(_BEFORE)
    three = load64(at - U64(3)) & U64(0xFFFFFF) | U64(_BEFORE)
    return is_prefix(four, prefixes) or is_prefix(three, prefixes)


@njit(**JIT)
def is_named(at: np.uint64, start: np.uint64) -> bool:
    """Whether key, tok, sec, pas, pwd, aut, cred or acc stands in the 64 bytes before `at`."""
    first = max(start, at - _LOOK_BACK) if at >= start + _LOOK_BACK else start
    if first == at:
        return False
    keep = limit(at - first)
    a, c, d = letter_mask(first, 97), letter_mask(first, 99), letter_mask(first, 100)
    e, k, o = letter_mask(first, 101), letter_mask(first, 107), letter_mask(first, 111)
    p, r, s = letter_mask(first, 112), letter_mask(first, 114), letter_mask(first, 115)
    t, u, w = letter_mask(first, 116), letter_mask(first, 117), letter_mask(first, 119)
    y = letter_mask(first, 121)
    found = k & (e >> _ONE) & (y >> _TWO)
    found |= t & (o >> _ONE) & (k >> _TWO)
    found |= s & (e >> _ONE) & (c >> _TWO)
    found |= p & (a >> _ONE) & (s >> _TWO)
    found |= p & (w >> _ONE) & (d >> _TWO)
    found |= a & (u >> _ONE) & (t >> _TWO)
    found |= r & (e >> _ONE) & (d >> _TWO)
    return (found & keep) != U64(0)


@njit(**JIT)
def is_mixed(at: np.uint64, stop: np.uint64) -> bool:
    """Whether the first 64 bytes of at..stop have letters and digits."""
    keep = limit(stop - at)
    digits = range_mask(at, 0, 48, 10) & keep
    return digits != U64(0) and (range_mask(at, 32, 97, 26) & keep) != U64(0)


@njit(**JIT)
def is_value(at: np.uint64, start: np.uint64, end: np.uint64) -> bool:
    """Whether a quoted or unquoted value at `at`, after a quote or `=`, may be a secret."""
    opening = byte_at(at - U64(1))
    rest = min(end - at, U64(64))
    visible = range_mask(at, 0, 33, 94) & ~equal_mask(at, 34) & ~equal_mask(at, 39)
    visible &= ~equal_mask(at, 96) & ~equal_mask(at, 92) & limit(rest)
    size = lowest_bit(~visible)
    if opening != 61 and size < rest and byte_at(at + size) != opening:
        return False
    return is_mixed(at, at + size) and is_named(at - U64(1), start)


@njit(**JIT)
def is_assigned(at: np.uint64, stop: np.uint64, start: np.uint64) -> bool:
    """Whether the run at..stop stands without quotes after a name and `=` or `:`, or a Bearer."""
    k = at
    while k > start and byte_at(k - U64(1)) == 32:
        k -= U64(1)
    if k < start + U64(6):
        return False
    before = byte_at(k - U64(1))
    if before == 114 and k < at and load64(k - U64(5)) & _FIVE_BYTES == _BEARER:
        return is_mixed(at, stop)
    if before != 58 and (before != 61 or k == at):  # without a blank `=` is seen by `is_value`
        return False
    return is_mixed(at, stop) and is_named(k, start)


@njit(**JIT)
def has_password(at: np.uint64, end: np.uint64) -> bool:
    """Whether a colon, then an `@` stand in what follows on `://`, before a slash or a blank."""
    colon = False
    for _ in range(3):
        if at >= end:
            return False
        seen = limit(end - at)
        sign = equal_mask(at, 64) & seen
        stop = ~range_mask(at, 0, 33, 94) | equal_mask(at, 34) | equal_mask(at, 39)
        stop |= equal_mask(at, 47) | equal_mask(at, 60) | equal_mask(at, 96) | ~seen
        stopped = lowest_bit(stop)
        colons = equal_mask(at, 58)
        if lowest_bit(sign) < stopped:
            return colon or lowest_bit(colons) < lowest_bit(sign)
        if stopped < U64(64):
            return False
        colon |= colons != U64(0)
        at += U64(64)
    return False


@njit(**JIT)
def is_webhook(at: np.uint64, end: np.uint64) -> bool:
    if at + U64(32) > end:
        return False
    head = load64(at)
    return head == _HOOKS or head & _SEVEN_BYTES == _DISCORD


@njit(**JIT)
def is_private_key(at: np.uint64, end: np.uint64) -> bool:
    """Whether PRIVATE stands in the line of a header at `at`."""
    for k in range(11, 40):
        if at + U64(k + 8) > end or byte_at(at + U64(k)) < 32:
            return False
        if load64(at + U64(k)) == _PRIVATE:
            return True
    return False


@njit(**JIT)
def has_domain(at: np.uint64, end: np.uint64) -> bool:
    """Whether a dot and a letter are among what follows on `@`."""
    seen = limit(end - at)
    dots = equal_mask(at, 46)
    name = word_mask(at) | dots
    size = lowest_bit(~(name & seen))
    inside = limit(size)
    return (dots & (range_mask(at, 32, 97, 26) >> _ONE) & (inside >> _ONE)) != U64(0)


@njit(**JIT)
def is_ip_address(at: np.uint64, end: np.uint64) -> bool:
    """Whether four numbers of at most three digits stand here, with dots between."""
    parts = digits = 0
    while at < end and parts < 4:
        byte = byte_at(at)
        if is_digit(byte):
            digits += 1
            if digits > 3:
                return False
        elif byte == 46 and digits > 0:
            parts += 1
            digits = 0
        else:
            break
        at += U64(1)
    return parts == 3 and digits > 0


@njit(**JIT)
def emit(to: Any, sort: np.int64, position: np.uint64) -> None:
    """Write a candidate where there is room; the count goes on without."""
    header, table = to
    count = get(header, _COUNT)
    if count < get(header, _ROOM):
        row = table + U64(count * COLUMNS * 8)
        put(row, 0, get(header, _TEXT))
        put(row, 1, sort)
        put(row, 2, np.int64(position))
    put(header, _COUNT, count + 1)


@njit(**INLINE)
def in_a_row(mask: np.uint64, size: np.int64) -> np.uint64:
    """Where 10 or 16 bits in a row are set."""
    two = mask & (mask >> _ONE)
    four = two & (two >> _TWO)
    eight = four & (four >> _FOUR)
    return eight & (eight >> _EIGHT if size == 16 else two >> _EIGHT)


@njit(**INLINE)
def emit_runs(runs: np.uint64, at: np.uint64, place: Any, prefixes: np.uint64, to: Any) -> None:
    """Runs of 16 letters and more: tokens, and values without quotes."""
    start, end = place
    while runs != U64(0):
        run = at + lowest_bit(runs)
        runs &= runs - _ONE
        if run > start and byte_at(run - _ONE) == 92:
            run += _ONE  # an escape: its letter is no part of the token
        stop = run_end(run, end)
        if begins_token(run, stop, start, end, prefixes):
            emit(to, _TOKEN, run - start)
        elif is_assigned(run, stop, start):
            emit(to, _VALUE, run - start)


@njit(**INLINE)
def emit_values(values: np.uint64, at: np.uint64, place: Any, to: Any) -> None:
    start, end = place
    while values != U64(0):
        value = at + lowest_bit(values) + _ONE
        values &= values - _ONE
        if is_value(value, start, end):
            emit(to, _VALUE, value - start)


@njit(**INLINE)
def emit_urls(urls: np.uint64, at: np.uint64, place: Any, to: Any) -> None:
    start, end = place
    while urls != U64(0):
        colon = at + lowest_bit(urls)
        urls &= urls - _ONE
        if has_password(colon + U64(3), end):
            emit(to, _URL, colon - start)
        elif is_webhook(colon + U64(3), end):
            emit(to, _TOKEN, colon + U64(3) - start)


@njit(**INLINE)
def emit_keys(heads: np.uint64, at: np.uint64, place: Any, to: Any) -> None:
    start, end = place
    while heads != U64(0):
        head = at + lowest_bit(heads)
        heads &= heads - _ONE
        if is_private_key(head, end):
            emit(to, _KEY, head - start)


@njit(**INLINE)
def emit_emails(signs: np.uint64, at: np.uint64, place: Any, to: Any) -> None:
    start, end = place
    while signs != U64(0):
        sign = at + lowest_bit(signs)
        signs &= signs - _ONE
        if has_domain(sign + _ONE, end):
            emit(to, _EMAIL, sign - start)


@njit(**INLINE)
def emit_ip_addresses(numbers: np.uint64, at: np.uint64, place: Any, to: Any) -> None:
    start, end = place
    while numbers != U64(0):
        number = at + lowest_bit(numbers)
        numbers &= numbers - _ONE
        if is_ip_address(number, end):
            emit(to, _IP, number - start)


@njit(**INLINE)
def look_at(
    at: np.uint64, carry: np.uint64, place: Any, prefixes: np.uint64, wanted: int, to: Any
) -> np.uint64:
    """Emit what begins in the first 48 bytes; the carry says whether the byte before is of a word,
    and comes back for the next 48."""
    keep = limit(place[1] - at)
    letters = (range_mask(at, 32, 97, 26) | range_mask(at, 0, 48, 10)) & keep
    dashes = equal_mask(at, 45) & keep
    word = letters | (equal_mask(at, 95) & keep) | dashes
    after_word = (word << _ONE) | carry
    emit_runs(in_a_row(word, 16) & ~after_word & _STARTS, at, place, prefixes, to)

    quotes = equal_mask(at, 34) | equal_mask(at, 39) | equal_mask(at, 96)
    visible = range_mask(at, 0, 33, 94) & ~quotes & ~equal_mask(at, 92) & keep
    values = (quotes | equal_mask(at, 61)) & (in_a_row(visible, 10) >> _ONE)
    emit_values(values & _STARTS, at, place, to)

    slashes = equal_mask(at, 47) & keep
    urls = equal_mask(at, 58) & (slashes >> _ONE) & (slashes >> _TWO)
    emit_urls(urls & _STARTS, at, place, to)

    two = dashes & (dashes >> _ONE)
    heads = two & (two >> _TWO) & (dashes >> _FOUR) & (equal_mask(at, 66) >> U64(5))
    emit_keys(heads & _STARTS, at, place, to)

    if wanted & (1 << _EMAIL):
        signs = equal_mask(at, 64) & after_word & (letters >> _ONE)
        emit_emails(signs & _STARTS, at, place, to)
    if wanted & (1 << _IP):
        dots = equal_mask(at, 46) & keep
        numbers = range_mask(at, 0, 48, 10) & ~after_word & ~(dots << _ONE) & keep
        numbers &= (dots >> _ONE) | (dots >> _TWO) | (dots >> U64(3))
        emit_ip_addresses(numbers & _STARTS, at, place, to)
    return (word >> U64(47)) & _ONE


@njit(**JIT)
def find_candidates(
    data: Any, offsets: Any, sizes: Any, prefix_array: Any, wanted: int, header: Any, table: Any
) -> None:
    """Fill (n, COLUMNS) int64 in the order of texts; header: ROOM, and gets COUNT, even beyond it.

    `wanted` has the bit of each sort to look for.
    """
    prefixes = U64(prefix_array.ctypes.data)
    to = (U64(header.ctypes.data), U64(table.ctypes.data))
    for f in range(offsets.shape[0]):
        if sizes[f] <= 0:
            continue
        put(to[0], _TEXT, f)
        start = U64(data.ctypes.data) + U64(offsets[f])
        place = (start, start + U64(sizes[f]))
        carry = U64(0)
        at = start
        while at < place[1]:
            carry = look_at(at, carry, place, prefixes, wanted, to)
            at += _STEP


def candidates(
    data: npt.NDArray[np.uint8], offsets: Integers, sizes: Integers,
    prefixes: npt.NDArray[np.uint64], wanted: int,
) -> Integers:  # fmt: skip
    """The candidates in all texts, one a row, in the order of texts."""
    room = 1024
    while True:
        table = np.empty((room, COLUMNS), np.int64)
        header = np.array([room, 0, 0], np.int64)
        find_candidates(data, offsets, sizes, prefixes, wanted, header, table)
        room = int(header[_COUNT])
        if room <= len(table):
            return table[:room]
