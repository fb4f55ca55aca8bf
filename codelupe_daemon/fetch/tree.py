"""What a fetched source looks like to the rest: a listing in pages, and blobs in buffers."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from codelupe_daemon.model import Listed, Reason, Wanted

PADDING_BYTES = 64
Problem = tuple[Reason, float | None]


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Every bound on what one source may cost."""

    max_file_bytes: int = 1 << 20
    batch_bytes: int = 16 << 20
    """Of one buffer; at least twice `max_file_bytes`."""
    batch_files: int = 1000
    page_files: int = 5000
    page_bytes: int = 4 << 20
    """Of the names in one page, so that long names do not make large pages."""
    max_files: int = 2_000_000
    max_depth: int = 256
    max_path_bytes: int = 1 << 16
    max_repo_bytes: int = 4 << 30
    """Of a clone's pack."""
    memory_bytes: int = 4 << 30
    """Address space of one git process."""
    git_timeout_s: float = 120.0
    stall_timeout_s: float = 60.0
    clone_timeout_s: float = 3600.0


class Blobs(NamedTuple):
    """Contents side by side in one buffer, which at least 64 bytes follow that may be read.

    Blob i is `buffer[offsets[i] : offsets[i] + sizes[i]]`; `sizes[i]` is -1 where `problems[i]`
    says why there is none. Both arrays are int64, shape (number of blobs,).
    """

    buffer: memoryview
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    problems: Mapping[int, Problem]


class Changes(NamedTuple):
    """A page of what is different from an earlier commit."""

    listed: list[Listed]
    """What is new or another now."""
    gone: list[str]


class Tree(Protocol):
    """One source at one moment. Methods block, and may be called from any thread."""

    @property
    def commit(self) -> bytes | None:
        """HEAD in 20 raw bytes (32 for sha256); None for a folder or an empty repository."""

    def pages(self) -> Iterator[list[Listed]]:
        """Everything listed, in byte order of the raw paths, a page at a time.

        Raises `Rejected` where the listing cannot be completed.
        """

    def changes(self, since: bytes) -> Iterator[Changes] | None:
        """What differs from an earlier commit; None where that one cannot be compared with.

        Raises `Rejected` where the comparison cannot be completed.
        """

    def named(self, patterns: Sequence[str]) -> Iterator[list[Listed]]:
        """Files with names like one of these, whatever their case. Raises `Rejected`.

        `*` stands for anything in a name; `folder/*` is what lies in a folder of that name.
        """

    def read(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Sequence[Wanted], Blobs]]:
        """The blobs, in order, in pieces of at most `batch_bytes`. Raises `Rejected`."""


def no_blobs(problems: Mapping[int, Problem]) -> Blobs:
    """Blobs none of which could be had."""
    buffer = memoryview(mmap.mmap(-1, PADDING_BYTES))
    count = len(problems)
    return Blobs(buffer, np.zeros(count, np.int64), np.full(count, -1, np.int64), problems)
