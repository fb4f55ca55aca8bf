"""Batches of blobs as the pipeline hands them over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from codelupe_daemon.examine import Examined, Examiner, ExamineSettings
from codelupe_daemon.model import Wanted
from tests.builders import LENIENT

MIB = 1 << 20


def pack(buffer: memoryview, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
    """The texts as they are, so that a test sees what would be stored."""
    return [
        bytes(buffer[offset : offset + size]) for offset, size in zip(offsets, sizes, strict=True)
    ]


@cache
def examiner(settings: ExamineSettings | None = None) -> Examiner:
    return Examiner(settings or ExamineSettings(**LENIENT), pack)  # type: ignore[arg-type]


def examine_batch(
    files: Sequence[tuple[str, bytes | None]], *, tail: bytes = bytes(64)
) -> list[Examined]:
    """Judge files that lie side by side in one buffer, as `git cat-file` writes them."""
    judge = examiner()
    verdicts = [judge.path_verdict(path) for path, _ in files]
    wanted = [
        Wanted(b"", verdict.path_class, verdict.language, [path])
        for verdict, (path, _) in zip(verdicts, files, strict=True)
    ]
    blobs = [blob or b"" for _, blob in files]
    sizes = np.array([-1 if blob is None else len(blob) for _, blob in files], np.int64)
    offsets = np.cumsum([0, *map(len, blobs)], dtype=np.int64)[:-1]
    return judge.examine(wanted, memoryview(b"".join(blobs) + tail), offsets, sizes)


def judge(path: str, blob: bytes | str, settings: ExamineSettings | None = None) -> Examined:
    data = blob.encode() if isinstance(blob, str) else blob
    return examiner(settings).examine_text(path, data)
