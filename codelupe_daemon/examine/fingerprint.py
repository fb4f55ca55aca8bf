"""What near-duplicates are found by, and what decides that two texts are: 5-grams of their words.

A word is a run of letters, digits, underscores and whatever is not ASCII, in lower case. A shingle
is the hash of five words that follow each other. A fingerprint holds a byte of the least shingle
under each of FINGERPRINT_BYTES orders (MinHash): two texts agree in a byte about as often as their
sets of shingles overlap. Four bytes that follow each other are a band, which an index looks up.

Fingerprints are stored: whatever changes one here needs a new version of the examiner.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    PADDING,
    U64,
    equal_mask,
    limit,
    load64,
    lowest_bit,
    range_mask,
)

SHINGLE_WORDS = 5
BANDS, BAND_BYTES = 14, 4
"""Of pairs with a Jaccard index of 0.7, 0.979 share a band; with 0.75, 0.995; with 0.3, 0.1."""
FINGERPRINT_BYTES = BANDS * BAND_BYTES

Shingles = npt.NDArray[np.uint32]
_SPARE = bytes(PADDING)
_SEED = 0x9E3779B97F4A7C15
_SMALL = U64(0x2020202020202020)
_MIX_WORD, _MIX_SHINGLE = U64(0xD6E8FEB86659FD93), U64(0x9FB21C651E98DF25)
_MIX_BYTE = np.uint32(0x9E3779B1)


def _constants() -> Iterator[int]:
    """SplitMix64: the same numbers on every machine, for ever."""
    state = _SEED
    while True:
        state = (state + _SEED) % 2**64
        mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        yield mixed ^ (mixed >> 31)


_VECTOR = ir.VectorType(ir.IntType(32), FINGERPRINT_BYTES)
_numbers = _constants()
_FACTORS = ir.Constant(_VECTOR, [next(_numbers) >> 32 | 1 for _ in range(FINGERPRINT_BYTES)])
_TERMS = ir.Constant(_VECTOR, [next(_numbers) >> 32 for _ in range(FINGERPRINT_BYTES)])


@intrinsic
def lower_minima(_context: Any, minima: Any, shingle: Any) -> Any:
    """Lower each of the uint32 at an address to the rank of the shingle in its order."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        at = builder.inttoptr(args[0], _VECTOR.as_pointer())
        lane = builder.insert_element(
            ir.Constant(_VECTOR, ir.Undefined), args[1], ir.IntType(32)(0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), FINGERPRINT_BYTES), None)
        wide = builder.shuffle_vector(lane, ir.Constant(_VECTOR, ir.Undefined), zeros)
        rank = builder.add(builder.mul(wide, _FACTORS), _TERMS)
        before = builder.load(at)
        before.align = 4
        least = builder.select(builder.icmp_unsigned("<", rank, before), rank, before)
        builder.store(least, at).align = 4
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint32), generate


@intrinsic
def put32(_context: Any, at: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        builder.store(args[1], pointer).align = 4
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint32), generate


@njit(**INLINE)
def turned(value: np.uint64, bits: np.uint64) -> np.uint64:
    return (value << bits) | (value >> (U64(64) - bits))


@njit(**INLINE)
def word_hash(at: np.uint64, stop: np.uint64) -> np.uint64:
    """Of byte_at(at:stop) in lower case; of letters that are not ASCII nearly so."""
    mixed = (stop - at) * _MIX_SHINGLE
    while stop - at > U64(8):
        mixed = (mixed ^ (load64(at) | _SMALL)) * _MIX_WORD
        mixed ^= mixed >> U64(32)
        at += U64(8)
    keep = U64(0xFFFFFFFFFFFFFFFF) >> (U64(64) - ((stop - at) << U64(3)))
    mixed = (mixed ^ ((load64(at) | _SMALL) & keep)) * _MIX_WORD
    return mixed ^ (mixed >> U64(32))


