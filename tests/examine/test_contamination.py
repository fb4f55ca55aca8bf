"""Copies of benchmarks are found under any layout, and nothing else is."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine.contamination import (
    COMMON_ITEMS,
    GRAM_WORDS,
    RUN_GRAMS,
    Contamination,
    grams_of,
    read_benchmark,
)

PROMPT = b'''def nearest_pair(points: list[tuple[float, float]]) -> float:
    """Return the least distance between any two of the given points in the plane.

    >>> nearest_pair([(0, 0), (3, 4), (0, 1)])
    1.0
    """
'''
SOLUTION = b"""    best = float("inf")
    for i, first in enumerate(points):
        for second in points[i + 1 :]:
            best = min(best, math.dist(first, second))
    return best
"""
OTHER = (
    b"Write a function that tells whether a sentence reads the same from both of its ends, please."
)
ITEMS = [("Geometry/7", PROMPT), ("Geometry/7", SOLUTION), ("Words/1", OTHER)]


def find(benchmark: Contamination, *texts: bytes) -> dict[int, str]:
    sizes = np.array([len(text) for text in texts], np.int64)
    data = np.frombuffer(b"".join(texts) + bytes(64), np.uint8)
    return benchmark.find(data, np.cumsum(sizes) - sizes, sizes)


def words(text: bytes) -> list[bytes]:
    return re.findall(rb"[a-z0-9_\x80-\xff]+", text.lower())


def test_copies_are_found_with_their_item() -> None:
    benchmark = Contamination.of(ITEMS)
    around = b"import math\n\n\ndef unrelated(a, b):\n    return a * b + a\n\n\n"
    assert find(benchmark, around, around + PROMPT, SOLUTION, OTHER, b"", around) == {
        1: "Geometry/7",
        2: "Geometry/7",
        3: "Words/1",
    }


@pytest.mark.parametrize(
    "copy",
    [
        PROMPT.upper(),
        b"\n".join(b"// " + line for line in PROMPT.split(b"\n")),
        b" ".join(words(SOLUTION)),
        SOLUTION.replace(b"\n", b"\r\n").replace(b"    ", b"\t"),
        b"\xef\xbb\xbf" + PROMPT,
    ],
)
def test_layout_does_not_hide_a_copy(copy: bytes) -> None:
    assert find(Contamination.of(ITEMS), copy) == {0: "Geometry/7"}


def test_as_many_words_as_make_a_run_are_needed() -> None:
    copied = words(OTHER)
    needed = GRAM_WORDS + RUN_GRAMS - 1
    benchmark = Contamination.of(ITEMS)
    assert find(benchmark, b" ".join(copied[:needed])) == {0: "Words/1"}
    assert find(benchmark, b" ".join(copied[: needed - 1])) == {}
    assert find(benchmark, b" ".join([*copied[:8], b"or", *copied[8:]])) == {}


def test_numbers_and_letters_in_a_row_are_no_copy() -> None:
    numbers = b" ".join(b"%d" % number for number in range(100))
    letters = b", ".join(b"'%c'" % letter for letter in range(97, 123))
    benchmark = Contamination.of([("Lists/1", numbers), ("Lists/2", letters)])
    assert find(benchmark, numbers, letters) == {}


def test_what_many_items_share_is_boilerplate() -> None:
    shared = b"You are given a problem. Read it with care, then write a function that solves it. "
    few = [(f"Few/{number}", shared) for number in range(COMMON_ITEMS)]
    assert find(Contamination.of(few), shared) == {0: "Few/0"}
    assert find(Contamination.of([*few, ("Few/more", shared)]), shared) == {}


def test_nothing_to_find() -> None:
    assert find(Contamination.of([]), PROMPT, b"") == {}
    assert find(Contamination.of([("Short/1", b"too short")]), PROMPT) == {}


def test_the_fingerprint_is_that_of_the_texts() -> None:
    one, other = Contamination.of(ITEMS), Contamination.of(ITEMS[:1])
    assert one.fingerprint == Contamination.of(reversed(ITEMS)).fingerprint
    assert one.fingerprint != other.fingerprint


texts = st.lists(
    st.sampled_from(["word", "other", "x", "42", "é", "_", " ", " ", "\n", ".", "a" * 40]),
    max_size=200,
).map(lambda pieces: "".join(pieces).encode())


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=400), texts))
def test_grams_are_those_of_plain_python(text: bytes) -> None:
    found = words(text)
    named = [len(word) > 1 and not word[:1].isdigit() for word in found]
    windows = range(len(found) - GRAM_WORDS + 1)
    counted = [i for i in windows if 2 * sum(named[i : i + GRAM_WORDS]) >= GRAM_WORDS]
    grams = grams_of(text).tolist()
    assert len(grams) == len(counted)
    by_words: dict[tuple[bytes, ...], int] = {}
    for i, gram in zip(counted, grams, strict=True):
        assert by_words.setdefault(tuple(found[i : i + GRAM_WORDS]), gram) == gram
    assert len(set(by_words.values())) == len(by_words)


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, max_size=4), st.lists(texts, min_size=1, max_size=4))
def test_any_texts_can_be_compared(items: Sequence[bytes], code: Sequence[bytes]) -> None:
    benchmark = Contamination.of((f"Item/{k}", item) for k, item in enumerate(items))
    found = find(benchmark, *code)
    assert set(found) <= set(range(len(code)))
    assert set(found.values()) <= set(benchmark.names)


# -- files -------------------------------------------------------------------------------------

HUMANEVAL = {"task_id": "HumanEval/53", "prompt": "def add(x, y):", "canonical_solution": " return"}
MBPP = {"task_id": 2, "text": "Write a function", "code": "def f(): 1", "test_list": ["assert 1"]}
APPS = {"problem_id": 9, "question": "Given n", "solutions": '["print(1)", "print(2)"]'}
DS1000 = {"prompt": "Problem:", "reference_code": "df.sum()", "metadata": {"problem_id": 0}}


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("form", ["lines", "array", "object"])
def test_benchmarks_are_read_in_their_shapes(packed: type[bytes], form: str) -> None:
    items = [HUMANEVAL, MBPP, APPS, DS1000]
    written = {
        "lines": "\n".join(map(json.dumps, items)) + "\n",
        "array": json.dumps(items),
        "object": json.dumps({str(k): item for k, item in enumerate(items)}),
    }[form]
    assert read_benchmark("mine", packed(written.encode())) == [
        ("HumanEval/53", b"def add(x, y):"),
        ("HumanEval/53", b" return"),
        ("mine/2", b"Write a function"),
        ("mine/2", b"def f(): 1"),
        ("mine/9", b"Given n"),
        ("mine/9", b"print(1)"),
        ("mine/9", b"print(2)"),
        ("mine/3", b"Problem:"),
        ("mine/3", b"df.sum()"),
    ]


def test_odd_texts_in_a_benchmark() -> None:
    line = json.dumps(
        {"prompt": "a\u2028b", "code": '["not json', "text": None, "solution": [1, "x"]}
    )
    found = read_benchmark("odd", line.encode())
    assert found == [
        ("odd/0", "a\u2028b".encode()),
        ("odd/0", b'["not json'),
        ("odd/0", b"x"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"no json", b"[1, 2]", b"\xff\xfe", b'"text"', b"[]", b'{"a": 1}', b"\x1f\x8bno"),
        gzip.compress(b'{"text": "a"}', mtime=0)[:-9],
    ],
)
def test_what_is_no_benchmark_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json and codecs say it in words of their own
        read_benchmark("none", data)
