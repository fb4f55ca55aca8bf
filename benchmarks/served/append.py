"""Rows of 8 kB into the journal, with occurrences, beside a bare COPY of the same rows."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg

from benchmarks.served.base import Round, Servers
from codelupe_daemon.journal import pgcopy
from codelupe_daemon.journal.postgres import PostgresJournal
from codelupe_daemon.model import Content, Occurrence, Part, Repo, Visit

WHAT = "journal append, 8 kB rows"
AGAINST = "bare COPY of the same rows"
TARGET = 0.65

ROWS = 24_000
BATCH = 3000
SIZE_BYTES = 8192
BARE = """create table bare (
    content_hash bytea, language text, content text compression lz4, content_chars integer,
    quality_score double precision, signals text, fingerprint bytea, examiner_version text)"""
ENCODERS = (
    pgcopy.blob, pgcopy.word, pgcopy.blob, pgcopy.int4, pgcopy.float8, pgcopy.blob, pgcopy.blob,
    pgcopy.word,
)  # fmt: skip


def measure(servers: Servers) -> Round:
    return asyncio.run(_measure(servers.postgres()))


async def _measure(url: str) -> Round:
    texts = list(_texts(ROWS))
    journal = PostgresJournal(url)
    await journal.open(create=True)
    await journal.server.maintain(BARE)
    await journal.server.maintain("checkpoint")
    bare_s = await _bare(url, texts)
    await journal.server.maintain("truncate bare")
    await journal.server.maintain("checkpoint")
    ours_s = await _ours(journal, texts)
    await journal.close()
    figures = {"bare_rows_per_s": ROWS / bare_s, "our_rows_per_s": ROWS / ours_s}
    return Round(bare_s / ours_s, figures)


def _texts(count: int) -> Iterator[bytes]:
    """Pieces of Python's own library, no two alike."""
    library = Path(sysconfig.get_path("stdlib"))
    source = b"".join(path.read_bytes() for path in sorted(library.glob("*/*.py")))
    chosen = random.Random(1)
    for number in range(count):
        at = chosen.randrange(len(source) - SIZE_BYTES)
        piece = b"# %06d\n" % number + source[at : at + SIZE_BYTES]
        yield piece.decode("utf-8", "ignore").encode()


async def _bare(url: str, texts: Sequence[bytes]) -> float:
    rows = [(_hash(one), "Python", one, len(one), 90.0, b"{}", bytes(56), "1") for one in texts]
    connection = await asyncpg.connect(url)
    started = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        source = pgcopy.rows(ENCODERS, rows[at : at + BATCH])
        await connection.copy_to_table("bare", source=source, format="binary")
    seconds = time.perf_counter() - started
    await connection.close()
    return seconds


async def _ours(journal: PostgresJournal, texts: Sequence[bytes]) -> float:
    visit = await journal.claim(await journal.register(Repo("a/a", "/a")), "h:b:1:1", 600)
    assert visit is not None
    parts = [_part(visit, at, texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
    free = asyncio.Semaphore(journal.appends_at_once)

    async def append(part: Part) -> None:
        async with free:
            await journal.append([part])

    started = time.perf_counter()
    await asyncio.gather(*map(append, parts))
    return time.perf_counter() - started


def _part(visit: Visit, first: int, texts: Sequence[bytes]) -> Part:
    contents = [
        Content(_hash(one), one, len(one), "Python", 0.9, b"{}", bytes(56)) for one in texts
    ]
    occurrences = [
        Occurrence(
            f"src/folder{n % 97}/file{n}.py", hashlib.sha1(one).digest(),  # noqa: S324 - as git's ids
            "py", "Python", _hash(one), None, None,
        )
        for n, one in enumerate(texts, first)
    ]  # fmt: skip
    return Part(visit, bytes(20), "1", occurrences, {one.key: one for one in contents})


def _hash(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()
