"""Patterns in the sides of many texts at once find what a search in each text finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine.sides import BEGIN, END, HEAD_BYTES, TAIL_BYTES, Hit, SideScanner

SCANNER = SideScanner([rb"^mark$", BEGIN + rb"first", rb"last\s*" + END])


def hits(texts: list[bytes]) -> set[Hit]:
    sizes = np.array([len(text) for text in texts], np.int64)
    offsets = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    return set(SCANNER(np.frombuffer(b"".join(texts) + bytes(64), np.uint8), offsets, sizes))


def expected(i: int, text: bytes) -> set[Hit]:
    """The same for one text, line by line."""
    head, tail = text[:HEAD_BYTES], text[-TAIL_BYTES:]
    marks = {Hit(i, n) for n, line in enumerate(head.split(b"\n"), 1) if line == b"mark"}
    marks |= {Hit(i, None)} if b"mark" in tail.split(b"\n") else set()
    marks |= {Hit(i, 1)} if text.startswith(b"first") else set()
    return marks | ({Hit(i, None)} if tail.rstrip(b" \n").endswith(b"last") else set())


words = st.sampled_from([b"mark", b"first", b"last", b"\n", b" ", b"x" * 300, b"x\n" * 200])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.lists(words, max_size=20).map(b"".join), max_size=6))
def test_any_texts_have_the_hits_of_each(texts: list[bytes]) -> None:
    assert hits(texts) == set().union(*(expected(i, text) for i, text in enumerate(texts)))


def test_a_text_may_be_empty_or_end_in_the_middle_of_a_line() -> None:
    assert hits([b"", b"mark", b""]) == {Hit(1, 1), Hit(1, None)}
    assert hits([b"x" * (HEAD_BYTES - 4) + b"\nmark" + b"y" * 2000]) == set()
