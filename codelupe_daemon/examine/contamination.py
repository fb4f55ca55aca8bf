"""Texts that hold the prompts or solutions of code benchmarks, found by their 10-grams of words.

A word is a run of letters, digits, underscores and whatever is not ASCII, in lower case, so that
neither layout nor comment signs nor quotes hide a copy. A text is marked where RUN_GRAMS 10-grams
of the benchmarks follow each other: so many words in the same order are no accident. A 10-gram
counts for nothing where fewer than half of its words are names of two letters or more (numbers,
the alphabet), or where more than COMMON_ITEMS items have it (boilerplate of their authors).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import (
    PADDING,
    U64,
    byte_at,
    count_bits,
    equal_mask,
    first_bytes,
    get,
    limit,
    load64,
    lowest_bit,
    put,
    range_mask,
)

GRAM_WORDS = 10
RUN_GRAMS = 4
"""Thirteen words, as many as others look for at once."""
COMMON_ITEMS = 5
BITS_PER_GRAM = 32
NAME_FIELDS = ("task_id", "problem_id", "question_id", "id", "name")
TEXT_FIELDS = (
    *("prompt", "canonical_solution", "text", "code", "solution", "question", "solutions"),
    *("complete_prompt", "instruct_prompt", "reference_code", "question_content", "description"),
)

_NAMES_NEEDED = U64(GRAM_WORDS // 2)
_WINDOW = U64((1 << GRAM_WORDS) - 1)
_LOWER = U64(0x2020202020202020)
_MIX = U64(0x9E3779B97F4A7C15)
_BASE = U64(0xC2B2AE3D27D4EB4F)
_LEAVES = U64(pow(int(_BASE), GRAM_WORDS, 1 << 64))
# The state of a walk: eight numbers, then the last words in a ring of 16.
WORDS, SUM, NAMES, RUN, RUN_ITEM, BEST_RUN, BEST_ITEM, GRAMS, RING = range(9)
WALK_COLUMNS = RING + 16
# What a walk looks into: masks and addresses. Without a bitmap it writes the grams to OUT.
BITMAP, BIT_MASK, KEYS, ITEMS, KEY_MASK, OUT, INDEX_COLUMNS = range(7)

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]


@njit(**INLINE)
def word_hash(at: np.uint64, end: np.uint64) -> np.uint64:
    mixed = end - at
    while at < end:
        rest = min(end - at, U64(8))
        keep = U64(0xFFFFFFFFFFFFFFFF) >> (U64(64) - (rest << U64(3)))
        mixed = (mixed ^ (first_bytes(at, end) | (_LOWER & keep))) * _MIX
        mixed ^= mixed >> U64(32)
        at += U64(8)
    return mixed


@njit(**INLINE)
def item_of(gram: np.uint64, index: np.uint64) -> np.int64:
    """The item that has the gram; -1 for none. One bit answers for nearly all."""
    bit = gram & U64(get(index, BIT_MASK))
    byte = byte_at(U64(get(index, BITMAP)) + (bit >> U64(3)))
    if (U64(byte) >> (bit & U64(7))) & U64(1) == U64(0):
        return np.int64(-1)
    mask = U64(get(index, KEY_MASK))
    at = (gram >> U64(32)) & mask
    while True:
        key = load64(U64(get(index, KEYS)) + (at << U64(3)))
        if key == gram:
            return get(U64(get(index, ITEMS)), np.int64(at))
        if key == U64(0):
            return np.int64(-1)
        at = (at + U64(1)) & mask


@njit(**INLINE)
def count_run(item: np.int64, state: np.uint64) -> None:
    if item < 0:
        put(state, RUN, 0)
        return
    run = get(state, RUN) + 1
    if run == 1:
        put(state, RUN_ITEM, item)
    put(state, RUN, run)
    if run > get(state, BEST_RUN):
        put(state, BEST_RUN, run)
        put(state, BEST_ITEM, get(state, RUN_ITEM))


@njit(**INLINE)
def take_word(at: np.uint64, stop: np.uint64, state: np.uint64, index: np.uint64) -> None:
    """Roll the window on by one word."""
    number = get(state, WORDS)
    word = word_hash(at, stop)
    ring = np.int64(number & 15)
    leaves = U64(get(state, RING + ((number - GRAM_WORDS) & 15)))
    rolled = U64(get(state, SUM)) * _BASE + word
    if number >= GRAM_WORDS:
        rolled -= leaves * _LEAVES
    named = stop - at > U64(1) and not 48 <= byte_at(at) <= 57
    names = (U64(get(state, NAMES)) << U64(1)) | U64(named)
    put(state, RING + ring, np.int64(word))
    put(state, SUM, np.int64(rolled))
    put(state, NAMES, np.int64(names))
    put(state, WORDS, number + 1)
    if number + 1 < GRAM_WORDS:
        return
    gram = (rolled ^ (rolled >> U64(31))) * _MIX
    gram ^= gram >> U64(33)
    is_of_names = count_bits(names & _WINDOW) >= _NAMES_NEEDED
    if get(index, OUT) == 0:
        count_run(item_of(gram, index) if is_of_names else np.int64(-1), state)
    elif is_of_names:
        put(U64(get(index, OUT)), get(state, GRAMS), np.int64(gram))
        put(state, GRAMS, get(state, GRAMS) + 1)


@njit(**JIT)
def walk(at: np.uint64, end: np.uint64, state: np.uint64, index: np.uint64) -> None:
    """Take every word of at..end."""
    start = at
    inside = False
    carry = U64(0)
    while at < end:
        word = range_mask(at, 32, 97, 26) | range_mask(at, 0, 48, 10)
        word = (word | equal_mask(at, 95) | range_mask(at, 0, 0x80, 0x80)) & limit(end - at)
        edges = word ^ ((word << U64(1)) | carry)
        while edges != U64(0):
            place = at + lowest_bit(edges)
            edges &= edges - U64(1)
            if inside:
                take_word(start, place, state, index)
            start = place
            inside = not inside
        carry = word >> U64(63)
        at += U64(64)
    if inside and start < end:
        take_word(start, end, state, index)


@njit(**JIT)
def walk_texts(data: Any, offsets: Any, sizes: Any, index: Any, found: Any) -> None:
    """Fill (n, 2) int64: the longest run of grams in a text, and its item."""
    state = np.zeros(WALK_COLUMNS, np.int64)
    address = U64(state.ctypes.data)
    for f in range(offsets.shape[0]):
        state[:] = 0
        if sizes[f] > 0:
            at = U64(data.ctypes.data) + U64(offsets[f])
            walk(at, at + U64(sizes[f]), address, U64(index.ctypes.data))
        found[f, 0] = state[BEST_RUN]
        found[f, 1] = state[BEST_ITEM]


def grams_of(text: bytes) -> Hashes:
    """The hashes of a text's 10-grams, in their order."""
    data = np.frombuffer(text + bytes(PADDING), np.uint8)
    state = np.zeros(WALK_COLUMNS, np.int64)
    out = np.zeros(len(text) // 2 + 1, np.uint64)
    index = np.zeros(INDEX_COLUMNS, np.int64)
    index[OUT] = out.ctypes.data
    start = data.ctypes.data
    walk(U64(start), U64(start + len(text)), U64(state.ctypes.data), U64(index.ctypes.data))
    return out[: state[GRAMS]]


@dataclass(frozen=True, slots=True)
class Contamination:
    """The 10-grams of benchmarks. Thread-safe; `fingerprint` differs when what it finds does."""

    names: tuple[str, ...]
    bitmap: npt.NDArray[np.uint8]
    keys: Hashes
    items: npt.NDArray[np.int64]
    fingerprint: str

    @classmethod
    def of(cls, texts: Iterable[tuple[str, bytes]]) -> Contamination:
        """`texts`: each with its item's name; an item may have several."""
        numbers: dict[str, int] = {}
        grams: list[Hashes] = []
        owners: list[Integers] = []
        for name, text in texts:
            found = grams_of(text)
            grams.append(found)
            owners.append(np.full(len(found), numbers.setdefault(name, len(numbers)), np.int64))
        hashes, items = _first_owners(_joined(grams, np.uint64), _joined(owners, np.int64))
        digest = xxhash.xxh3_64_hexdigest(hashes.tobytes())[:8]
        return cls(tuple(numbers), _bitmap(hashes), *_table(hashes, items), digest)

    def find(
        self, data: npt.NDArray[np.uint8], offsets: Integers, sizes: Integers
    ) -> dict[int, str]:
        """The texts that hold a benchmark's, and the item; `data` has spare bytes at its end."""
        index = np.zeros(INDEX_COLUMNS, np.int64)
        index[BITMAP], index[BIT_MASK] = self.bitmap.ctypes.data, len(self.bitmap) * 8 - 1
        index[KEYS], index[ITEMS] = self.keys.ctypes.data, self.items.ctypes.data
        index[KEY_MASK] = len(self.keys) - 1
        found = np.zeros((len(offsets), 2), np.int64)
        walk_texts(data, offsets, sizes, index, found)
        marked = np.flatnonzero(found[:, 0] >= RUN_GRAMS).tolist()
        return {i: self.names[found[i, 1]] for i in marked}


def _joined(parts: list[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts])


def _first_owners(grams: Hashes, owners: Integers) -> tuple[Hashes, Integers]:
    """The distinct grams that are not common, in their order, each with the first of its items."""
    pairs = np.unique(np.stack([grams, owners.astype(np.uint64)], axis=1), axis=0)
    hashes, first, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    rare = (counts <= COMMON_ITEMS) & (hashes != 0)
    return hashes[rare], pairs[first[rare], 1].astype(np.int64)


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 1).bit_length()


