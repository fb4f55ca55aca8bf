"""A batch of blobs as texts: where each lies in the buffer, and which ones are none."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from codelupe_daemon.examine import text
from codelupe_daemon.model import Reason
from codelupe_daemon.syntax.blocks import PADDING

Integers = npt.NDArray[np.int64]
LeftOut = tuple[Reason, float | None]
_UTF8_SURROGATE = 0xED
HASH_BYTES = 16


class Texts(NamedTuple):
    """Slices of a buffer, without byte order marks, and the (n, TEXT_COLUMNS) scan of each."""

    buffer: memoryview
    data: npt.NDArray[np.uint8]
    offsets: Integers
    sizes: Integers
    scan: Integers

    def part(self, items: list[int]) -> tuple[npt.NDArray[np.uint8], Integers, Integers]:
        """Some of the texts, as kernels take them: the buffer's bytes, offsets, sizes."""
        return self.data, self.offsets[items], self.sizes[items]

    def head(self, i: int, limit_bytes: int) -> bytes:
        start = int(self.offsets[i])
        return bytes(self.buffer[start : start + min(int(self.sizes[i]), limit_bytes)])

    def tail(self, i: int, limit_bytes: int) -> bytes:
        end = int(self.offsets[i] + self.sizes[i])
        return bytes(self.buffer[end - min(int(self.sizes[i]), limit_bytes) : end])

    def whole(self, i: int) -> bytes:
        return self.head(i, int(self.sizes[i]))

    def digests(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """What names texts wherever they stand."""
        return [
            blake2b(self.buffer[start : start + size], digest_size=HASH_BYTES).digest()
            for start, size in zip(offsets, sizes, strict=True)
        ]


def side_by_side(blobs: Sequence[bytes]) -> tuple[memoryview, Integers, Integers]:
    """Blobs in a buffer of their own, with the offset and the size of each."""
    sizes = np.array([len(blob) for blob in blobs], np.int64)
    return memoryview(b"".join((*blobs, bytes(PADDING)))), np.cumsum(sizes) - sizes, sizes


def scan(buffer: memoryview, offsets: Integers, sizes: Integers, max_bytes: int) -> Texts:
    """Look at all bytes once. Sizes of what is unread or too large become -1."""
    data = np.frombuffer(buffer, np.uint8)
    data.setflags(write=False)  # one type, whatever the buffer is: kernels compile once
    sizes = np.where(sizes > max_bytes, -1, sizes)
    table = np.zeros((len(sizes), text.TEXT_COLUMNS), np.int64)
    text.scan_texts(data, offsets, sizes, table)
    marked = text.has_utf8_mark(table[:, text.HEAD])
    table[:, text.CHARS] -= marked
    return Texts(buffer, data, offsets + 3 * marked, sizes - 3 * marked, table)


def irregular(texts: Texts, sizes: Integers) -> tuple[dict[int, LeftOut], list[int]]:
    """What is left out before its text is looked at, and what must be transcoded."""
    seen = texts.scan
    nul, bad = seen[:, text.NUL], seen[:, text.BAD_BYTE]
    wide = text.has_wide_mark(seen[:, text.HEAD])
    short = (sizes <= text.LFS_MAX_BYTES) & text.begins_like_lfs(seen[:, text.HEAD])
    left_out: dict[int, LeftOut] = {}
    transcode: list[int] = []
    for i in np.flatnonzero((texts.sizes < 0) | (nul >= 0) | (bad >= 0) | wide | short).tolist():
        if sizes[i] < 0:
            left_out[i] = (Reason.UNREADABLE, None)
        elif texts.sizes[i] < 0:
            left_out[i] = (Reason.TOO_LARGE, float(sizes[i]))
        elif short[i] and text.is_lfs_pointer(texts.head(i, text.LFS_MAX_BYTES)):
            left_out[i] = (Reason.LFS_POINTER, None)
        elif wide[i] or (nul[i] < 0 and _begins_surrogate(texts, i, bad[i])):
            transcode.append(i)
            left_out[i] = (Reason.NOT_TEXT, None)  # until its own judgement replaces it
        elif nul[i] >= 0:
            left_out[i] = (Reason.BINARY, float(nul[i]))
        elif bad[i] >= 0:
            left_out[i] = (Reason.NOT_TEXT, float(bad[i]))
    return left_out, transcode


def _begins_surrogate(texts: Texts, i: int, bad: int) -> bool:
    """Whether the first byte that is no UTF-8 begins a surrogate that was written as UTF-8."""
    return bool(bad >= 0 and texts.data[_raw_offset(texts, i) + bad] == _UTF8_SURROGATE)


def _raw_offset(texts: Texts, i: int) -> int:
    marked = text.has_utf8_mark(texts.scan[i : i + 1, text.HEAD])[0]
    return int(texts.offsets[i] - 3 * marked)
