"""The names that texts define, for symbol search: functions, types, modules, constants, macros."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from codelupe_daemon.syntax.blocks import PADDING
from codelupe_daemon.syntax.definitions.grammar import word_table
from codelupe_daemon.syntax.definitions.kernel import (
    MAX_JSON_BYTES,
    MAX_NAMES,
    scan_texts,
    write_names,
)
from codelupe_daemon.syntax.definitions.languages import GRAMMARS

LANGUAGES = {name: row for row, grammar in enumerate(GRAMMARS) for name in grammar.languages}
"""The row of a language in the tables."""
_TRAITS = np.array([grammar.traits for grammar in GRAMMARS], np.int64)
_WORDS = np.stack([word_table(grammar) for grammar in GRAMMARS])
_BATCH = 256

Integers = npt.NDArray[np.int64]


class Definition(NamedTuple):
    """A name and where it stands, in bytes of the UTF-8 text."""

    name: str
    start: int


def find_names(
    data: npt.NDArray[np.uint8],
    offsets: Integers,
    sizes: Integers,
    languages: Sequence[str | None],
) -> list[bytes]:
    """For each text the names that it defines, in order, as a JSON array.

    The texts are UTF-8 in one buffer with PADDING bytes after the last of them.
    """
    names: list[bytes] = []
    for first in range(0, len(offsets), _BATCH):
        part = slice(first, first + _BATCH)
        names += _find(data, offsets[part], sizes[part], languages[part])
    return names


def definitions(text: str, language: str | None) -> list[Definition]:
    """The names that one text defines, in order."""
    raw = text.encode()
    data = np.frombuffer(raw + bytes(PADDING), np.uint8)
    found, counts = _scan(data, np.zeros(1, np.int64), np.array([len(raw)], np.int64), [language])
    return [
        Definition(raw[start : start + size].decode(), start)
        for start, size in found[0, : counts[0]].tolist()
    ]


def _find(
    data: npt.NDArray[np.uint8], offsets: Integers, sizes: Integers, languages: Sequence[str | None]
) -> list[bytes]:
    found, counts = _scan(data, offsets, sizes, languages)
    out = np.empty(len(offsets) * MAX_JSON_BYTES, np.uint8)
    ends = np.empty(len(offsets), np.int64)
    write_names(data, offsets, found, counts, out, ends)
    return [out[start:end].tobytes() for start, end in pairwise([0, *ends.tolist()])]


def _scan(
    data: npt.NDArray[np.uint8], offsets: Integers, sizes: Integers, languages: Sequence[str | None]
) -> tuple[Any, Integers]:
    kinds = np.array([LANGUAGES.get(language or "", -1) for language in languages], np.int64)
    found = np.empty((len(kinds), MAX_NAMES, 2), np.int64)
    counts = np.empty(len(kinds), np.int64)
    scan_texts(data, offsets, sizes, kinds, _TRAITS, _WORDS, found, counts)
    return found, counts
