"""Packed rows, read from a folder that may still be filling up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from codelupe_daemon.errors import Fatal, Transient
from trainer.samples.blocks import (
    DONE,
    ENDED,
    PLAN,
    Facts,
    Packed,
    facts_of,
    load,
    path_of,
    read_json,
)

_LOOK_S = 0.1


class PackedRow(NamedTuple):
    """What one forward pass sees: documents one after the other, at most `max_length` tokens."""

    input_ids: npt.NDArray[np.uint32]
    supervised: npt.NDArray[np.bool_]
    lengths: tuple[int, ...]


class BlockReader:
    """The rows that `produce` writes, or has written, to a folder.

    Methods wait for what is not there yet, in this thread, and raise `Transient` where nothing
    comes in `wait_s` or the producer was stopped, what it failed with, and `Fatal` for a damaged
    block.
    """

    def __init__(self, folder: Path, *, wait_s: float = 600.0) -> None:
        self._folder = folder
        self._wait_s = wait_s

    @property
    def facts(self) -> Facts | None:
        """Of all rows, once the last block is written."""
        done = self._folder / DONE
        return Facts(**read_json(done)["facts"]) if done.exists() else None

    def estimated_rows(self) -> int:
        """How many rows there will be: exact once the last block is written, before that from
        the first block that has any, by the length of its texts among all.
        """
        planned = self._planned()
        for block, chars in enumerate(planned):
            self._wait_for(path_of(self._folder, block))
            facts = self.facts
            if facts:
                return facts.rows
            rows = facts_of(self._folder, block).rows
            if rows:
                return round(rows * max(sum(planned) / max(chars, 1), 1.0))
        return 0

    def rows(self, seed: int, epoch: int, *, skip: int = 0) -> Iterator[PackedRow]:
        """All rows: block after block, shuffled within each. The first `skip` are left out."""
        for block in range(len(self._planned())):
            self._wait_for(path_of(self._folder, block))
            count = facts_of(self._folder, block).rows
            if skip < count:
                order = np.random.default_rng((seed, epoch, block)).permutation(count)
                yield from _rows(load(self._folder, block), order[skip:])
            skip = max(skip - count, 0)

    def _planned(self) -> list[int]:
        """Every block by the characters of its texts."""
        self._wait_for(self._folder / PLAN)
        chars: list[int] = read_json(self._folder / PLAN)["chars"]
        return chars

    def _wait_for(self, path: Path) -> None:
        until = time.monotonic() + self._wait_s
        while not path.exists():
            ended = self._folder / ENDED
            # Looked for again: the last block may have come just before the end.
            if ended.exists() and not path.exists():
                _raise(read_json(ended))
            if time.monotonic() > until:
                raise Transient(f"no rows came to {self._folder} in {self._wait_s:g} s")
            time.sleep(_LOOK_S)


def _rows(block: Packed, order: npt.NDArray[np.int64]) -> Iterator[PackedRow]:
    last_document = np.cumsum(block.counts, dtype=np.int64)
    ends = np.cumsum(block.lengths, dtype=np.int64)
    for row in order.tolist():
        last = int(last_document[row])
        lengths = block.lengths[last - int(block.counts[row]) : last].tolist()
        end = int(ends[last - 1])
        part = slice(end - sum(lengths), end)
        yield PackedRow(block.tokens[part], block.supervised[part], tuple(lengths))


def _raise(ended: dict[str, Any]) -> None:
    raise (Transient if ended["is_transient"] else Fatal)(ended["message"])
