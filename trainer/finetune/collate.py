"""Packed rows as tensors, so that no document sees another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from trainer.samples.rows import PackedRow

IGNORED = -100
"""The label of what is not learned."""


class Reader(Protocol):
    """A folder of rows: `trainer.samples.rows.BlockReader`."""

    def estimated_rows(self) -> int: ...
    def rows(self, seed: int, epoch: int, *, skip: int = 0) -> Iterator[PackedRow]: ...


class Tally(NamedTuple):
    """What went into batches: places in rows, tokens in them, and the sum of squared document
    lengths, to which the work of attention is proportional."""

    places: int = 0
    tokens: int = 0
    squares: int = 0


class Collator:
    """Makes batches of rows [B, L]; flat, [1, sum of lengths], for Flash Attention's kernel for
    sequences of different lengths, whose borders are then computed once and not in each layer.

    There is no attention mask: from `position_ids` that begin anew transformers makes one in
    which documents do not see each other, but only where it is given none and keeps no cache.
    """

    def __init__(self, pad_id: int, length: int, *, is_flat: bool) -> None:
        self.pad_id, self.length, self.is_flat = pad_id, length, is_flat
        self._tally = Tally()

    def __call__(self, rows: Sequence[PackedRow | None]) -> dict[str, Any]:
        """A None is a row without a document: another process has the last one."""
        lengths = [[*row.lengths] if row else [] for row in rows]
        self._count(lengths)
        shape = (len(rows), self.length)
        ids, labels = np.full(shape, self.pad_id), np.full(shape, IGNORED)
        positions = np.zeros(shape, np.int64)
        for at, row in enumerate(rows):
            tokens = len(row.input_ids) if row else 0
            if row:
                ids[at, :tokens] = row.input_ids
                labels[at, :tokens] = np.where(row.supervised, ids[at, :tokens], IGNORED)
                starts = np.cumsum([0, *row.lengths[:-1]])
                labels[at, starts] = IGNORED  # nothing predicts a document's first token
            if padding := self.length - tokens:
                lengths[at].append(padding)  # a document of its own
            positions[at] = np.concatenate([np.arange(n) for n in lengths[at]])
        arrays = {"input_ids": ids, "labels": labels, "position_ids": positions}
        batch: dict[str, Any] = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return _flat(batch, lengths) if self.is_flat else batch

    def take_tally(self) -> Tally:
        """What was collated since this was last asked."""
        tally, self._tally = self._tally, Tally()
        return tally

    def _count(self, lengths: list[list[int]]) -> None:
        documents = [n for row in lengths for n in row]
        now = (len(lengths) * self.length, sum(documents), sum(n * n for n in documents))
        self._tally = Tally(*(a + b for a, b in zip(self._tally, now, strict=True)))


def _flat(batch: Mapping[str, Any], lengths: list[list[int]]) -> dict[str, Any]:
    documents = [n for row in lengths for n in row]
    borders = torch.tensor([0, *np.cumsum(documents)], dtype=torch.int32)
    flat = {name: tensor.view(1, -1) for name, tensor in batch.items()}
    flat |= {"cu_seq_lens_q": borders, "cu_seq_lens_k": borders}
    return flat | {"max_length_q": max(documents), "max_length_k": max(documents)}


class Stream(IterableDataset[PackedRow | None]):
    """A process's share of the rows, epoch after epoch without end, from `begin` rows on.

    `epoch_rows` is how many rows an epoch has, once one was read through (in an earlier process,
    perhaps); it is known before the last of them is handed out.
    """

    def __init__(
        self,
        reader: Reader,
        seed: int,
        *,
        begin: int,
        epoch_rows: int | None,
        rank: int,
        world: int,
    ) -> None:
        self.reader, self.seed, self.begin = reader, seed, begin
        self.epoch_rows, self.rank, self.world = epoch_rows, rank, world

    def __iter__(self) -> Iterator[PackedRow]:
        epoch, skip = divmod(self.begin, self.epoch_rows) if self.epoch_rows else (0, self.begin)
        at = self.begin
        while self.epoch_rows != 0:
            for row in self._epoch(epoch, skip):
                if at % self.world == self.rank:
                    yield row
                at += 1
            epoch, skip = epoch + 1, 0

    def _epoch(self, epoch: int, skip: int) -> Iterator[PackedRow]:
        count = skip
        held: PackedRow | None = None
        for row in self.reader.rows(self.seed, epoch, skip=skip):
            if held is not None:
                yield held
            held = row
            count += 1
        self.epoch_rows = count
        if held is not None:
            yield held


class Share(IterableDataset[PackedRow | None]):
    """A process's share of the first `rows_max` rows of a set; as many in every process, so that
    none waits for another: where there are none left, a None."""

    def __init__(self, reader: Reader, rows_max: int, *, rank: int, world: int) -> None:
        self.reader, self.rows_max, self.rank, self.world = reader, rows_max, rank, world

    def __iter__(self) -> Iterator[PackedRow | None]:
        rows = islice(self.reader.rows(0, 0), self.rows_max)
        while group := list(islice(rows, self.world)):
            yield group[self.rank] if self.rank < len(group) else None


def batches(
    rows: IterableDataset[PackedRow | None], size: int, collator: Collator
) -> DataLoader[Any]:
    """A generator of its own, since a DataLoader would else draw from the one of dropout."""
    return DataLoader(rows, size, collate_fn=collator, generator=torch.Generator())
