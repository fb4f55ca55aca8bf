"""How identifiers are taken apart, and that the compiled form does exactly the same."""

from __future__ import annotations

import keyword
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codelupe_daemon.syntax.identifiers import WORD, fold, is_border, parts, split
from codelupe_daemon.syntax.terms import terms_of

LETTERS = "abzABZ019_äÄßẞΣ\u03c3ςİ\u0131\u212a\u212b漢字\u0301\U0001d400😀ǅ"
WORDS = st.text(LETTERS, min_size=1, max_size=140)
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=20), st.sampled_from(" \n\t.()=")), max_size=30)


def reference(text: str) -> set[str]:
    return {term for word in WORD.findall(text) for term in split(word)}


def compiled(*texts: str) -> list[list[str]]:
    return [str(terms, "utf-8").split(" ")[:-1] for terms in terms_of(texts)]


@pytest.mark.parametrize(
    "word, terms",
    [
        ("read_file", ["read_file", "read", "file"]),
        ("readFile", ["readfile", "read", "file"]),
        ("HTTPServer2", ["httpserver2", "http", "server"]),
        ("getURLs", ["geturls", "get", "ur", "ls"]),
        ("__init__", ["__init__", "init"]),
        ("utf8", ["utf8", "utf"]),
        ("sha256sum", ["sha256sum", "sha", "256", "sum"]),
        ("GrößeÄndern", ["größeändern", "größe", "ändern"]),
        ("xY", ["xy"]),
        ("404", ["404"]),
        ("0x5bd1", ["0x5bd1"]),
        ("x", []),
        ("___", []),
        ("漢", ["漢"]),
    ],
)
def test_words_are_indexed_whole_and_in_parts(word: str, terms: list[str]) -> None:
    assert split(word) == terms
    assert sorted(compiled(word)[0]) == sorted(terms)


def test_long_words_leave_their_parts_and_longer_ones_nothing() -> None:
    long, data = "_".join(["word"] * 20), "Ab12" * 33
    assert split(long) == ["word"]
    assert split(data) == []
    assert compiled(f"{long} {data}") == [["word"]]


def test_the_same_letters_with_other_borders_are_another_word() -> None:
    assert set(compiled("readfile ReadFile readfile")[0]) == {"readfile", "read", "file"}


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_compiled_equals_reference(documents: list[list[str]]) -> None:
    texts = ["".join(pieces) for pieces in documents]
    found = compiled(*texts)
    assert [set(terms) for terms in found] == [reference(text) for text in texts]
    assert [len(terms) for terms in found] == [len(set(terms)) for terms in found]


@given(WORDS)
def test_parts_are_what_lies_between_borders(text: str) -> None:
    assert len(fold(text)) == len(text)
    for word in WORD.findall(text):
        if not word[0].isdecimal():
            assert "".join(parts(word)) == fold(word).replace("_", "")
        assert is_border(word, 0)
        assert is_border(word, len(word))


def test_real_code() -> None:
    sources = [Path(keyword.__file__).with_name(f"{name}.py") for name in ("ast", "heapq", "this")]
    texts = [source.read_text(encoding="utf-8") for source in sources]
    texts += ["", "x" * 1_000_000, "Zz_" * 300_000, "ab " * 300_000]
    assert [set(terms) for terms in compiled(*texts)] == [reference(text) for text in texts]
