"""Packed rows without a folder of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trainer.samples.rows import PackedRow


class Rows:
    """Reads like a `BlockReader`. `estimate`: rows that it says it has."""

    def __init__(self, rows: Sequence[PackedRow], estimate: int | None = None) -> None:
        self._rows = list(rows)
        self._estimate = len(self._rows) if estimate is None else estimate

    def estimated_rows(self) -> int:
        return self._estimate

    def rows(self, seed: int, epoch: int, *, skip: int = 0) -> Iterator[PackedRow]:
        order = np.random.default_rng([seed, epoch]).permutation(len(self._rows))
        return (self._rows[at] for at in order[skip:])


def texts(count: int, seed: int = 0) -> list[np.ndarray]:
    """Token ids of documents that a model can learn: each counts up by a step of its own, so that
    two tokens tell all others. 12..40 of them, then the token that ends a document."""
    draw = np.random.default_rng(seed)
    counted = (
        draw.integers(0, 64) + draw.integers(1, 4) * np.arange(draw.integers(12, 40))
        for _ in range(count)
    )
    return [np.append(values % 64, 256).astype(np.uint32) for values in counted]


def row(documents: Sequence[np.ndarray]) -> PackedRow:
    """Documents side by side; the first fifth of each is context, and not learned."""
    marks = [np.arange(len(ids)) >= len(ids) // 5 for ids in documents]
    return PackedRow(
        np.concatenate(documents), np.concatenate(marks), tuple(len(ids) for ids in documents)
    )


def packed(count: int, seed: int = 0, length: int = 64) -> list[PackedRow]:
    """Rows of at most `length` tokens."""
    rows: list[PackedRow] = []
    held: list[np.ndarray] = []
    for ids in texts(4 * count, seed):
        if sum(map(len, held)) + len(ids) > length:
            rows.append(row(held))
            held = []
        held.append(ids)
    return rows[:count]
