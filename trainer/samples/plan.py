"""In which order a round's texts are read, and where blocks begin: decided before any is read.

So each block depends on nothing but its own texts, and can be made, or made again, alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from trainer.samples.mix import FORMATS, Mix
from trainer.types import Taken

FIRST_BLOCK_CHARS = 1_500_000
"""Some steps of training, read and encoded within seconds."""
BLOCK_CHARS = 12_000_000
"""About 3.5 million tokens: 18 MB of disk, and some times that of memory while it is packed."""
PAGE_CHARS = 600_000
_LEAST_CHARS = 100
"""What a text costs beside its length; also bounds how many short ones are read at once."""

Unit = tuple[int, ...]
"""Rows of the manifest whose texts are read together: one, or several of one repository."""


class Block(NamedTuple):
    units: list[Unit]
    chars: int


class Page(NamedTuple):
    """A part of a block that is read and encoded at once."""

    block: int
    units: list[Unit]
    is_last: bool


def blocks(taken: Sequence[Taken], mix: Mix, max_chars: int) -> list[Block]:
    """All units in reading order; the first block is small, so that training begins at once."""
    units = _units(taken, mix, max_chars)
    first = next(_cut(units, taken, FIRST_BLOCK_CHARS), None)
    rest = units[len(first.units) :] if first else []
    return [first, *_cut(rest, taken, BLOCK_CHARS)] if first else []


def pages(
    planned: Sequence[Block], wanted: Collection[int], taken: Sequence[Taken]
) -> Iterator[Page]:
    """Of the wanted blocks, in order."""
    for number in sorted(wanted):
        parts = [part.units for part in _cut(planned[number].units, taken, PAGE_CHARS)]
        for part in parts:
            yield Page(number, part, is_last=part is parts[-1])


def _cut(units: Iterable[Unit], taken: Sequence[Taken], chars_max: int) -> Iterator[Block]:
    """Stretches that end with the unit by which they have `chars_max`."""
    part: list[Unit] = []
    chars = 0
    for unit in units:
        part.append(unit)
        chars += sum(taken[row].chars + _LEAST_CHARS for row in unit)
        if chars >= chars_max:
            yield Block(part, chars)
            part, chars = [], 0
    if part:
        yield Block(part, chars)


def _units(taken: Sequence[Taken], mix: Mix, max_chars: int) -> list[Unit]:
    """Each where its first row stands in the manifest."""
    single: list[Unit] = []
    together: list[int] = []
    for row, each in enumerate(taken):
        if FORMATS[mix.choose(each.content_hash, 0)].is_of_many:
            together.append(row)
        else:
            single.append((row,))
    return sorted([*single, *_groups(taken, together, max_chars)], key=min)


def _groups(taken: Sequence[Taken], rows: list[int], max_chars: int) -> Iterator[Unit]:
    """Texts of one repository by their paths, as many as are no longer than one may be."""
    rows.sort(key=lambda row: (taken[row].repo, taken[row].side, taken[row].path))
    for _, same in groupby(rows, key=lambda row: (taken[row].repo, taken[row].side)):
        group: list[int] = []
        chars = 0
        for row in same:
            if group and chars + taken[row].chars > max_chars:
                yield tuple(group)
                group, chars = [], 0
            group.append(row)
            chars += taken[row].chars
        yield tuple(group)


def digest(taken: Sequence[Taken], *others: object) -> str:
    """Changes with anything that a block's content depends on but the texts."""
    hasher = hashlib.blake2b(repr(others).encode(), digest_size=16)
    for each in taken:
        hasher.update(repr(each).encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()
