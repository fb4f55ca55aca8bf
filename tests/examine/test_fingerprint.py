"""Fingerprints follow a plain reading of the rule, everywhere the same, and tell what overlaps."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine.fingerprint import (
    BAND_BYTES,
    BANDS,
    FINGERPRINT_BYTES,
    Shingles,
    fingerprints,
    jaccard,
    shingle_set,
)

WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")


def batch(texts: Sequence[bytes]) -> tuple[Any, Any, Any]:
    sizes = np.array([len(text) for text in texts], np.int64)
    offsets = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    return np.frombuffer(b"".join(texts) + bytes(64), np.uint8), offsets, sizes


def fingerprint(text: str) -> bytes | None:
    [found] = fingerprints(*batch([text.encode()]))
    return found


def sets(*texts: str) -> list[Shingles]:
    return [shingle_set(text.encode()) for text in texts]


def grams(text: bytes) -> set[tuple[bytes, ...]]:
    """The shingles by the rule; | 0x20 makes small letters, and of `_` what no word has."""
    words = [bytes(byte | 0x20 for byte in word) for word in WORD.findall(text)]
    return set(zip(*(words[k:] for k in range(5)), strict=False))


def words_of(count: int, seed: int) -> list[str]:
    chosen = random.Random(seed)
    return [f"{chosen.choice('abcdef')}{chosen.randrange(5000)}" for _ in range(count)]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.binary(max_size=300), max_size=6))
@example([b"a b c d e", b"", b"a" * 64 + b" b c d e", b"a b c d " + b"e" * 56])
@example([b"\xff" * 63 + b" " + b"x " * 200])
def test_shingles_are_the_sets_of_five_words(texts: list[bytes]) -> None:
    expected = [grams(text) for text in texts]
    found = [shingle_set(text) for text in texts]
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one in found:
        assert one.tolist() == sorted(set(one.tolist()))
    for i, j in zip(range(len(texts)), range(1, len(texts)), strict=False):
        union = len(expected[i] | expected[j])
        common = len(expected[i] & expected[j])
        assert jaccard(found[i], found[j]) == (common / union if union else 0)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_a_text_has_its_fingerprint_whatever_stands_beside_it(texts: list[bytes]) -> None:
    together = fingerprints(*batch(texts))
    assert together == [fingerprints(*batch([text]))[0] for text in texts]
    for text, found in zip(texts, together, strict=True):
        assert (found is None) == (not grams(text))
        assert found is None or len(found) == FINGERPRINT_BYTES == BANDS * BAND_BYTES


def test_a_text_of_four_words_has_none() -> None:
    assert fingerprint("return value + other;") is None
    assert fingerprint("return value + other or none;") is not None


def test_case_and_punctuation_make_no_difference() -> None:
    plain = fingerprint("def Answer(self, x): return x + 42")
    assert plain == fingerprint("DEF answer ( self ; x )\n\n return X - 42\n")
    assert plain != fingerprint("def answer(self, y): return x + 42")
    assert fingerprint("a_b c d e f") != fingerprint("a b c d e f")


def test_agreeing_bytes_estimate_the_overlap() -> None:
    """Over many pairs the mean is right to a percent: the orders are fair and independent."""
    agreeing, overlaps = [], []
    for seed in range(150):
        words = words_of(400, seed)
        other = words[:320] + words_of(80, seed + 1000)
        one, two = fingerprint(" ".join(words)), fingerprint(" ".join(other))
        assert one is not None
        assert two is not None
        agreeing.append(sum(a == b for a, b in zip(one, two, strict=True)) / FINGERPRINT_BYTES)
        overlaps.append(jaccard(*sets(" ".join(words), " ".join(other))))
    overlap = float(np.mean(overlaps))
    assert float(np.mean(agreeing)) == pytest.approx(overlap + (1 - overlap) / 256, abs=0.012)
    expected = (overlap * (1 - overlap) / FINGERPRINT_BYTES) ** 0.5
    assert float(np.std(agreeing)) == pytest.approx(expected, rel=0.35)


def test_golden() -> None:
    """Stored fingerprints are compared with new ones: not one bit may ever change."""
    source = "def größe(self, names):\n    return sum(len(name) for name in names if name)\n"
    assert fingerprint(source) == bytes.fromhex(
        "693a89eb2377e501fd86cd13bf4884c16802e3590f97e30b01e0b6c5b5f79170"
        "20a2ae8859a349f2fb7ac80593eabe0b6e63b2afe5d986e6"
    )
    assert [one.tolist() for one in sets("a b c d e")] == [[1519875267]]
