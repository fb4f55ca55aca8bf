"""The files of a corpus repository side by side in one buffer, as the pipeline hands them over."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.floor import git

PADDING = 64


class Blobs(NamedTuple):
    """Paths, and where the text of each lies; the buffer has PADDING spare bytes at its end."""

    paths: list[str]
    buffer: memoryview
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @property
    def data(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self.buffer, np.uint8)

    def text(self, i: int) -> bytes:
        return bytes(self.buffer[int(self.offsets[i]) : int(self.offsets[i] + self.sizes[i])])


def blobs_of(repo: Path) -> Blobs:
    """Every file at HEAD."""
    listing = [entry.split(b"\t", 1) for entry in git(repo, "ls-tree", "-rz", "HEAD").split(b"\0")]
    entries = [(meta[0].split(), meta[1].decode()) for meta in listing if len(meta) == 2]
    wanted = [(meta[2], path) for meta, path in entries if meta[1] == b"blob"]
    command = ["git", "-C", str(repo), "cat-file", "--batch", "--buffer"]
    ids = b"".join(oid + b"\n" for oid, _ in wanted)
    answer = subprocess.run(command, input=ids, stdout=subprocess.PIPE, check=True).stdout
    offsets, sizes, at = [], [], 0
    for _ in wanted:
        end = answer.index(b"\n", at)
        size = int(answer[at:end].rsplit(b" ", 1)[1])
        offsets.append(end + 1)
        sizes.append(size)
        at = end + 1 + size + 1
    places = np.array(offsets, np.int64), np.array(sizes, np.int64)
    return Blobs([path for _, path in wanted], memoryview(answer + bytes(PADDING)), *places)


def laid_out(texts: list[tuple[str, bytes]]) -> Blobs:
    """Texts with their paths, laid side by side."""
    sizes = np.array([len(text) for _, text in texts], np.int64)
    buffer = memoryview(b"".join(text for _, text in texts) + bytes(PADDING))
    return Blobs([path for path, _ in texts], buffer, np.cumsum(sizes) - sizes, sizes)
