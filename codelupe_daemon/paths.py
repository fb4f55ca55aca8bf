"""How a path of arbitrary bytes becomes text, the same in every store, and bytes again."""

from __future__ import annotations

import re

# Control characters, the backslash, and what surrogateescape makes of bytes that are not UTF-8.
_SPECIAL = re.compile("[\x00-\x1f\x7f-\x9f\\\\\udc80-\udcff]")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def escape_path(raw: bytes) -> str:
    """The path as text: what is not UTF-8, control characters and the backslash become `\\xNN`."""
    text = raw.decode("utf-8", "surrogateescape")
    return _SPECIAL.sub(_escape, text) if _SPECIAL.search(text) else text


def unescape_path(text: str) -> bytes:
    """The inverse of `escape_path`."""
    raw = text.encode()
    return _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), raw)


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogateescape"))


def storable(text: str) -> str:
    """What every store takes as text: without U+0000, and nothing that UTF-8 has no bytes for."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
