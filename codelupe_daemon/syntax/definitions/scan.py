"""The pass over texts outside the GIL: each is taken apart into words and marks.

Comments and strings are stepped over. A stack of frames, one for each open bracket, says what
stands around a word; a frame also holds how far its current statement has come. What a keyword or
a mark does is data: the grammar's acts and traits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from codelupe_daemon.kernels import JIT
from codelupe_daemon.syntax.blocks import (
    U64,
    byte_at,
    equal_mask,
    get,
    limit,
    lowest_bit,
    put,
    range_mask,
)
from codelupe_daemon.syntax.definitions.grammar import SLOT_BYTES, SLOTS, Act, Trait
from codelupe_daemon.syntax.definitions.lexing import ONE, is_word
from codelupe_daemon.syntax.definitions.marks import on_mark
from codelupe_daemon.syntax.definitions.rows import Frame, Text
from codelupe_daemon.syntax.definitions.state import (
    FRAME_COLUMNS,
    MAX_DEPTH,
    TEXT_COLUMNS,
    address,
    has,
)
from codelupe_daemon.syntax.definitions.words import on_word


@njit(**JIT)
def scan_texts(
    data: Any, offsets: Any, sizes: Any, kinds: Any, traits: Any, words: Any, json: Any, ends: Any,
    found: Any,
) -> None:  # fmt: skip
    """Write a JSON array of names for each text, and where it ends; `found` is of the last one."""
    row = np.zeros(TEXT_COLUMNS, np.int64)
    frames = np.zeros((MAX_DEPTH + 2) * FRAME_COLUMNS, np.int64)
    text = U64(row.ctypes.data)
    to = 0
    for f in range(offsets.shape[0]):
        row[:] = 0
        if kinds[f] >= 0 and sizes[f] > 0:
            frames[:FRAME_COLUMNS] = 0
            frames[Frame.KIND] = Act.MODULE
            start = U64(data.ctypes.data) + U64(offsets[f])
            put(text, Text.START, np.int64(start))
            put(text, Text.END, np.int64(start + U64(sizes[f])))
            put(text, Text.TRAITS, traits[kinds[f]])
            put(text, Text.WORDS, words.ctypes.data + kinds[f] * SLOTS * SLOT_BYTES)
            put(text, Text.FRAME, frames.ctypes.data)
            put(text, Text.FRAMES, frames.ctypes.data)
            put(text, Text.FRESH, 1)
            put(text, Text.JSON_BYTES, 2)
            put(text, Text.FOUND, found.ctypes.data)
            scan(text)
        to = write_json(data, offsets[f], found, row[Text.COUNT], json, to)
        ends[f] = to


@njit(**JIT)
def write_json(data: Any, offset: int, found: Any, count: int, json: Any, to: int) -> int:
    """Write the names as an array to `json` from `to` on; where it ends."""
    json[to] = 91
    to += 1
    for k in range(count):
        at, size = offset + found[k, 0], found[k, 1]
        json[to] = 34
        json[to + 1 : to + 1 + size] = data[at : at + size]
        json[to + 1 + size] = 34
        json[to + 2 + size] = 44
        to += size + 3
    to -= count > 0  # the last comma
    json[to] = 93
    return to + 1


@njit(**JIT)
def scan(text: np.uint64) -> None:
    at, end = address(text, Text.START), address(text, Text.END)
    dollar = np.uint8(36 if has(text, Trait.DOLLAR) else 95)
    while at < end and not get(text, Text.FULL):
        quiet = has(text, Trait.QUIET)
        quiet = quiet and get(address(text, Text.FRAME), Frame.KIND) == Act.FUNCTION
        keep = limit(end - at)
        word = U64(0)
        if quiet:
            events = equal_mask(at, 34) | equal_mask(at, 39) | equal_mask(at, 96)
            events |= equal_mask(at, 47) | equal_mask(at, 123) | equal_mask(at, 125)
            events = (events | equal_mask(at, 35)) & keep
        else:
            word = range_mask(at, 32, 97, 26) | range_mask(at, 0, 48, 10) | equal_mask(at, 95)
            word = (word | range_mask(at, 0, 128, 128) | equal_mask(at, dollar)) & keep
            blank = equal_mask(at, 32) | equal_mask(at, 9) | equal_mask(at, 13)
            events = (~word & ~blank & keep) | (word & ~(word << ONE))
        at = take_events(text, at, word, events, dollar)


@njit(**JIT)
def take_events(
    text: np.uint64, at: np.uint64, word: np.uint64, events: np.uint64, dollar: np.uint8
) -> np.uint64:
    """Take the words and marks that begin in the 64 bytes at `at`; where the text goes on."""
    end = address(text, Text.END)
    while events != U64(0):
        bit = lowest_bit(events)
        events &= events - ONE
        place = at + bit
        if (word >> bit) & ONE:
            size = lowest_bit(~(word >> bit))
            if bit + size < U64(64):
                on_word(text, place, place + size)
                continue
            if bit > U64(0):
                return place
            while place < end and (is_word(np.int64(byte_at(place))) or byte_at(place) == dollar):
                place += ONE
            on_word(text, at, place)
            return place
        stop = max(on_mark(text, place), place + ONE)
        byte = byte_at(place)
        if byte == 123 or byte == 125 or stop >= at + U64(64):
            return stop
        events &= ~U64(0) << (stop - at)
        if stop > place + ONE and (word >> (stop - at)) & ONE:
            return stop  # a word that a string ran into begins anew
    return at + U64(64)
