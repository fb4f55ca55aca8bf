"""Where texts are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.samples.build import CODE, LANGUAGES
from trainer.samples.borders import border, definition_starts, pieces

PYTHON = """import os

X = 1

# says what it does
@wraps(g)
def first():
    return X


class Second:
    def inner(self):
        return 2
"""
RUST = "use a;\n\n/// Says so.\n#[inline]\npub fn one() {\n    two();\n}\n\nstruct Three;\n"


@pytest.mark.parametrize(
    ("text", "language", "begin"),
    [
        (PYTHON, "Python", ["# says what", "class Second", "    def inner"]),
        (RUST, "Rust", ["/// Says so", "struct Three"]),
        (PYTHON.replace("says what", "ságt wás 😀"), "Python", ["# ságt", "class S", "    def in"]),
        ("nothing\n", None, []),
    ],
    ids=["python", "rust", "not ascii", "unknown"],
)
def test_definitions_begin_with_what_stands_above_them(
    text: str, language: str | None, begin: list[str]
) -> None:
    starts = definition_starts(text, language)
    # Constants are definitions as well.
    starts = [start for start in starts if not text[start:].startswith("X = 1")]
    assert [text[s : s + len(b)] for s, b in zip(starts, begin, strict=True)] == begin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = f(1)\n\nb()\nc()\ndef g():\n  pass\n" + "d()\n" * 3, "def g"),
        ("a(1)\nb(1)\n\nc(1)\nd(1)\n", "c(1)"),
        ("a(1)\nb(1)\nc(1)\nd(1)\n", "c(1)"),
        ("a(1) + b(1) + c(1)", "b(1) + c(1)"),
    ],
    ids=["definition", "blank line", "line", "nothing"],
)
def test_a_border_is_the_best_there_is(text: str, expected: str) -> None:
    at = text.index(expected) - (0 if "+" in expected else 2)
    cut = border(text, "Python", at, 1, len(text) - 1)
    assert text[cut:].startswith(expected)


@given(CODE.filter(lambda text: len(text) > 2), LANGUAGES, st.data())
def test_a_border_lies_where_it_may(text: str, language: str | None, data: st.DataObject) -> None:
    first, at, last = sorted(data.draw(st.lists(st.integers(1, len(text)), min_size=3, max_size=3)))
    assert first <= border(text, language, at, first, last) <= last


@given(CODE, LANGUAGES, st.integers(1, 60))
def test_pieces_joined_are_the_text(text: str, language: str | None, max_chars: int) -> None:
    parts = pieces(text, language, max_chars)
    assert "".join(parts) == text
    assert all(len(part) <= max_chars for part in parts)
    assert all(parts) or parts == [""]


def test_long_files_are_split_at_definitions() -> None:
    function = "def name_{}():\n    one()\n\n    two()\n\n    three()\n\n"
    text = "".join(function.format(n) for n in range(40))
    parts = pieces(text, "Python", 400)
    assert "".join(parts) == text
    assert {part.startswith("def name_") for part in parts} == {True}
    assert len(parts) == -(-len(text) // 400) or len(parts) < len(text) // 200


def test_ten_megabytes_on_one_line_are_cut_anyway() -> None:
    text = "x" * 10_000_000
    parts = pieces(text, "JavaScript", 8000)
    assert "".join(parts) == text
    assert {len(part) for part in parts} == {8000}
