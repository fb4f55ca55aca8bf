"""The licence that a file states in its first comment, and where that comment ends."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from codelupe_daemon import spdx
from codelupe_daemon.examine.licenses import phrases
from codelupe_daemon.examine.licenses.identify import identify
from codelupe_daemon.examine.licenses.words import words

HEAD_BYTES = 8 << 10
"""How much of a file is looked at."""

_HINT_REACH_BYTES = 1 << 10
_KEY_BYTES = 48
_REMEMBERED = 4096
_MAX_ALIKE = 8
_MAX_BLOCKS = 20
_STARTS = frozenset(b"/#*-;%<\"'({!.@dDrR\xef")
_SKIPPED = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:#![^\n]*\n)?(?:<\?(?:php|xml|hh)[^\n]*\n|<!DOCTYPE[^\n]*\n)?"
    rb"(?:[ \t]*(?:[#;%]+|//)[ \t]*-\*-[^\n]*\n|"
    rb"[ \t]*//[ \t]?(?:go:build|\+build)[^\n]*\n|"
    rb"[ \t]*#[ \t]*(?:vim?:|coding[:=]|frozen_string)[^\n]*\n|"
    rb"[ \t]*(?:[\"']use strict[\"'];?)?[ \t]*\r?\n)*"
)
_BLANK = re.compile(rb"(?:[ \t]*\r?\n)*")
# One comment: a block to its end, or lines with the same mark, unless they document what follows.
_BLOCKS = (
    (b"/*", re.compile(rb"/\*.*?\*/[ \t]*", re.DOTALL)),
    (b"//", re.compile(rb"(?:[ \t]*//(?![/!](?!/))[^\n]*\n?)+")),
    (b"#", re.compile(rb"(?:[ \t]*#(?!\[|!\[|\s*(?:include|define|pragma|if))[^\n]*\n?)+")),
    (b"--[[", re.compile(rb"--\[\[.*?\]\]", re.DOTALL)),
    (b"--", re.compile(rb"(?:[ \t]*--[^\n]*\n?)+")),
    (b";", re.compile(rb"(?:[ \t]*;[^\n]*\n?)+")),
    (b"%", re.compile(rb"(?:[ \t]*%[^\n]*\n?)+")),
    (b"<!--", re.compile(rb"<!--.*?-->", re.DOTALL)),
    (b"<#", re.compile(rb"<#.*?#>", re.DOTALL)),
    (b"(*", re.compile(rb"\(\*.*?\*\)", re.DOTALL)),
    (b"{-", re.compile(rb"\{-.*?-\}", re.DOTALL)),
    (b"{", re.compile(rb"\{[^{}]*\}")),
    (b'"""', re.compile(rb'""".*?"""', re.DOTALL)),
    (b"'''", re.compile(rb"'''.*?'''", re.DOTALL)),
    (b'"', re.compile(rb"(?:[ \t]*\"[^\n]*\n?)+")),
    (b"'", re.compile(rb"(?:[ \t]*'[^\n]*\n?)+")),
    (b"!", re.compile(rb"(?:[ \t]*![^\n]*\n?)+")),
    (b"..", re.compile(rb"\.\.[^\n]*\n(?:[ \t]+[^\n]*\n|[ \t]*\n)*")),
    (b"dnl", re.compile(rb"(?:[ \t]*dnl\b[^\n]*\n?)+")),
    (b"rem", re.compile(rb"(?:[ \t]*@?rem\b[^\n]*\n?)+", re.IGNORECASE)),
    (b"@rem", re.compile(rb"(?:[ \t]*@?rem\b[^\n]*\n?)+", re.IGNORECASE)),
)
_BLOCKS_BY_BYTE = {
    mark[:1]: [block for block in _BLOCKS if block[0][:1] == mark[:1]] for mark, _ in _BLOCKS
}
_LEGAL = re.compile(
    rb"SPDX-|copyright[\s:]*(?:\(c\)|\xc2\xa9|\d{4}|by\b|the\b|[A-Z][\w.-]+[ ,]+\d{4})|"
    rb"\(c\)\s*\d{4}|"
    rb"all\s+rights\s+reserved|licen[sc]ed\s[\s*/#;-]*(?:under|to)\b|@licen[sc]e\b|"
    rb"(?:general|mozilla|eclipse)[\s*/#;-]+public[\s*/#;-]+licen[sc]e|"
    rb"permission[\s*/#;-]+is[\s*/#;-]+hereby|redistribution[\s*/#;-]+and[\s*/#;-]+use|"
    rb"under[\s*/#;-]+the[\s*/#;-]+(?:terms[\s*/#;-]+of[\s*/#;-]+the[\s*/#;-]+)?[\w.-]+[\s*/#;-]+licen[sc]e",
    re.IGNORECASE,
)
_LEGAL_REACH_BYTES = 1200
_DOCUMENTING = (b'"', b"'''", b"..")
_YEAR = re.compile(rb"(?:19|20)\d\d(?:-(?:19|20)\d\d)?,?")
_TAG = re.compile(rb"SPDX-License-Identifier:[ \t]*([^\r\n]{1,200})")
_TAG_END = re.compile(rb"[ \t]*(?:\*+/|-->|\*\)|-\}|#>|\]\]|\"\"\"|'''|[\"';]|\*+)?[ \t]*$")
_WHOLE_TEXT = re.compile(
    r"permission is hereby|permission to use|redistribution and use|provided as is|"
    r"free and unencumbered|altered source versions"
)