@njit(**JIT)
def shingles_of(at: np.uint64, end: np.uint64, into: np.uint64) -> np.int64:
    """Write the shingles of a text as uint32, in their order and as often as they stand there."""
    one = two = three = four = U64(0)
    words = np.int64(0)
    inside = False
    carry = U64(0)
    start = i = at
    while i < end + U64(1):  # the end of the text ends the last word
        word = range_mask(i, 32, 97, 26) | range_mask(i, 0, 48, 10)
        word = (word | equal_mask(i, 95) | range_mask(i, 0, 0x80, 0x80)) & limit(end - i)
        edges = word ^ ((word << U64(1)) | carry)
        while edges != U64(0):
            place = i + lowest_bit(edges)
            edges &= edges - U64(1)
            if inside:
                five = word_hash(start, place)
                words += 1
                if words >= SHINGLE_WORDS:
                    mixed = turned(one, U64(52)) + turned(two, U64(39)) + turned(three, U64(26))
                    mixed = (mixed + turned(four, U64(13)) + five) * _MIX_SHINGLE
                    put32(into, np.uint32(mixed >> U64(32)))
                    into += U64(4)
                one, two, three, four = two, three, four, five
            start = place
            inside = not inside
        carry = word >> U64(63)
        i += U64(64)
    return max(words - np.int64(SHINGLE_WORDS - 1), np.int64(0))


@njit(**JIT)
def minima_of_texts(data: Any, offsets: Any, sizes: Any, minima: Any, counts: Any) -> None:
    """Fill (n, FINGERPRINT_BYTES) uint32, all ones before, and (n,) int64."""
    scratch = np.empty(np.max(sizes) // 2 + 1, np.uint32)
    for f in range(offsets.shape[0]):
        at = U64(data.ctypes.data) + U64(offsets[f])
        counts[f] = shingles_of(at, at + U64(sizes[f]), U64(scratch.ctypes.data))
        row = U64(minima.ctypes.data) + U64(f * FINGERPRINT_BYTES * 4)
        for k in range(counts[f]):
            lower_minima(row, scratch[k])


@njit(**JIT)
def shingles_of_text(data: Any, into: Any) -> np.int64:
    at = U64(data.ctypes.data)
    return shingles_of(at, at + U64(data.shape[0] - PADDING), U64(into.ctypes.data))


@njit(**JIT)
def drop_doubles(numbers: Any) -> np.int64:
    """Move the different ones of sorted numbers to the front; how many they are."""
    kept = np.int64(0)
    for k in range(numbers.shape[0]):
        numbers[kept] = numbers[k]
        kept += k + 1 == numbers.shape[0] or numbers[k] != numbers[k + 1]
    return kept


@njit(**JIT)
def count_common(left: Any, right: Any) -> np.int64:
    """How many numbers two sorted arrays without doubles share."""
    i = j = common = np.int64(0)
    while i < left.shape[0] and j < right.shape[0]:
        a, b = left[i], right[j]
        common += a == b
        i += a <= b
        j += b <= a
    return common


def fingerprints(data: Any, offsets: Any, sizes: Any) -> list[bytes | None]:
    """The fingerprint of each text; None for fewer than five words.

    data: uint8 with 64 spare bytes at its end; offsets, sizes: int64.
    """
    if not len(sizes):
        return []
    minima = np.full((len(sizes), FINGERPRINT_BYTES), 0xFFFFFFFF, np.uint32)
    counts = np.empty(len(sizes), np.int64)
    minima_of_texts(data, offsets, sizes, minima, counts)
    rows = ((minima * _MIX_BYTE) >> np.uint32(24)).astype(np.uint8)
    return [rows[f].tobytes() if counts[f] else None for f in range(len(sizes))]


def shingle_set(text: bytes) -> Shingles:
    """The different shingles of a text, sorted."""
    into = np.empty(len(text) // 2 + 1, np.uint32)
    count = shingles_of_text(np.frombuffer(text + _SPARE, np.uint8), into)
    shingles = into[:count]
    shingles.sort()
    return shingles[: drop_doubles(shingles)].copy()


def jaccard(left: Shingles, right: Shingles) -> float:
    """The share of what two sets have in common; 0 where both are empty."""
    common = int(count_common(left, right))
    return common / max(len(left) + len(right) - common, 1)
