"""The measures in plain Python, byte by byte, for languages without triple quotes."""

from __future__ import annotations

import re

from codelupe_daemon.examine import features as f
from codelupe_daemon.examine.languages.base import Analyser

BLANKS = b" \t\n\v\f\r"
WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")


def lines_of(text: bytes) -> list[bytes]:
    newline = b"\n" if b"\n" in text or b"\r" not in text else b"\r"
    lines = text.split(newline)
    return lines[:-1] if lines[-1] == b"" else lines


def kinds_of(lines: list[bytes], analyser: Analyser) -> list[str]:
    """blank, comment or code, for each line."""
    opening, closing = (marker.encode() for marker in analyser.block_comment or ("", ""))
    single = tuple(marker.encode() for marker in analyser.line_comments)
    kinds, inside = [], False
    for line in lines:
        text = line.lstrip(BLANKS)
        if not text:
            kinds.append("blank")
        elif inside:
            kinds.append("comment")
            inside = closing not in text
        elif opening and text.startswith(opening):
            kinds.append("comment")
            inside = closing not in text[2:]
        else:
            kinds.append("comment" if text.startswith(single) else "code")
    return kinds


def measure(text: bytes, analyser: Analyser) -> dict[int, int]:
    lines = lines_of(text)
    kinds = kinds_of(lines, analyser)
    code = [line for line, kind in zip(lines, kinds, strict=True) if kind == "code"]
    words = [word for line in code for word in WORD.findall(line)]
    indents = [line[: len(line) - len(line.lstrip(BLANKS))] for line in code]
    widths = [len(indent) + 3 * indent[:64].count(b"\t") for indent in indents]
    heads = (re.search(rb"generat|t edi", line.lower()) for line in lines[:40])
    return {
        f.LINES: len(lines),
        f.BLANK: kinds.count("blank"),
        f.COMMENT: kinds.count("comment"),
        f.CODE: kinds.count("code"),
        f.MAX_LINE: max((len(line.decode()) for line in lines), default=0),
        f.LONG_LINES: sum(len(line) > 120 for line in lines),
        f.ALNUM: sum(map(len, WORD.findall(text))),
        f.VISIBLE: sum(len(line.lstrip(BLANKS)) for line in lines),
        f.BACKSLASHES: sum(line.count(b"\\") for line in code),
        f.WORDS: len(words),
        f.NUMBERS: sum(word[:1].isdigit() for word in words),
        f.INDENTED: sum(widths),
        f.DEEP: sum(width > 24 for width in widths),
        f.MARKER_LINE: next((n for n, found in enumerate(heads, 1) if found), 0),
    }
