"""The names that texts define, for symbol search: functions, types, modules, constants, macros."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from codelupe_daemon.syntax.blocks import PADDING
from codelupe_daemon.syntax.definitions.grammar import word_table
from codelupe_daemon.syntax.definitions.languages import GRAMMARS
from codelupe_daemon.syntax.definitions.scan import scan_texts
from codelupe_daemon.syntax.definitions.state import MAX_JSON_BYTES, MAX_NAMES

LANGUAGES = {name: row for row, grammar in enumerate(GRAMMARS) for name in grammar.languages}
"""The row of a language in the tables."""
_TRAITS = np.array([grammar.traits for grammar in GRAMMARS], np.int64)
_WORDS = np.stack([word_table(grammar) for grammar in GRAMMARS])
_BATCH = 256

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class Definition(NamedTuple):
    """A name and where it stands, in bytes of the UTF-8 text."""

    name: str
    start: int


def find_names(
    data: Bytes, offsets: Integers, sizes: Integers, languages: Sequence[str | None]
) -> list[bytes]:
    """For each text the names that it defines, in order, as a JSON array.

    The texts are UTF-8 in one buffer with PADDING bytes after the last of them.
    """
    names: list[bytes] = []
    for first in range(0, len(offsets), _BATCH):
        part = slice(first, first + _BATCH)
        names += _scan(data, offsets[part], sizes[part], languages[part])[0]
    return names


def definitions(text: str, language: str | None) -> list[Definition]:
    """The names that one text defines, in order."""
    raw = text.encode()
    data = np.frombuffer(raw + bytes(PADDING), np.uint8)
    size = np.array([len(raw)], np.int64)
    _, found = _scan(data, np.zeros(1, np.int64), size, [language])
    return [
        Definition(raw[start : start + size].decode(), start)
        for start, size in found[found[:, 1] > 0].tolist()
    ]


def _scan(
    data: Bytes, offsets: Integers, sizes: Integers, languages: Sequence[str | None]
) -> tuple[list[bytes], Any]:
    """The JSON arrays, and offset and size of each name of the last text."""
    kinds = np.array([LANGUAGES.get(language or "", -1) for language in languages], np.int64)
    json = np.empty(len(kinds) * MAX_JSON_BYTES, np.uint8)
    ends = np.empty(len(kinds), np.int64)
    found = np.zeros((MAX_NAMES, 2), np.int64)
    scan_texts(data, offsets, sizes, kinds, _TRAITS, _WORDS, json, ends, found)
    whole = json[: ends[-1]].tobytes()
    return [whole[start:end] for start, end in pairwise([0, *ends.tolist()])], found
