"""What the pass over a text knows: of the text, of each open bracket, and the names found so far.

Both are rows of int64 at an address; Text and Frame name their columns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from codelupe_daemon.kernels import INLINE, JIT
from codelupe_daemon.syntax.blocks import U64, byte_at, get, put
from codelupe_daemon.syntax.definitions.lexing import ONE, same
from codelupe_daemon.syntax.definitions.rows import Frame, Text

MAX_NAMES = 200
MAX_NAME_BYTES = 255
MAX_JSON_BYTES = 4096
MAX_DEPTH = 200


TEXT_COLUMNS, FRAME_COLUMNS = len(Text), len(Frame)
_PHASE = int(Frame.PHASE)
FRAME_BYTES = U64(FRAME_COLUMNS * 8)


@njit(**INLINE)
def address(row: np.uint64, column: np.int64) -> np.uint64:
    return U64(get(row, column))


@njit(**INLINE)
def has(text: np.uint64, trait: np.int64) -> bool:
    return get(text, Text.TRAITS) & trait != 0


@njit(**INLINE)
def set_span(row: np.uint64, column: np.int64, at: np.uint64, stop: np.uint64) -> None:
    """Write a name into a column and the one after it."""
    put(row, column, np.int64(at))
    put(row, column + 1, np.int64(stop))


@njit(**JIT)
def new_statement(frame: np.uint64) -> None:
    for column in range(_PHASE, FRAME_COLUMNS):
        put(frame, column, 0)


@njit(**JIT)
def push(text: np.uint64, kind: np.int64, at: np.uint64) -> None:
    frame = address(text, Text.FRAME)
    if frame >= address(text, Text.FRAMES) + U64(MAX_DEPTH) * FRAME_BYTES:
        return
    frame += FRAME_BYTES
    put(text, Text.FRAME, np.int64(frame))
    put(frame, Frame.KIND, kind)
    put(frame, Frame.QUOTE, 0)
    put(frame, Frame.OPENED, np.int64(at))
    new_statement(frame)


@njit(**JIT)
def add_name(text: np.uint64, at: np.uint64, stop: np.uint64) -> None:
    """Keep a name unless it was found before or there is no more room.

    A name is of letters, digits, `_`, `$`, `?`, `!` and what is not ASCII: JSON as it stands.
    """
    size = stop - at
    if at >= stop or size > U64(MAX_NAME_BYTES) or get(text, Text.FULL):
        return
    if 48 <= byte_at(at) <= 57 or (size == ONE and byte_at(at) == 95):
        return
    start, end = address(text, Text.START), address(text, Text.END)
    count, found = get(text, Text.COUNT), address(text, Text.FOUND)
    for _ in range(count):
        if address(found, 1) == size and same(at, end, start + address(found, 0), size):
            return
        found += U64(16)
    json_bytes = get(text, Text.JSON_BYTES) + np.int64(size) + 3
    put(text, Text.FULL, json_bytes > MAX_JSON_BYTES or count + 1 == MAX_NAMES)
    if json_bytes <= MAX_JSON_BYTES:
        put(text, Text.JSON_BYTES, json_bytes)
        put(text, Text.COUNT, count + 1)
        set_span(found, 0, at - start, size)
