"""Rows in Postgres' binary COPY format: written here because asyncpg asks the server for the types
by a named statement, which does not survive a bouncer between two transactions."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from codelupe_daemon.paths import storable

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
NULL: Final = b"\xff\xff\xff\xff"
PART_BYTES: Final = 1 << 20
Encode = Callable[[Any], bytes]

_int2 = struct.Struct("!ih").pack
_int4 = struct.Struct("!ii").pack
_int8 = struct.Struct("!iq").pack
_float8 = struct.Struct("!id").pack
_size = struct.Struct("!i").pack


def blob(value: bytes) -> bytes:
    """Also a text that is UTF-8 already."""
    return _size(len(value)) + value


def text(value: str) -> bytes:
    return blob(storable(value).encode())


@lru_cache(maxsize=4096)
def word(value: str) -> bytes:
    """A text of which there are few different ones, such as a language."""
    return text(value)


def int2(value: int) -> bytes:
    return _int2(2, value)


def int4(value: int) -> bytes:
    return _int4(4, value)


def int8(value: int) -> bytes:
    return _int8(8, value)


def float8(value: float) -> bytes:
    return _float8(8, value)


boolean: Final[Encode] = {True: b"\0\0\0\1\1", False: b"\0\0\0\1\0"}.__getitem__


async def rows(encoders: Sequence[Encode], rows: Iterable[Sequence[Any]]) -> AsyncIterator[bytes]:
    """The bytes of a whole COPY, in parts of about a megabyte; None is null."""
    pieces, size_bytes = [HEADER], 0
    begin = struct.pack("!h", len(encoders))
    for row in rows:
        pieces.append(begin)
        for encode, value in zip(encoders, row, strict=True):
            if value is None:
                pieces.append(NULL)
            elif encode is blob:  # not joined here: it may be long
                pieces += (_size(len(value)), value)
                size_bytes += len(value)
            else:
                pieces.append(encode(value))
        if size_bytes > PART_BYTES:
            yield b"".join(pieces)
            pieces, size_bytes = [], 0
    pieces.append(END)
    yield b"".join(pieces)
