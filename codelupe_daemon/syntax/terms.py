"""Texts to search terms, outside the GIL: what `identifiers.split` does, for batches of texts.

Three passes over each text, the first two without a branch per byte: every byte gets a mark
(belongs to a word; a part begins here), eight marks become eight bits, and the bits name the
words. A hash table of the text's own terms lets each one out once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax import identifiers
from codelupe_daemon.syntax.identifiers import DIGIT, LOWER, OTHER, UNDERSCORE, UPPER

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Function = TypeVar("Function", bound=Callable[..., Any])

_PADDING = 128  # bytes that may be read or written behind the end of a text
_TABLED = 0x40000  # no letter or digit lies above
_WORD, _CUT = 1, 2  # the bits of a mark
_MIN, _MAX, _WORD_MAX = (
    identifiers.TERM_MIN_BYTES,
    identifiers.TERM_MAX_BYTES,
    identifiers.WORD_MAX_BYTES,
)
_U = np.uint64
_ONES, _GATHER = _U(0x0101010101010101), _U(0x0102040810204080)
_SEED, _MIX = _U(0x9E3779B97F4A7C15), _U(0xD6E8FEB86659FD93)


def _kernel(function: Function) -> Function:
    return cast(Function, njit(**JIT)(function))


def _inline(function: Function) -> Function:
    return cast(Function, njit(**INLINE)(function))


# Memory by its address: arrays handed from function to function cost a counted reference each.


def _load(bits: int) -> Callable[..., Any]:
    def load(_typing: Any, _at: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            at = builder.inttoptr(values[0], ir.IntType(bits).as_pointer())
            value = builder.load(at)
            value.align = 1
            return builder.zext(value, ir.IntType(64)) if bits < 64 else value

        return types.uint64(types.uint64), generate

    return cast(Callable[..., Any], intrinsic(load))


def _store(bits: int) -> Callable[..., Any]:
    def store(_typing: Any, _at: Any, _value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            at = builder.inttoptr(values[0], ir.IntType(bits).as_pointer())
            value = builder.trunc(values[1], ir.IntType(bits)) if bits < 64 else values[1]
            builder.store(value, at).align = 1
            return context.get_dummy_value()

        return types.void(types.uint64, types.uint64), generate

    return cast(Callable[..., Any], intrinsic(store))


def _trailing_zeros(_typing: Any, _value: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


load8, load64, store8, store64 = _load(8), _load(64), _store(8), _store(64)
trailing_zeros: Callable[..., Any] = intrinsic(_trailing_zeros)


@_kernel
def _mark_ascii(text: Bytes, size: int, small: Bytes, kinds: Bytes, marks: Bytes) -> bool:
    """Fill `small` and `marks`, taking every byte above 0x7F for no word; whether there is none."""
    seen = np.uint8(0)
    for i in range(size):
        byte = text[i]
        upper = np.uint8((byte >= 65) & (byte <= 90))
        lower = np.uint8((byte >= 97) & (byte <= 122))
        digit = np.uint8((byte >= 48) & (byte <= 57))
        line = np.uint8(byte == 95)
        small[i] = byte | (upper << 5)
        kinds[i + 1] = upper | (lower << 1) | (digit << 2) | (line << 3)
        seen |= byte
    kinds[0] = kinds[size + 1] = 0
    for i in range(size):
        before, this, after = kinds[i], kinds[i + 1], kinds[i + 2]
        capital = this & (~before | (after >> 1)) & 1
        number = ((this ^ before) >> 2) & 1
        line = ((this | before) >> 3) & 1
        marks[i] = np.uint8(this != 0) | ((capital | number | line) << 1)
    return bool(seen < 128)


@_kernel
def _mark_utf8(
    text: Bytes, size: int, kind_of: Bytes, small_of: Any, small: Bytes, marks: Bytes
) -> None:
    """The same for text of any script, a character at a time."""
    last = before = at_last = i = 0
    kind: Any
    while i < size:
        lead = text[i]
        width = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        code: Any = np.int64(lead)
        if width > 1:
            code = lead & (0x7F >> width)
            for k in range(1, width):
                code = (code << 6) | (text[i + k] & 0x3F)
        kind = np.int64(kind_of[code]) if code < _TABLED else 0
        cut = (kind | before) & UNDERSCORE or (kind ^ before) & DIGIT
        cut = cut or (kind == UPPER and before != UPPER)
        if kind == LOWER and before == UPPER and last == UPPER:
            marks[at_last] |= _CUT
        for k in range(width):
            small[i + k] = text[i + k]
            marks[i + k] = _WORD if kind else 0
        if kind and cut:
            marks[i] |= _CUT
        if kind and code < len(small_of):
            _put(small, i, width, np.int64(small_of[code]))
        last, before, at_last = before, kind, i
        i += width


@_inline
def _put(small: Bytes, i: int, width: int, code: Any) -> None:
    if width == 1:
        small[i] = code
    elif width == 2:
        small[i] = 0xC0 | (code >> 6)
        small[i + 1] = 0x80 | (code & 0x3F)
    else:
        small[i] = 0xE0 | (code >> 12)
        small[i + 1] = 0x80 | ((code >> 6) & 0x3F)
        small[i + 2] = 0x80 | (code & 0x3F)


@_kernel
def _gather(marks: Bytes, size: int, words: Words, cuts: Words) -> None:
    """Marks to bits, 64 of them in a word; the last word is empty."""
    count = size // 64 + 2
    marks[size : count * 64] = 0
    at = _U(marks.ctypes.data)
    for k in range(count):
        word = cut = _U(0)
        for shift in range(_U(0), _U(64), _U(8)):
            eight = load64(at)
            at += _U(8)
            word |= (((eight & _ONES) * _GATHER) >> _U(56)) << shift
            cut |= ((((eight >> _U(1)) & _ONES) * _GATHER) >> _U(56)) << shift
        words[k] = word
        cuts[k] = cut


@_inline
def _hash(at: Any, size: Any, seed: Any) -> Any:
    value = seed ^ (size * _SEED)
    while size >= _U(8):
        value = (value ^ load64(at)) * _MIX
        value ^= value >> _U(32)
        at += _U(8)
        size -= _U(8)
    value ^= load64(at) & ((_U(1) << (size * _U(8))) - _U(1))
    value *= _MIX
    value ^= value >> _U(32)
    return (value * _SEED) | _U(1)


@_inline
def _find(table: Any, mask: Any, value: Any) -> Any:
    """The address of the value's slot in the table: its own, or the empty one where it belongs."""
    slot = (value >> _U(24)) & mask
    while True:
        at = table + slot * _U(8)
        found = load64(at)
        if found == 0 or found == value:
            return at
        slot = (slot + _U(1)) & mask


