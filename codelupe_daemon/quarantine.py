"""Judging in a child process, for a repository that keeps ending the daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codelupe_daemon.examine import Examined, Examiner, ExamineSettings
from codelupe_daemon.examine.contamination import Contamination
from codelupe_daemon.isolation import run_by_halves
from codelupe_daemon.model import Reason, Verdict, Wanted

PADDING = bytes(64)


class _Item(NamedTuple):
    wanted: Wanted
    data: bytes | None


class QuarantinedExaminer:
    """An `Examiner.examine` whose crash costs the file that caused it a reason and nothing else."""

    def __init__(
        self,
        settings: ExamineSettings,
        pack: Callable[[memoryview, Sequence[int], Sequence[int]], list[bytes]],
        timeout_s: float,
        contamination: Contamination | None = None,
    ) -> None:
        self._settings = settings
        self._contamination = contamination
        self._pack = pack
        self._timeout_s = timeout_s

    def examine(
        self,
        wanted: Sequence[Wanted],
        buffer: memoryview,
        offsets: NDArray[np.int64],
        sizes: NDArray[np.int64],
    ) -> list[Examined]:
        """As `Examiner.examine`; blocks for as long as the children take."""
        items = [
            _Item(one, bytes(buffer[start : start + size]) if size >= 0 else None)
            for one, start, size in zip(wanted, offsets.tolist(), sizes.tolist(), strict=True)
        ]
        judge = partial(_judged, self._settings, self._contamination)
        examined = run_by_halves(judge, items, _crashed, self._timeout_s)
        return [self._packed(one) for one in examined]

    def _packed(self, examined: Examined) -> Examined:
        """The child gives texts as they are: packing is the journal's, which lives here."""
        content = examined.content
        if content is None or content.packed is None:
            return examined
        text = content.packed
        (packed,) = self._pack(memoryview(text), [0], [len(text)])
        return examined._replace(content=content._replace(packed=packed))


def _judged(
    settings: ExamineSettings, contamination: Contamination | None, items: Sequence[_Item]
) -> list[Examined]:
    """In the child."""
    texts = [item.data or b"" for item in items]
    lengths = np.array([len(text) for text in texts], np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    sizes = np.where([item.data is None for item in items], -1, lengths)
    buffer = memoryview(b"".join(texts) + PADDING)
    examiner = Examiner(settings, _as_they_are, contamination)
    return examiner.examine([item.wanted for item in items], buffer, offsets, sizes)


def _as_they_are(buffer: memoryview, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
    return [bytes(buffer[start : start + size]) for start, size in zip(offsets, sizes, strict=True)]


def _crashed(item: _Item) -> Examined:
    return Examined(Verdict(Reason.EXAMINER_CRASHED, None, item.wanted.language), None)