class Header(NamedTuple):
    """`copyright_bytes`: of the leading copyright comment, from `copyright_start` on; 0: none."""

    expression: str | None
    copyright_bytes: int
    copyright_start: int = 0


_NOTHING = Header(None, 0)
# Of a repository's files most share a header: the heads that were read, by their first bytes.
_remembered: dict[bytes, tuple[tuple[bytes, Header], ...]] = {}


def header(head: bytes) -> Header:
    """What the first HEAD_BYTES of a file say of its licence."""
    first = head[:_HINT_REACH_BYTES]
    if b"opyright" not in first and b"icens" not in first:
        return _NOTHING  # most files
    for text, known in _remembered.get(head[:_KEY_BYTES], ()):
        if head.startswith(text) and not _goes_on(head, len(text)):
            return known
    return _read(head[:HEAD_BYTES])


def _goes_on(head: bytes, end: int) -> bool:
    """Whether the comments on the licence do not end there."""
    at = _after_blank(head, end)
    if at == len(head) or head[at] not in _STARTS:
        return False
    if at == end or b"\n" not in head[end - 1 : at]:
        return True  # perhaps the same comment
    if not _may_be_legal(head[at : at + _LEGAL_REACH_BYTES]):
        return False  # whatever of it is one comment
    block = _block(head, at)
    return block is not None and _is_legal(block)


def _read(head: bytes) -> Header:
    skipped = _SKIPPED.match(head)
    start = skipped.end() if skipped else 0
    end, legal = _legal_comments(head, start)
    if not legal:
        tag = _TAG.search(head)
        is_said = tag is not None and _is_comment_line(head, tag.start())
        return Header(_tagged(tag[1]), 0) if tag and is_said else _NOTHING
    tag = _TAG.search(legal)
    found = Header(
        (_tagged(tag[1]) if tag else None) or _stated(_YEAR.sub(b"", legal)), end - start, start
    )
    _remember(head[:end], found)
    return found


def _remember(text: bytes, found: Header) -> None:
    if len(_remembered) >= _REMEMBERED:
        _remembered.clear()
    key = text[:_KEY_BYTES]
    others = _remembered.get(key, ())
    if len(key) == _KEY_BYTES and len(others) < _MAX_ALIKE:
        _remembered[key] = (*others, (text, found))


def _legal_comments(head: bytes, start: int) -> tuple[int, bytes]:
    """The end of the leading comments on copyright and licence, and their text."""
    at, end, texts = start, start, []
    for _ in range(_MAX_BLOCKS):
        block = _block(head, at)
        if block is None or not _is_legal(block):
            break
        texts.append(block)
        end = at + len(block)
        at = _after_blank(head, end)
    return end, b"\n".join(texts)


def _after_blank(head: bytes, at: int) -> int:
    match = _BLANK.match(head, at)
    return match.end() if match else at


def _block(head: bytes, at: int) -> bytes | None:
    rest = head[at : at + 4].lower()
    for mark, pattern in _BLOCKS_BY_BYTE.get(rest[:1], ()):
        if rest.startswith(mark):
            match = pattern.match(head, at)
            return match[0] if match else None
    return None


def _is_legal(block: bytes) -> bool:
    # A docstring that comes to its licence late is about the code.
    reach = _LEGAL_REACH_BYTES // 8 if block.startswith(_DOCUMENTING) else _LEGAL_REACH_BYTES
    return _may_be_legal(block[:reach]) and _LEGAL.search(block, 0, reach) is not None


def _may_be_legal(text: bytes) -> bool:
    lower = text.lower()
    return b"copyright" in lower or b"licen" in lower or b"reserved" in lower


def _is_comment_line(head: bytes, at: int) -> bool:
    """Whether nothing but a comment's mark stands before it in its line."""
    line = head[head.rfind(b"\n", 0, at) + 1 : at].strip()
    return len(line) <= 4 and not line[:1].isalnum()


def _tagged(rest: bytes) -> str | None:
    return spdx.normalise(_TAG_END.sub(b"", rest).decode("utf-8", "replace").strip())


@lru_cache(_REMEMBERED // 4)
def _stated(block: bytes) -> str | None:
    text = " ".join(words(block))
    whole = identify(block) if _WHOLE_TEXT.search(text) else None
    return whole.expression if whole and whole.ids else phrases.named(text)
