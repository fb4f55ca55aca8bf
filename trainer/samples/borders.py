"""Where a text may be cut: before a definition, after a blank line, after a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codelupe_daemon.syntax.definitions import definitions

_BLANK = re.compile(r"\n(?:[ \t\r]*\n)+")
_ABOVE = ("@", "#", "//", "/*", "*", "--", ";", "///", "[")
"""How lines begin that belong to the definition below: decorators, attributes, comments."""
_ABOVE_LINES_MAX = 20
_NAME_CHARS = 100
"""How far behind its definition's start a name may stand to be found."""


def border(text: str, language: str | None, at: int, first: int, last: int) -> int:
    """The best place in [first, last], nearest to `at`: a definition's start, else after a blank
    line, else after a line, else `at` itself. 0 < first <= at <= last <= len(text).
    """
    starts = definition_starts(text[: last + _NAME_CHARS], language, named_from=first)
    places = [start for start in starts if first <= start <= last]
    if not places:
        places = [blank.end() for blank in _BLANK.finditer(text, first - 1, last)]
    if not places:
        before = text.rfind("\n", first - 1, at) + 1
        after = text.find("\n", at, last) + 1
        places = [place for place in (before, after) if place]
    return min(places, key=lambda place: abs(place - at), default=at)


def definition_starts(text: str, language: str | None, *, named_from: int = 0) -> list[int]:
    """Where definitions begin, with the comments and decorators above them, in order; those
    whose names stand at `named_from` or later.
    """
    places = (place for place in _named_at(text, language) if place >= named_from)
    return sorted({_with_above(text, text.rfind("\n", 0, place) + 1) for place in places})


def _named_at(text: str, language: str | None) -> Iterator[int]:
    """Where the names stand, in characters."""
    found = definitions(text, language)
    if text.isascii() or not found:
        yield from (each.start for each in found)
        return
    raw, chars, done = text.encode(), 0, 0
    for each in sorted(found, key=lambda each: each.start):
        chars, done = chars + len(raw[done : each.start].decode()), each.start
        yield chars


def _with_above(text: str, start: int) -> int:
    for _ in range(_ABOVE_LINES_MAX):
        above = text.rfind("\n", 0, max(start - 1, 0)) + 1
        if not start or not text[above:start].lstrip().startswith(_ABOVE):
            return start
        start = above
    return start


def pieces(text: str, language: str | None, max_chars: int) -> list[str]:
    """The text in pieces of about equal length, at most `max_chars`; joined they are it."""
    parts: list[str] = []
    start = 0
    while (left := len(text) - start) > max_chars:
        size = left // -(-left // max_chars)
        # A window, so that a long text is not looked at again for each of its pieces.
        window = text[start : start + max_chars]
        cut = border(window, language, max(size, 1), max(size // 2, 1), max_chars)
        parts.append(window[:cut])
        start += cut
    return [*parts, text[start:]]
