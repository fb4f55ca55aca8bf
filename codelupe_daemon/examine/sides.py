"""The beginnings and ends of a batch of texts in one buffer, scanned at once for many patterns."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import hyperscan
import numpy as np
import numpy.typing as npt
from numba import njit

from codelupe_daemon.kernels import JIT

HEAD_BYTES = 2048
TAIL_BYTES = 512

BEGIN = rb"\x01\n"
"""In a pattern: the beginning of a text."""
END = rb"\n\x00"
"""In a pattern: the end of a text."""

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class Hit(NamedTuple):
    """`line` is where a match in the first HEAD_BYTES ends; None: it was in the last TAIL_BYTES."""

    text: int
    line: int | None


@njit(**JIT)  # type: ignore[untyped-decorator]  # numba's are
def _join(data: Bytes, offsets: Integers, sizes: Integers, joined: Bytes, starts: Integers) -> int:
    """Copy the sides with their borders; `starts` gets where each head and each tail begins."""
    at = 0
    for i in range(len(offsets)):
        first, size = offsets[i], sizes[i]
        head, tail = min(size, HEAD_BYTES), min(size, TAIL_BYTES)
        joined[at], joined[at + 1] = 1, 10
        starts[2 * i] = at + 2
        at += 2
        for k in range(first, first + head):
            joined[at] = data[k]
            at += 1
        joined[at], joined[at + 1], joined[at + 2] = 10, 2, 10
        starts[2 * i + 1] = at + 3
        at += 3
        for k in range(first + size - tail, first + size):
            joined[at] = data[k]
            at += 1
        joined[at], joined[at + 1] = 10, 0
        at += 2
    return at


class SideScanner:
    """Finds patterns in the sides of texts; `^` and `$` are the borders of lines. Thread-safe."""

    def __init__(self, patterns: Sequence[bytes]) -> None:
        self._database = hyperscan.Database()
        self._database.compile(
            expressions=list(patterns),
            ids=list(range(len(patterns))),
            flags=[hyperscan.HS_FLAG_MULTILINE] * len(patterns),
        )
        self._local = threading.local()

    def __call__(self, data: Bytes, offsets: Integers, sizes: Integers) -> list[Hit]:
        """Every hit, in the order of the texts; a text may have several."""
        room = int(np.minimum(sizes, HEAD_BYTES).sum() + np.minimum(sizes, TAIL_BYTES).sum())
        joined = np.empty(room + 7 * len(sizes), np.uint8)
        starts = np.empty(2 * len(sizes), np.int64)
        end = _join(data, offsets, sizes, joined, starts)
        ends: list[int] = []
        sides: Any = joined[:end].data
        self._database.scan(
            sides,
            match_event_handler=lambda _id, _from, to, *_: ends.append(to),
            scratch=self._scratch(),
        )
        if not ends:
            return []
        found = np.searchsorted(starts, np.array(ends), side="right") - 1
        return [
            Hit(side // 2, None if side % 2 else _line(joined, int(starts[side]), to))
            for side, to in zip(found.tolist(), ends, strict=True)
        ]

    def _scratch(self) -> Any:
        if not hasattr(self._local, "scratch"):
            self._local.scratch = hyperscan.Scratch(self._database)
        return self._local.scratch


def _line(joined: Bytes, start: int, end: int) -> int:
    return 1 + int(np.count_nonzero(joined[start : end - 1] == ord("\n")))
