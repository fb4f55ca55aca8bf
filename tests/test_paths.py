from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelupe_daemon.paths import escape_path, unescape_path


@given(st.binary() | st.text().map(str.encode))
def test_text_leads_back_to_the_same_bytes(raw: bytes) -> None:
    assert unescape_path(escape_path(raw)) == raw


@given(st.binary() | st.text().map(str.encode))
def test_text_is_storable_and_has_no_control_characters(raw: bytes) -> None:
    text = escape_path(raw)
    text.encode()
    assert not [char for char in text if unicodedata.category(char) == "Cc"]


@given(st.binary(), st.binary())
def test_different_bytes_never_become_the_same_text(one: bytes, other: bytes) -> None:
    assert (escape_path(one) == escape_path(other)) == (one == other)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"src/main.py", "src/main.py"),
        (b"\xc3\xbcber/\xe6\x96\x87.py", "über/文.py"),
        (b"a\nb", "a\\x0ab"),
        (b"a\\x0ab", "a\\x5cx0ab"),
        (b"\xff.py", "\\xff.py"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        (b"\xc2\x85", "\\xc2\\x85"),
    ],
)
def test_examples(raw: bytes, text: str) -> None:
    assert escape_path(raw) == text