@_inline
def _copy(source: Any, size: Any, to: Any) -> Any:
    for k in range(_U(0), size, _U(8)):
        store64(to + k, load64(source + k))
    store8(to + size, _U(32))
    return to + size + _U(1)


@_inline
def _has_cut(cuts: Any, start: Any, stop: Any) -> Any:
    """Whether a part begins in `start..stop - 1`; the range is not longer than 128."""
    first, last = start >> _U(6), stop >> _U(6)
    below = ~_U(0) << (start & _U(63))
    above = (_U(1) << (stop & _U(63))) - _U(1)
    bits = load64(cuts + first * _U(8)) & below
    if first == last:
        return (bits & above) != 0
    if last > first + _U(1):
        bits |= load64(cuts + first * _U(8) + _U(8))
    return (bits | (load64(cuts + last * _U(8)) & above)) != 0


@_inline
def _next_cut(cuts: Any, start: Any, stop: Any) -> Any:
    """Where the next part begins from `start` on, or `stop`."""
    k = start >> _U(6)
    bits = load64(cuts + k * _U(8)) & (~_U(0) << (start & _U(63)))
    while bits == 0 and (k << _U(6)) < stop:
        k += _U(1)
        bits = load64(cuts + k * _U(8))
    return min((k << _U(6)) + trailing_zeros(bits), stop) if bits else stop


