"""Nothing that a file may hold makes judging it raise, hang or swell."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine import ExamineSettings
from tests.examine.fuzzing import (
    CHARACTERS,
    MAX_MB_PER_MB,
    MB,
    PATHS,
    SAMPLES,
    UNITS,
    check,
    examine,
    hostile,
    peak_mb,
    repeated,
    reset_peak,
)

HOSTILE = hostile()
REAL = [path.read_bytes() for path in sorted(SAMPLES.iterdir())]
MAIN = PATHS[:12]
"""One of each language with an analyser of its own."""


@pytest.fixture(autouse=True, scope="module")
def _warm() -> None:
    """Compiling counts for nothing."""
    examine([(path, text) for path in PATHS for text in REAL])
    examine([("a.py", HOSTILE["UTF-16 with its mark"][:1000])])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_it_takes_neither_long_nor_much_memory(name: str) -> None:
    reset_peak()
    before = peak_mb()
    path = random.Random(name).choice(MAIN)
    check([(path, HOSTILE[name])])
    check([(path, HOSTILE[name])], ExamineSettings())
    assert peak_mb() - before <= MAX_MB_PER_MB * len(HOSTILE[name]) / MB


@pytest.mark.parametrize("path", PATHS)
def test_every_language_stands_every_shape(path: str) -> None:
    check([(path, text[:4000]) for text in HOSTILE.values()])


pieces = st.one_of(
    st.sampled_from([*UNITS, *CHARACTERS]).map(str.encode),
    st.binary(max_size=40),
    st.sampled_from(REAL).flatmap(
        lambda text: st.integers(0, len(text)).map(lambda at: text[at : at + 60])
    ),
)
texts = st.lists(pieces, max_size=40).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Real code with pieces taken out, doubled, and put in."""
    text = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        size = draw(st.integers(0, 80))
        middle = draw(st.one_of(pieces, st.just(text[start : start + size] * 3)))
        text = text[:start] + middle + text[start + size :]
    return text


files = st.tuples(st.sampled_from(PATHS), st.one_of(texts, mutated(), st.binary(max_size=300)))


@settings(max_examples=100, deadline=None)
@given(st.lists(files, min_size=1, max_size=6))
def test_a_verdict_is_the_same_alone_and_among_others(batch: Sequence[tuple[str, bytes]]) -> None:
    together = check(batch)
    assert together == [check([file])[0] for file in batch]
    check(batch, ExamineSettings())


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PATHS), texts, st.integers(2, 400))
def test_repeating_it_makes_it_no_worse(path: str, text: bytes, times: int) -> None:
    check([(path, repeated(text or b" ", min(len(text) * times + 1, 200_000)))])


def test_no_files_have_no_verdicts() -> None:
    assert check([]) == []
