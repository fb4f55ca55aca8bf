"""Licence texts as words, and the hashes of each three words in a row."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

MAX_BYTES = 64 << 10
"""How much of a text is looked at."""

Groups = npt.NDArray[np.uint32]

_GROUP = 3
_FACTORS = [np.uint64(f) for f in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)]
# Whose text it is differs from copy to copy, and so do the marks of lists.
_OWNER_LINE = re.compile(
    r"^[^\w\n©(]*+(?=[pca©(])(?:(?:portions\s+)?copyright\s*(?:\([c©]\)|[©:<\[{]|&copy|\d{4}|"
    r"the\s|by\s)|©|\(c\)\s*\S*\d{4}|all rights reserved\W*$)"
    r"(?!.*licen[sc]e|.*permission).{0,150}$",
    re.MULTILINE,
)
_LIST_MARK = re.compile(r"^[^\w\n(]*+\(?(?:\d{1,2}|[a-z]|i{1,3}v?)[.)]\s", re.MULTILINE)
_OR_LATER = re.compile(r"(gpl[ -]?v?\d(?:\.\d)?)\+")
_WORD = re.compile(r"[^\W_]+")
_SAME = {
    "licence": "license",
    "licences": "licenses",
    "licenced": "licensed",
    "sublicence": "sublicense",
    "https": "http",
    "organisation": "organization",
    "merchantibility": "merchantability",
    "noninfringment": "noninfringement",
    "authours": "authors",
}


def words(text: bytes) -> list[str]:
    """The words in lower case, without the lines that name an owner."""
    lower = text[:MAX_BYTES].decode("utf-8", "replace").lower().replace("\r", "\n")
    plain = _OR_LATER.sub(r"\1 or later", _LIST_MARK.sub("", _OWNER_LINE.sub("", lower)))
    return [_SAME.get(word, word) for word in _WORD.findall(plain.replace("'", ""))]


def groups(of: list[str]) -> Groups:
    """A hash of each three neighbours, in order."""
    if len(of) < _GROUP:
        return np.zeros(0, np.uint32)
    count = len(of) - _GROUP + 1
    coded = " ".join(of).encode().split(b" ")
    each = np.fromiter(map(xxh3_64_intdigest, coded), np.uint64, len(of))
    mixed = np.zeros(count, np.uint64)
    for at, factor in enumerate(_FACTORS):
        mixed += each[at : at + count] * factor
    return (mixed >> np.uint64(32)).astype(np.uint32)
