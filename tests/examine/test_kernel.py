"""The kernels measure what plain Python measures, on any bytes, wherever these lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codelupe_daemon.examine import features, kernel, text
from codelupe_daemon.examine.languages import ANALYSERS, KIND_OF_LANGUAGE, MARKS, WORDS
from tests.examine import reference

PIECES = [
    *("/*", "*/", "//", "#", '"""', "'''", "\n", "\r", "\r\n", "\t", "  ", "{", "}", "(", ")", ":"),
    *("if", "for", "def", "function", "class", "x", "snake_case", "camelCase", "0x1f", "12", "\\n"),
    *("generated", "do not edit", "é", "漢", "😀", "a" * 70, "QUJD0123" * 9, "@doc", ";", " "),
]
codes = st.lists(st.sampled_from(PIECES), max_size=120).map(lambda pieces: "".join(pieces).encode())
plain_kinds = [k for k, analyser in enumerate(ANALYSERS) if not analyser.triple_quotes]


def scan(blob: bytes, before: bytes = b"", after: bytes = bytes(64)) -> list[int]:
    table = np.zeros((1, text.TEXT_COLUMNS), np.int64)
    data = np.frombuffer(before + blob + after, np.uint8)
    text.scan_texts(data, np.array([len(before)]), np.array([len(blob)]), table)
    return [int(value) for value in table[0]]


def measure(blob: bytes, kind: int, before: bytes = b"", after: bytes = bytes(64)) -> list[int]:
    data = np.frombuffer(before + blob + after, np.uint8)
    table = np.zeros((1, kernel.ROW_COLUMNS), np.int64)
    texts = np.array([scan(blob)], np.int64)
    places = np.array([len(before)]), np.array([len(blob)])
    kernel.measure_texts(data, *places, texts, np.array([kind]), MARKS, WORDS, table)
    return [int(value) for value in table[0, : features.TABLE_COLUMNS]]


def utf8_error(blob: bytes) -> int:
    try:
        blob.decode()
    except UnicodeDecodeError as error:
        return error.start
    return -1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b"")
@example("漢".encode()[:2])
@example(b"x" * 63 + "é".encode())
@example(b"\xed\xa0\x80")
@example(b"\xf4\x90\x80\x80")
def test_a_scan_finds_what_python_finds(blob: bytes) -> None:
    found = scan(blob)
    assert found[text.NUL] == blob.find(0)
    if found[text.NUL] < 0:
        assert found[text.BAD_BYTE] == utf8_error(blob)
        if found[text.BAD_BYTE] < 0:
            assert found[text.CHARS] == len(blob.decode())
    assert (found[text.LF], found[text.CR]) == (blob.count(b"\n"), blob.count(b"\r"))
    assert found[text.HEAD] == int.from_bytes(blob[:4], "little")


@settings(max_examples=300, deadline=None)
@given(codes, st.sampled_from(plain_kinds))
@example(b"\n" * 300, 0)
@example(b"/* a\n*/ x\n", KIND_OF_LANGUAGE["C"])
def test_a_measurement_is_that_of_plain_python(code: bytes, kind: int) -> None:
    measured = measure(code, kind)
    expected = reference.measure(code, ANALYSERS[kind])
    assert {feature: measured[feature] for feature in expected} == expected


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=400), codes),
    st.integers(0, len(ANALYSERS) - 1),
    st.binary(max_size=70),
    st.binary(min_size=64, max_size=64),
)
def test_neighbours_in_the_buffer_make_no_difference(
    blob: bytes, kind: int, before: bytes, after: bytes
) -> None:
    alone = measure(blob, kind)
    assert measure(blob, kind, before, after) == alone
    assert scan(blob, before, after) == scan(blob)
    lines = (alone[k] for k in (features.BLANK, features.COMMENT, features.CODE))
    assert sum(lines) == alone[features.LINES]


@pytest.mark.parametrize(
    ("language", "code", "definitions", "documented"),
    [
        (
            "Python",
            'def f():\n    """Says why."""\n\n# About g\ndef g(): ...\ndef h(): ...\n',
            3,
            2,
        ),
        ("Python", 's = """\ndef no(): pass\n"""\ndef yes(): pass\n', 1, 0),
        (
            "C",
            "/* Adds. */\nint\nadd(int a, int b)\n{\n  if (a) {\n  }\n  return a + b;\n}\n",
            1,
            0,
        ),
        ("C", "/* Adds. */\nint add(int a, int b)\n{\n  while (a) {\n  }\n}\n", 1, 1),
        ("Java", "  // Tells it.\n  @Override\n  public String name() throws E {\n  }\n", 1, 1),
        ("JavaScript", "const f = useMemo(() => {\n});\nlist.map(function (x) {\n});\n", 1, 0),
        ("TypeScript", "class A {\n  size(): number {\n    return f(1);\n  }\n}\n", 2, 0),
        ("Rust", "/// Adds.\n#[inline]\npub fn add() {}\nfn two() {}\n", 2, 1),
        ("Elixir", '@doc """\nAdds.\n"""\ndef add(a, b), do: a + b\n', 1, 1),
    ],
)
def test_definitions_and_their_documentation(
    language: str, code: str, definitions: int, documented: int
) -> None:
    measured = measure(code.encode(), KIND_OF_LANGUAGE[language])
    found = measured[features.DEFINITIONS], measured[features.DOCUMENTED]
    assert found == (definitions, documented)
