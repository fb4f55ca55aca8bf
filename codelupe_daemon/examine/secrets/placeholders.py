"""What stands in the text instead of what was found, and how it is counted again.

`REDACTED_TOKEN_1`: the same secret in one text has the same number. It is a name in every
language, so that it may stand in a string, in a comment and behind what is left of a token.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from codelupe_daemon.examine.secrets.base import Finding, Kind
from codelupe_daemon.examine.secrets.private_key import pieces

_WORDS = {
    Kind.PRIVATE_KEY: b"PRIVATE_KEY",
    Kind.TOKEN: b"TOKEN",
    Kind.URL_PASSWORD: b"PASSWORD",
    Kind.SECRET: b"SECRET",
    Kind.EMAIL: b"EMAIL",
}
_KINDS = {word: kind for kind, word in _WORDS.items()}
_NET = b"240.0.%d.%d"
"""Reserved for ever: a documentation address may have stood there before."""
_PLACEHOLDER = re.compile(rb"REDACTED_(PRIVATE_KEY|TOKEN|PASSWORD|SECRET|EMAIL)_\d+")
_PLACEHOLDER_NET = re.compile(rb"240\.0\.\d{1,3}\.\d{1,3}")
_BETWEEN_LINES = re.compile(rb"(?:\s|\\[nrt])*\Z")


def redact(text: bytes, findings: Sequence[Finding]) -> bytes:
    """The text with a placeholder for each finding; these are sorted and do not overlap."""
    parts: list[bytes] = []
    numbers: dict[tuple[Kind, bytes], int] = {}
    last: Counter[Kind] = Counter()
    done = 0
    for kind, start, end in findings:
        secret = text[start:end]
        if (kind, secret) not in numbers:
            last[kind] += 1
            numbers[kind, secret] = last[kind]
        parts += text[done:start], _instead(kind, secret, numbers[kind, secret])
        done = end
    return b"".join((*parts, text[done:]))


def _instead(kind: Kind, secret: bytes, number: int) -> bytes:
    if kind is Kind.IP_ADDRESS:
        return _NET % (number >> 8 & 255, number & 255)
    placeholder = b"REDACTED_%b_%d" % (_WORDS[kind], number)
    if kind is Kind.EMAIL:
        return placeholder + b"@example.com"
    if kind is Kind.PRIVATE_KEY:
        return _instead_of_lines(secret, placeholder)
    return placeholder


def _instead_of_lines(body: bytes, placeholder: bytes) -> bytes:
    """One placeholder for all lines; quotes and operators between them stay as they are."""
    parts = [placeholder]
    done = None
    for start, end in pieces(body):
        if done is not None and not _BETWEEN_LINES.match(body, done, start):
            parts.append(body[done:start])
        done = end
    return b"".join(parts)


def count(text: bytes) -> dict[str, int]:
    """How many placeholders of each kind stand in a text that was redacted."""
    counts = Counter(_KINDS[found[1]].value for found in _PLACEHOLDER.finditer(text))
    if addresses := len(_PLACEHOLDER_NET.findall(text)):
        counts[Kind.IP_ADDRESS.value] = addresses
    return dict(counts)
