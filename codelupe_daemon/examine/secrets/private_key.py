"""Private keys in PEM, also inside string literals: what stands between the two marks."""

from __future__ import annotations

import re

from codelupe_daemon.examine.secrets.base import Finding, Kind

MAX_BYTES = 16 << 10
MIN_RANDOM_BYTES = 64
MIN_DISTINCT = 20

_HEADER = re.compile(rb"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_NEXT_MARK = re.compile(rb"-----(?:BEGIN|END)[ A-Z0-9]")
RUN = re.compile(rb"(?<![A-Za-z0-9+/=])(?:(?<=\\)[nrt])?([A-Za-z0-9+/]{24,}={0,2})")
"""Base64 in the body: lines of it, also behind an escaped line end."""
_TAIL = re.compile(
    rb"(?<![A-Za-z0-9+/=])(?:(?<=\\)[nrt])?([A-Za-z0-9+/]{2,}={0,2})(?:\\[nrt]|[^\w()\\])*\Z"
)
"""The last line is short."""


def check(text: bytes, at: int) -> Finding | None:
    """The body of the key whose header stands at `at`, from its first to its last base64."""
    header = _HEADER.match(text, at)
    if header is None:
        return None
    footer = _NEXT_MARK.search(text, header.end(), header.end() + MAX_BYTES)
    if footer is None or b"REDACTED" in text[header.end() : footer.start()]:
        return None
    runs = pieces(text[header.end() : footer.start()])
    body = b"".join(text[header.end() + start : header.end() + end] for start, end in runs)
    if len(body) < MIN_RANDOM_BYTES or len(set(body)) < MIN_DISTINCT:
        return None
    return Finding(Kind.PRIVATE_KEY, header.end() + runs[0][0], header.end() + runs[-1][1])


def pieces(body: bytes) -> list[tuple[int, int]]:
    """Where base64 stands in what lies between header and footer."""
    runs = [run.span(1) for run in RUN.finditer(body)]
    tail = _TAIL.search(body, runs[-1][1]) if runs else None
    return [*runs, tail.span(1)] if tail else runs