@_kernel
def _add_words(
    text: Any, size: int, small: Any, words: Words, cuts: Any, table: Any, used: Any, out: Any
) -> Any:
    """Write the terms of one text; where they end. All but `size` and `words` are addresses."""
    slots = 256
    while slots < size:
        slots *= 2
    mask = _U(slots - 1)
    first_used = used
    carry = start = piece = stop = inside = _U(0)
    for k in range(size // 64 + 2):
        edges = words[k] ^ ((words[k] << _U(1)) | carry)
        carry = words[k] >> _U(63)
        while edges:
            stop = _U(k * 64) + trailing_zeros(edges)
            edges &= edges - _U(1)
            inside ^= _U(1)
            if inside:
                start = stop
                continue
            length = stop - start
            if length < _U(_MIN) or length > _U(_WORD_MAX):
                continue
            first = load8(text + start)
            piece = stop
            if not 48 <= first <= 57 and _has_cut(cuts, start + _U(1), stop):
                value = _hash(text + start, length, _SEED)
                slot = _find(table, mask, value)
                if load64(slot) == value:
                    continue
                store64(slot, value)
                store64(used, slot)
                used += _U(8)
                piece = start
                while piece < stop and load8(text + piece) == 95:
                    piece += _U(1)
                if piece == stop:
                    continue
            at = start
            while True:  # the word, then its pieces; an underscore is a piece of its own
                if _U(_MIN) <= length <= _U(_MAX):
                    value = _hash(small + at, length, _U(0))
                    slot = _find(table, mask, value)
                    if load64(slot) != value:
                        store64(slot, value)
                        store64(used, slot)
                        used += _U(8)
                        out = _copy(small + at, length, out)
                if piece == stop:
                    break
                at = piece
                piece = _next_cut(cuts, at + _U(1), stop)
                length = piece - at
    while used > first_used:
        used -= _U(8)
        store64(load64(used), _U(0))
    return np.int64(out)


@_kernel
def _terms(
    texts: Bytes, starts: Any, kind_of: Bytes, small_of: Any, small: Bytes, kinds: Bytes,
    marks: Bytes, words: Words, cuts: Words, table: Words, used: Words, out: Bytes, ends: Any,
) -> None:  # fmt: skip
    end: Any = np.int64(out.ctypes.data)
    for n in range(len(starts) - 1):
        text = texts[starts[n] :]
        size = starts[n + 1] - starts[n] - _PADDING
        if not _mark_ascii(text, size, small, kinds, marks):
            _mark_utf8(text, size, kind_of, small_of, small, marks)
        _gather(marks, size, words, cuts)
        end = _add_words(
            _U(text.ctypes.data), size, _U(small.ctypes.data), words, _U(cuts.ctypes.data),
            _U(table.ctypes.data), _U(used.ctypes.data), _U(end),
        )  # fmt: skip
        ends[n] = end - np.int64(out.ctypes.data)


@cache
def _tables() -> tuple[Bytes, npt.NDArray[np.uint16]]:
    """The class of each character, and what each character up to U+FFFF is in lower case."""
    kind_of = np.zeros(_TABLED, np.uint8)
    small_of = np.arange(0x10000, dtype=np.uint16)
    for word in re.finditer(r"\w+", "".join(map(chr, range(_TABLED)))):
        kind_of[word.start() : word.end()] = OTHER
    for code in np.flatnonzero(kind_of[:0x10000]).tolist():
        char = chr(code)
        kind_of[code] = identifiers.kind(char)
        small_of[code] = ord(identifiers.fold(char))
    return kind_of, small_of


def terms_of(texts: Sequence[str]) -> list[memoryview]:
    """For each text its terms in UTF-8, each of them once and with a space behind it."""
    encoded = [text.encode() for text in texts]
    sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
    starts = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(sizes + _PADDING, out=starts[1:])
    buffer = np.frombuffer(bytes(_PADDING).join([*encoded, b""]), np.uint8)
    largest = int(sizes.max(initial=0))
    slots = max(256, 1 << largest.bit_length())
    small, kinds, marks = (np.empty(largest + _PADDING, np.uint8) for _ in range(3))
    words, cuts = (np.empty(largest // 64 + 3, np.uint64) for _ in range(2))
    table, used = np.zeros(slots, np.uint64), np.empty(slots, np.uint64)
    # No term is longer than its word, and a word's parts are together no longer than the word.
    out = np.empty(3 * int(sizes.sum()) + _PADDING, np.uint8)
    ends = np.empty(len(encoded), np.int64)
    kind_of, small_of = _tables()
    _terms(
        buffer, starts, kind_of, small_of, small, kinds, marks, words, cuts, table, used, out, ends
    )
    return [out[start:end].data for start, end in pairwise([0, *ends.tolist()])]
