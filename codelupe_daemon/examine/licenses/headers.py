"""The licence that a file states in its first comment, and where that comment ends."""

from __future__ import annotations

import re
from typing import NamedTuple

from codelupe_daemon import spdx
from codelupe_daemon.examine.licenses import phrases
from codelupe_daemon.examine.licenses.identify import identify
from codelupe_daemon.examine.licenses.words import words

HEAD_BYTES = 8 << 10
"""How much of a file is looked at."""

_REMEMBERED = 4096
_MAX_SIZE_OF_REMEMBERED = 4096
_MAX_BLOCKS = 6
_STARTS = frozenset(b"/#*-;%<\"'({!.@dDrR\xef")
_HINTS = (b"icens", b"ICENS", b"icenc", b"opyright", b"OPYRIGHT", b"SPDX-")
_SKIPPED = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:#![^\n]*\n)?(?:<\?(?:php|xml|hh)[^\n]*\n|<!DOCTYPE[^\n]*\n)?"
    rb"(?:[ \t]*(?:[#;%]+|//)[ \t]*-\*-[^\n]*\n|"
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
_LEGAL = re.compile(
    rb"SPDX-|copyright[\s:]*(?:\(c\)|\xc2\xa9|\d{4}|by\b|the\b|[A-Z][\w.-]+[ ,]+\d{4})|"
    rb"\(c\)\s*\d{4}|"
    rb"all\s+rights\s+reserved|licen[sc]ed\s[\s*/#;-]*(?:under|to)\b|@licen[sc]e\b|"
    rb"(?:general|mozilla|eclipse)[\s*/#;-]+public[\s*/#;-]+licen[sc]e|"
    rb"permission[\s*/#;-]+is[\s*/#;-]+hereby|redistribution[\s*/#;-]+and[\s*/#;-]+use|"
    rb"under[\s*/#;-]+the[\s*/#;-]+(?:terms[\s*/#;-]+of[\s*/#;-]+the[\s*/#;-]+)?[\w.-]+[\s*/#;-]+licen[sc]e",
    re.IGNORECASE,
)
_LEGAL_REACH_BYTES = 600
_DOCUMENTING = (b'"', b"'''", b"..")
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
_remembered: dict[bytes, str | None] = {}


def header(head: bytes) -> Header:
    """What the first HEAD_BYTES of a file say of its licence."""
    head = head[:HEAD_BYTES]
    if not any(hint in head for hint in _HINTS):
        return _NOTHING
    skipped = _SKIPPED.match(head)
    start = skipped.end() if skipped else 0
    end, legal = _legal_comments(head, start)
    tag = _TAG.search(head) if b"SPDX-License-Identifier:" in head else None
    if tag and not start <= tag.start() < end and not _is_comment_line(head, tag.start()):
        tag = None
    expression = _tagged(tag[1]) if tag else None
    if expression is None and legal:
        expression = _stated(legal)
    return Header(expression, end - start if legal else 0, start if legal else 0)


def _legal_comments(head: bytes, start: int) -> tuple[int, bytes]:
    """The end of the leading comments on copyright and licence, and their text."""
    at, end, texts = start, start, []
    for _ in range(_MAX_BLOCKS):
        block = _block(head, at)
        if block is None or not _is_legal(block):
            break
        texts.append(block)
        end = at + len(block)
        blank = _BLANK.match(head, end)
        at = blank.end() if blank else end
    return end, b"\n".join(texts)


def _block(head: bytes, at: int) -> bytes | None:
    rest = head[at : at + 4].lower()
    for mark, pattern in _BLOCKS:
        if rest.startswith(mark):
            match = pattern.match(head, at)
            return match[0] if match else None
    return None


def _is_legal(block: bytes) -> bool:
    # A docstring that comes to its licence late is about the code.
    reach = _LEGAL_REACH_BYTES // 4 if block.startswith(_DOCUMENTING) else _LEGAL_REACH_BYTES
    return _LEGAL.search(block, 0, reach) is not None


def _is_comment_line(head: bytes, at: int) -> bool:
    """Whether nothing but a comment's mark stands before it in its line."""
    line = head[head.rfind(b"\n", 0, at) + 1 : at].strip()
    return len(line) <= 4 and not line[:1].isalnum()


def _tagged(rest: bytes) -> str | None:
    return spdx.normalise(_TAG_END.sub(b"", rest).decode("utf-8", "replace").strip())


def _stated(block: bytes) -> str | None:
    """Remembered, as the files of a repository share their headers."""
    try:
        return _remembered[block]
    except KeyError:
        pass
    text = " ".join(words(block))
    whole = identify(block) if _WHOLE_TEXT.search(text) else None
    expression = whole.expression if whole and whole.ids else phrases.named(text)
    if len(_remembered) >= _REMEMBERED:
        _remembered.clear()
    if len(block) <= _MAX_SIZE_OF_REMEMBERED:
        _remembered[block] = expression
    return expression