def _bitmap(hashes: Hashes) -> npt.NDArray[np.uint8]:
    bits = _power_of_two(max(len(hashes) * BITS_PER_GRAM, 1 << 12))
    bitmap = np.zeros(bits // 8, np.uint8)
    places = hashes & np.uint64(bits - 1)
    np.bitwise_or.at(
        bitmap, places >> np.uint64(3), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8)
    )
    return bitmap


def _table(hashes: Hashes, items: Integers) -> tuple[Hashes, Integers]:
    """Open addressing, half full at most; 0 is free."""
    slots = _power_of_two(2 * len(hashes) + 2)
    keys, values = np.zeros(slots, np.uint64), np.zeros(slots, np.int64)
    for gram, item in zip(hashes.tolist(), items.tolist(), strict=True):
        at = (gram >> 32) & (slots - 1)
        while keys[at]:
            at = (at + 1) & (slots - 1)
        keys[at], values[at] = gram, item
    return keys, values


# -- the files that benchmarks come in -----------------------------------------------------------


def read_benchmark(name: str, data: bytes) -> list[tuple[str, bytes]]:
    """The texts of a benchmark in JSON or JSON lines, packed with gzip or not, with their items.

    Prompts and solutions, not tests. Raises `ValueError` for anything else.
    """
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"damaged: {error}") from error
    found: list[tuple[str, bytes]] = []
    for number, item in enumerate(_items(data.decode())):
        label = next((str(item[field]) for field in NAME_FIELDS if field in item), str(number))
        label = label if "/" in label else f"{name}/{label}"
        texts = (text for field in TEXT_FIELDS for text in _strings(item.get(field)))
        found += [(label, text.encode(errors="replace")) for text in texts]
    if not found:
        raise ValueError(f"no field of {', '.join(TEXT_FIELDS)}")
    return found


def _items(text: str) -> list[dict[str, Any]]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = [json.loads(line) for line in text.split("\n") if line.strip()]
    if isinstance(whole, dict) and not any(field in whole for field in TEXT_FIELDS):
        whole = list(whole.values())
    items = whole if isinstance(whole, list) else [whole]
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("a benchmark is a list of objects")
    return items


def _strings(value: Any) -> Iterator[str]:
    """A field may be a text, a list of them, or such a list written as JSON."""
    if isinstance(value, str):
        yield from _unpacked(value)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _unpacked(text: str) -> list[str]:
    try:
        parts = json.loads(text) if text.startswith('["') else None
    except json.JSONDecodeError:
        parts = None
    return [str(part) for part in parts] if isinstance(parts, list) else [text]
