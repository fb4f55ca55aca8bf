"""What kind of bytes a blob is: the pass over every file, and the way of the unusual ones.

UTF-8 stays where it lies in the buffer. UTF-16 and UTF-32 with a byte order mark, and surrogates
that were written as UTF-8, are transcoded one by one.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from codelupe_daemon.kernels import JIT
from codelupe_daemon.model import Reason
from codelupe_daemon.syntax.blocks import (
    U64,
    byte_at,
    count_bits,
    equal_mask,
    first_bytes,
    get,
    limit,
    lowest_bit,
    put,
    range_mask,
)

NUL, BAD_BYTE, CHARS, LF, CR, HEAD, TEXT_COLUMNS = range(7)

_LFS_HEAD = b"version https://git-lfs.github.com/spec/v1\n"
LFS_MAX_BYTES = 1024
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKS = (  # UTF-32-LE begins with the mark of UTF-16-LE: the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@njit(**JIT)
def first_bad_byte(start: np.uint64, end: np.uint64) -> np.int64:
    """The offset of the first byte in start..end that is no UTF-8; -1 for none."""
    i = start
    while i < end:
        c = byte_at(i)
        if c < 0x80:
            high = range_mask(i, 0, 0x80, 0x80)
            i += lowest_bit(high)
            continue
        low, top = 0x80, 0xBF
        if 0xC2 <= c <= 0xDF:
            more = 1
        elif 0xE0 <= c <= 0xEF:
            more = 2
            low = 0xA0 if c == 0xE0 else 0x80
            top = 0x9F if c == 0xED else 0xBF
        elif 0xF0 <= c <= 0xF4:
            more = 3
            low = 0x90 if c == 0xF0 else 0x80
            top = 0x8F if c == 0xF4 else 0xBF
        else:
            return np.int64(i - start)
        if i + U64(more) >= end or byte_at(i + U64(1)) < low or byte_at(i + U64(1)) > top:
            return np.int64(i - start)
        for k in range(2, more + 1):
            if byte_at(i + U64(k)) & 0xC0 != 0x80:
                return np.int64(i - start)
        i += U64(more + 1)
    return np.int64(-1)


@njit(**JIT)
def scan_texts(data: Any, offsets: Any, sizes: Any, table: Any) -> None:
    """Fill (n, TEXT_COLUMNS) int64: offsets of the first NUL and of the first byte that is no
    UTF-8 (-1: none), characters, line feeds, carriage returns, and the first four bytes."""
    for f in range(offsets.shape[0]):
        row = U64(table.ctypes.data) + U64(f * TEXT_COLUMNS * 8)
        put(row, NUL, -1)
        put(row, BAD_BYTE, -1)
        if sizes[f] <= 0:
            continue
        start = U64(data.ctypes.data) + U64(offsets[f])
        end = start + U64(sizes[f])
        high = inside = feeds = returns = U64(0)
        put(row, HEAD, np.int64(first_bytes(start, end) & U64(0xFFFFFFFF)))
        i = start
        while i < end:
            keep = limit(end - i)
            zero = equal_mask(i, 0) & keep
            if zero != U64(0) and get(row, NUL) < 0:
                put(row, NUL, np.int64(i - start + lowest_bit(zero)))
            high |= range_mask(i, 0, 0x80, 0x80) & keep
            inside += count_bits(range_mask(i, 0, 0x80, 0x40) & keep)
            feeds += count_bits(equal_mask(i, 10) & keep)
            returns += count_bits(equal_mask(i, 13) & keep)
            i += U64(64)
        put(row, CHARS, np.int64(end - start - inside))
        put(row, LF, np.int64(feeds))
        put(row, CR, np.int64(returns))
        if high != U64(0) and get(row, NUL) < 0:
            put(row, BAD_BYTE, first_bad_byte(start, end))


class Decoded(NamedTuple):
    """Either the text or why there is none."""

    text: bytes
    reason: Reason | None = None
    measured: float | None = None


def is_lfs_pointer(blob: bytes) -> bool:
    return len(blob) <= LFS_MAX_BYTES and blob.startswith(_LFS_HEAD)


def begins_like_lfs(heads: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return heads == int.from_bytes(_LFS_HEAD[:4], "little")


def has_wide_mark(heads: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which blobs say by their first bytes that they are UTF-16 or UTF-32."""
    short = heads & 0xFFFF
    return (short == 0xFEFF) | (short == 0xFFFE) | (heads == 0xFFFE0000)


def has_utf8_mark(heads: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return (heads & 0xFFFFFF) == 0xBFBBEF


def transcode(blob: bytes) -> Decoded:
    """UTF-8 from a blob that is not plain UTF-8; unpaired surrogates become U+FFFD."""
    mark, encoding = next((m for m in _MARKS if blob.startswith(m[0])), (b"", "utf-8"))
    try:
        text = blob[len(mark) :].decode(encoding, "surrogatepass")
    except UnicodeDecodeError as bad:
        return Decoded(b"", Reason.NOT_TEXT, float(len(mark) + bad.start))
    if encoding == "utf-8":  # pairs that were written one by one
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    nul = text.find("\0")
    if nul >= 0:
        return Decoded(b"", Reason.BINARY, float(nul))
    return Decoded(_SURROGATE.sub("\ufffd", text).encode())
