"""Documents into rows: best fit decreasing, so that next to nothing is padding."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Value = TypeVar("Value", bound=np.generic)


class Rows(NamedTuple):
    """`order`: documents, row after row; `counts`: how many a row has."""

    order: Integers
    counts: Integers


def pack(lengths: Integers, max_length: int) -> Rows:
    """Every document in one row, no row longer than `max_length`.

    Rows come in the order of their earliest documents, and documents in theirs within a row.
    Raises `ValueError` for a length that is not in 1..max_length.
    """
    if not len(lengths):
        return Rows(np.zeros(0, np.int64), np.zeros(0, np.int64))
    if not 1 <= lengths.min() <= lengths.max() <= max_length:
        raise ValueError(
            f"documents have 1..{max_length} tokens, not {lengths.min()}..{lengths.max()}"
        )
    row_of = _best_fit(lengths, max_length)
    earliest = np.full(row_of.max() + 1, len(lengths))
    np.minimum.at(earliest, row_of, np.arange(len(lengths)))
    order = np.lexsort((np.arange(len(lengths)), earliest[row_of]))
    return Rows(order, np.bincount(row_of)[row_of[np.sort(earliest)]])


def _best_fit(lengths: Integers, max_length: int) -> Integers:
    """The row of each document, longest first into the fullest row that has room."""
    by_room: list[list[int]] = [[] for _ in range(max_length + 1)]
    rooms, rows = 0, 0  # bit n of `rooms`: some row has room for exactly n tokens
    longest_first = np.argsort(-lengths, kind="stable")
    chosen: list[int] = []
    for length in lengths[longest_first].tolist():
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        else:
            row, room, rows = rows, max_length, rows + 1
        left = room - length
        if not by_room[left]:
            rooms |= 1 << left
        by_room[left].append(row)
        chosen.append(row)
    row_of = np.empty(len(lengths), np.int64)
    row_of[longest_first] = chosen
    return row_of


def gather(values: npt.NDArray[Value], starts: Integers, sizes: Integers) -> npt.NDArray[Value]:
    """Stretches of an array, one after the other: values[starts[0]:][:sizes[0]] and so on."""
    borders = zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
    return np.concatenate([values[:0], *(values[start:end] for start, end in borders)])
