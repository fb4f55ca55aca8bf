"""Whether a place in a text is in a comment."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

from codelupe_daemon.examine.languages import ANALYSERS, KIND_OF_LANGUAGE

_STRING = re.compile(
    rb"\"(?:[^\"\\]|\\.)*+(?:\"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)|`[^`]*+(?:`|\Z)", re.DOTALL
)
_DOUBLE_QUOTED = re.compile(rb"\"(?:[^\"\\]|\\.)*+(?:\"|\Z)", re.DOTALL)
"""A string that is not closed goes to the place that is asked about."""
_APOSTROPHES = frozenset(
    {
        *("Rust", "OCaml", "Haskell", "Scala", "Standard ML", "F#", "Ada", "VHDL", "Common Lisp"),
        *("Scheme", "Clojure", "Emacs Lisp", "Racket", "Elm", "PureScript", "Verilog", "MATLAB"),
    }
)
"""Where `'` stands for other things than strings."""
_TRIPLE = re.compile(rb"\"\"\"|'''")
_BEGINNINGS = (b"#", b"//", b"*", b"--", b";", b"%", b"/*", b"(*", b"<!--", b"REM ")
LINE_BYTES = 400
"""How much of a line is looked at."""


class Comments:
    """The comments of one text, found when they are first asked for; docstrings are comments.

    Without a language: the lines that begin as comments do.
    """

    def __init__(self, text: bytes, language: str | None) -> None:
        self._text = text
        self._string = _DOUBLE_QUOTED if language in _APOSTROPHES else _STRING
        self._analyser = ANALYSERS[KIND_OF_LANGUAGE.get(language, 0)] if language else None

    def has(self, at: int) -> bool:
        line = self._line_before(at)
        if self._analyser is None:
            return line.lstrip().startswith(_BEGINNINGS)
        code = self._string.sub(b'""', line)
        return (
            any(_begins_comment(code, marker.encode()) for marker in self._analyser.line_comments)
            or _is_inside(self._blocks, at)
            or _is_inside(self._docstrings, at)
        )

    def _line_before(self, at: int) -> bytes:
        begin = max(at - LINE_BYTES, 0)
        return self._text[max(self._text.rfind(b"\n", begin, at) + 1, begin) : at]

    @cached_property
    def _blocks(self) -> list[int]:
        """Where blocks begin and end, in turns."""
        if self._analyser is None or self._analyser.block_comment is None:
            return []
        opening, closing = (mark.encode() for mark in self._analyser.block_comment)
        borders: list[int] = []
        start = self._text.find(opening)
        while start >= 0:
            # In strings and in other comments stand patterns of paths: "src/**/*.js"
            is_block = self._text[start - 1 : start] not in (b'"', b"'", b"`", b"*", b"/")
            end = self._text.find(closing, start + len(opening)) if is_block else start + 1
            if end < 0:
                return [*borders, start]
            if is_block:
                borders += [start, end]
            start = self._text.find(opening, end)
        return borders

    @cached_property
    def _docstrings(self) -> list[int]:
        """Where those begin and end that begin a line; other strings are values."""
        borders: list[int] = []
        if self._analyser is None or not self._analyser.triple_quotes:
            return borders
        quotes, start, is_docstring = b"", 0, False
        for found in _TRIPLE.finditer(self._text):
            if not quotes:
                quotes, start = found[0], found.start()
                is_docstring = not self._line_before(start).strip(b" \tbrBRuUfF")
            elif quotes == found[0]:
                quotes = b""
                if is_docstring:
                    borders += [start, found.start()]
        return borders


def _begins_comment(code: bytes, marker: bytes) -> bool:
    """A marker that is a letter or a quote counts where the line begins only."""
    if marker in (b"'", b"C ", b'"'):
        return code.lstrip().startswith(marker)
    return marker in code


def _is_inside(borders: list[int], at: int) -> bool:
    return bisect_right(borders, at) % 2 == 1
