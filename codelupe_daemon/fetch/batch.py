"""The output of `git cat-file --batch`, found out in one pass outside the GIL."""

from __future__ import annotations

import mmap
import os
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from codelupe_daemon.fetch.tree import PADDING_BYTES
from codelupe_daemon.kernels import JIT

BLOB, MISSING, OTHER_TYPE = 0, 1, 2
_MAX_HEADER_BYTES = 200
_MAX_DIGITS = 18


class Batch(NamedTuple):
    """The first `complete` objects are whole. `sizes[complete]` is what the header of the next
    one said before the output broke off, or -1."""

    buffer: memoryview
    complete: int
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    states: NDArray[np.uint8]


def map_batch(fd: int, size_bytes: int, count: int) -> Batch:
    """Map a memfd of batch output for `count` requested ids."""
    os.ftruncate(fd, size_bytes + PADDING_BYTES)
    mapped = mmap.mmap(fd, size_bytes + PADDING_BYTES, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
    data = np.frombuffer(mapped, np.uint8)
    offsets = np.zeros(count, np.int64)
    sizes = np.full(count, -1, np.int64)
    states = np.zeros(count, np.uint8)
    complete = _parse(data, size_bytes, offsets, sizes, states)
    return Batch(memoryview(mapped), complete, offsets, sizes, states)


@njit(**JIT)
def _parse(
    data: NDArray[np.uint8],
    end: int,
    offsets: NDArray[np.int64],
    sizes: NDArray[np.int64],
    states: NDArray[np.uint8],
) -> int:
    """`<id> <type> <size>\\n<bytes>\\n`, or `<id> missing\\n`; stops at whatever is not whole."""
    at = 0
    for i in range(sizes.size):
        line_end = at
        first_space = second_space = -1
        stop = min(end, at + _MAX_HEADER_BYTES)
        while line_end < stop and data[line_end] != 10:
            if data[line_end] == 32:
                if first_space < 0:
                    first_space = line_end
                elif second_space < 0:
                    second_space = line_end
            line_end += 1
        if line_end == stop or first_space < 0:
            return i
        if second_space < 0:
            states[i] = MISSING
            at = line_end + 1
            continue
        digits = line_end - second_space - 1
        if digits < 1 or digits > _MAX_DIGITS:
            return i
        size = 0
        for k in range(second_space + 1, line_end):
            if data[k] < 48 or data[k] > 57:
                return i
            size = size * 10 + (int(data[k]) - 48)
        sizes[i] = size
        if size > end - line_end - 2:
            return i
        states[i] = BLOB if data[first_space + 1] == 98 else OTHER_TYPE
        offsets[i] = line_end + 1
        at = line_end + 2 + size
    return int(sizes.size)
