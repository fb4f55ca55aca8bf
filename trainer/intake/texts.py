"""What sources share that have texts and nothing else: hashes are computed as rows are read, and
found again by an index in a temporary file."""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import apsw

from codelupe_daemon.paths import storable
from trainer.intake.base import Source, blocks, patiently
from trainer.types import Candidate

PAGE_ROWS: Final = 2000
PAGE_BYTES: Final = 16 << 20
"""Of texts that are held at once; a longer text is alone in its page."""
TEXTS_AT_ONCE: Final = 64
_LAST_ID: Final = (1 << 63) - 1
_REPOS: Final = re.compile(r"(?:.*/)?repos/([^/]+/[^/]+)/(.+)", re.DOTALL)
_FIRST: Final = re.compile(r"/*([^/]+(?:/[^/]+)?)/(.+)", re.DOTALL)


class TextRow(NamedTuple):
    """A row as it lies in a source. `text`: None where there is none that could be read."""

    id: int
    text: str | None
    repo: str
    path: str
    language: str | None
    license: str | None
    quality: float
    created_at: int


class TextSource(Source):
    """A text that stands in several rows is found in the last one that was read."""

    def __init__(self) -> None:
        self._index = apsw.Connection("")  # a temporary file of SQLite's, gone with the process
        self._index.execute(
            "create table texts (content_hash blob primary key, id integer) without rowid"
        )
        self._scanning = asyncio.Lock()
        self._is_whole = False
        """Whether the index knows all that a manifest names, not only what was read."""

    @abstractmethod
    async def _page(self, after_id: int, to_id: int) -> list[TextRow]:
        """The next rows by id: at most `PAGE_ROWS`, of about `PAGE_BYTES`."""

    @abstractmethod
    async def _read(self, ids: Sequence[int]) -> list[str | None]:
        """The texts of these rows, as far as they are there, in any order."""

    async def close(self) -> None:
        self._index.close()

    async def rows(self, after_id: int, to_id: int) -> AsyncGenerator[list[Candidate], None]:
        while page := await patiently(self._page, after_id, to_id):
            candidates = await asyncio.to_thread(_hashed, page)
            self._learn(candidates)
            after_id = page[-1].id
            yield candidates

    def _learn(self, rows: Iterable[Candidate]) -> None:
        with self._index:
            self._index.executemany(
                "insert or replace into texts values (?, ?)",
                ((row.content_hash, row.id) for row in rows if row.is_live),
            )

    async def texts(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """By the hash of what is there now: a text that was changed since is another one."""
        found: dict[bytes, str] = {}
        for wanted in map(set, blocks(hashes, TEXTS_AT_ONCE)):
            texts = await patiently(self._read, await self._ids(wanted))
            by_hash = {hash_of(text): text for text in texts if text is not None}
            found |= {one: text for one, text in by_hash.items() if one in wanted}
        return found

    async def alive(self, hashes: Sequence[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for block in blocks(hashes, TEXTS_AT_ONCE):
            found |= (await self.texts(block)).keys()
        return found

    async def _ids(self, hashes: set[bytes]) -> list[int]:
        """All rows are read, once in a process, where one of the hashes is missing: also those
        behind the head, which may not be known yet."""
        found = self._find(hashes)
        if len(found) < len(hashes):
            async with self._scanning:
                if not self._is_whole:
                    async for _ in self.rows(0, _LAST_ID):
                        pass
                    self._is_whole = True
            found = self._find(hashes)
        return found

    def _find(self, hashes: set[bytes]) -> list[int]:
        bound = (apsw.carray(tuple(hashes)),)
        statement = "select id from texts where content_hash in (select value from carray(?))"
        return [int(str(row[0])) for row in self._index.execute(statement, bound)]


def _hashed(page: Sequence[TextRow]) -> list[Candidate]:
    return [
        Candidate(
            row.id, hash_of(row.text or ""), True, row.text is not None, len(row.text or ""),
            row.language, row.quality, row.license, row.repo, row.path, row.created_at,
        )
        for row in page
    ]  # fmt: skip


def hash_of(text: str) -> bytes:
    """blake2b-128, as the journal names its texts."""
    return blake2b(text.encode(), digest_size=16).digest()


def readable(raw: str | bytes | None) -> str | None:
    """A text as the journal would store it: unpaired surrogates, and bytes that are no UTF-8, are
    U+FFFD; with U+0000 it is none."""
    if raw is None:
        return None
    if isinstance(raw, bytes):
        raw = raw.decode("utf-8", "replace")
    elif not raw.isascii():
        raw = raw.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return None if "\0" in raw else raw


def named(raw: str | bytes | None) -> str | None:
    """A path or a name of something."""
    if isinstance(raw, bytes):
        raw = raw.decode("utf-8", "backslashreplace")
    return storable(raw) if raw else None


def place_of(path: str, otherwise: str) -> tuple[str, str]:
    """Repository and path in it: `owner/name` below a folder `repos`, as the first CodeLupe's
    clones lay, else the first two folders of the path, or the only one."""
    match = _REPOS.fullmatch(path) or _FIRST.fullmatch(path)
    return (match[1], match[2]) if match else (otherwise, path)
