"""The embedded journal: one SQLite file, any number of readers, one writer at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import apsw
import numpy as np
import orjson
import zstandard

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal import sqlite_files as files
from codelupe_daemon.journal import sqlite_read as reading
from codelupe_daemon.journal import sqlite_write as writing
from codelupe_daemon.journal.base import (
    Counts,
    ExportRow,
    Forgotten,
    Journal,
    Judged,
    Known,
    OccurrenceRow,
    Rejudged,
    RepositoryRow,
)
from codelupe_daemon.journal.owner import is_held
from codelupe_daemon.journal.sqlite_files import first, query, run, run_many, value
from codelupe_daemon.model import Entry, LiveContent, Part, Reason, Recorded, Repo, Standing, Visit

T = TypeVar("T")
READERS = 4


class SqliteJournal(Journal):
    """See `Journal`. Writes run on one thread, reads on a few, each with its own connection."""

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path
        self._connections = threading.local()
        self._opened: list[apsw.Connection] = []
        self._writer = ThreadPoolExecutor(1, "journal-write")
        self._readers = ThreadPoolExecutor(READERS, "journal-read")

    async def open(self, *, create: bool) -> None:
        if not create and not self._path.exists():
            raise Fatal(f"there is no store at {self._path}: `codelupe ingest SOURCE` makes one")
        await self._on(self._writer, self._open)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with files.writers_lock(self._path):
            cx = files.connect(self._path, create=True, cache_kib=files.WRITE_CACHE_KIB)
            self._opened.append(cx)
            self._connections.cx = cx
            files.migrate(cx, self._path)

    async def close(self) -> None:
        for pool in (self._readers, self._writer):
            pool.shutdown(wait=True)
        for cx in self._opened:
            cx.close()

    # -- threads and transactions -----------------------------------------------------------

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        explained = files.explained(self._path)(work)
        return await asyncio.get_running_loop().run_in_executor(pool, explained)

    def _connection(self) -> apsw.Connection:
        if not hasattr(self._connections, "cx"):
            self._connections.cx = files.connect(self._path)
            self._opened.append(self._connections.cx)
        cx: apsw.Connection = self._connections.cx
        return cx

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` in a write transaction of its own."""

        def transaction() -> T:
            cx = self._connection()
            with files.writing(cx, self._path):
                return work(cx)

        return await self._on(self._writer, transaction)

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` in a read transaction that ends with it."""

        def transaction() -> T:
            cx = self._connection()
            run(cx, "begin")
            try:
                return work(cx)
            finally:
                run(cx, "commit")

        return await self._on(self._readers, transaction)

    # -- repositories, and whose they are ---------------------------------------------------

    async def register(self, repo: Repo) -> int:
        return await self._write(partial(_register, repo=repo))

    async def claim(self, repo_id: int, owner: str, lease_s: float) -> Visit | None:
        return await self._write(partial(_claim, repo_id=repo_id, owner=owner, lease_s=lease_s))

    async def renew(self, visit: Visit, lease_s: float) -> None:
        def work(cx: apsw.Connection) -> None:
            writing.check_lease(cx, visit)
            until = time.time() + lease_s
            run(cx, "renew_lease", (until, visit.repo_id, visit.epoch))

        await self._write(work)

    async def claim_next(
        self, owner: str, lease_s: float, ids: Sequence[int] | None = None
    ) -> tuple[RepositoryRow, Visit] | None:
        return await self._write(partial(_claim_next, owner=owner, lease_s=lease_s, ids=ids))

    async def due(self, limit: int) -> list[int]:
        return await self._read(lambda cx: list(islice(reading.due(cx), limit)))

    async def release(
        self, visit: Visit, state: str, reason: str | None, *, due_in_s: float | None = None
    ) -> None:
        def work(cx: apsw.Connection) -> None:
            if writing.is_over(cx, visit):
                return
            wait_s = 0 if state == "due" else due_in_s
            due_at = None if wait_s is None else time.time() + wait_s
            run(cx, "release_lease", (state, reason, due_at, visit.repo_id))

        await self._write(work)

    async def repositories(self, *, due_only: bool = False) -> list[RepositoryRow]:
        return await self._read(partial(reading.repositories, due_only=due_only))

    async def repositories_since(
        self, changed_at: float, after_id: int, limit: int
    ) -> list[RepositoryRow]:
        bound = (changed_at, after_id, limit)
        return await self._read(lambda cx: reading.repositories_since(cx, *bound))

    # -- the way of a file ------------------------------------------------------------------

    async def known_paths(self, repo_id: int, paths: Sequence[str]) -> dict[str, Known]:
        return await self._read(partial(reading.known_paths, repo_id=repo_id, paths=paths))

    async def known_oids(
        self, oids: Sequence[bytes], examiner_version: str
    ) -> dict[tuple[bytes, str], Known]:
        return await self._read(partial(reading.known_oids, oids=oids, version=examiner_version))

    def pack(self, buffer: memoryview, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        if not any(sizes):  # zstandard refuses a buffer in which every text is empty
            return [zstandard.ZstdCompressor(level=1).compress(b"") for _ in sizes]
        segments = np.column_stack((offsets, sizes)).astype(np.uint64).tobytes()
        texts = zstandard.BufferWithSegments(buffer, segments)
        compressor = zstandard.ZstdCompressor(level=1)
        packed = compressor.multi_compress_to_buffer(texts)
        return [packed[i].tobytes() for i in range(len(packed))]

    async def append(self, parts: Sequence[Part]) -> Recorded:
        return await self._write(partial(writing.append, parts=parts))

    async def paths(self, repo_id: int, after: str, limit: int) -> list[str]:
        return await self._read(
            lambda cx: [row[0] for row in query(cx, "paths", (repo_id, after, limit))]
        )

    async def reason_counts(self, repo_id: int) -> dict[Reason | None, int]:
        rows = await self._read(lambda cx: list(query(cx, "reason_counts", (repo_id,))))
        return {reason and Reason(reason): files for reason, files in rows}

    async def retire(self, visit: Visit, paths: Sequence[str]) -> None:
        await self._write(partial(writing.retire, visit=visit, paths=paths))

    async def finish(
        self,
        visit: Visit,
        commit: bytes | None,
        standing: Standing,
        examiner_version: str,
        *,
        due_in_s: float | None = None,
    ) -> Recorded:
        await self._write(
            partial(writing.restate_repository, visit=visit, standing=standing, commit=commit)
        )
        recorded, more = Recorded(), True
        while more:
            page, more = await self._write(partial(writing.settle_page, visit=visit))
            recorded += page
        bound = (visit, examiner_version, due_in_s)
        await self._write(lambda cx: writing.complete(cx, *bound))
        return recorded

    # -- readers ----------------------------------------------------------------------------

    async def last_id(self) -> int:
        return await self._read(reading.last_id)

    async def read(self, after_id: int, limit: int) -> list[Entry]:
        return await self._read(partial(reading.entries, after_id=after_id, limit=limit))

    async def live(self, after_id: int, limit: int, *, content: bool = True) -> list[LiveContent]:
        bound = (after_id, limit, content)
        return await self._read(partial(reading.live, name="live", bound=bound))

    async def live_by_id(self, ids: Sequence[int], *, content: bool) -> list[LiveContent]:
        if not ids:
            return []
        carray = apsw.carray(np.array(ids, np.int64), flags=apsw.SQLITE_CARRAY_INT64)
        bound = (carray, content)
        return await self._read(partial(reading.live, name="live_by_id", bound=bound))

    async def live_by_hashes(self, hashes: Sequence[bytes], *, content: bool) -> list[LiveContent]:
        if not hashes:
            return []
        bound = (apsw.carray(tuple(hashes)), content)
        return await self._read(partial(reading.live, name="live_by_hashes", bound=bound))

    async def hashes(self, ids: Sequence[int]) -> set[bytes]:
        if not ids:
            return set()
        carray = apsw.carray(np.array(ids, np.int64), flags=apsw.SQLITE_CARRAY_INT64)
        rows = await self._read(lambda cx: list(query(cx, "hashes", (carray,))))
        return {row[0] for row in rows}

    async def blanked(self, hashes: Sequence[bytes]) -> set[bytes]:
        if not hashes:
            return set()
        carray = apsw.carray(tuple(hashes))
        rows = await self._read(lambda cx: list(query(cx, "blanked", (carray,))))
        return {row[0] for row in rows}

    async def live_by_hash(self, prefix: str) -> list[LiveContent]:
        bound = bytes.fromhex(prefix.ljust(32, "0")), bytes.fromhex(prefix.ljust(32, "f"))
        return await self._read(partial(reading.live, name="live_by_hash", bound=bound))

    async def find(self, repo: str, path: str) -> OccurrenceRow | None:
        rows = await self._read(partial(reading.occurrences, name="find", bound=(repo, path)))
        return rows[0] if rows else None

    async def occurrences(self, content_hash: bytes, limit: int = 100) -> list[OccurrenceRow]:
        bound = (content_hash, limit)
        return await self._read(partial(reading.occurrences, name="occurrences", bound=bound))

    async def counts(self) -> Counts:
        return await self._read(reading.counts)

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - no other process can call this one: consumers poll
        return nullcontext()

    # -- takedowns, new verdicts, exports, fsck -----------------------------------------------

    async def forget_places(self, repo: str, pattern: str | None) -> Forgotten:
        return await self._write(partial(writing.forget_places, repo=repo, pattern=pattern))

    async def forget_content(self, content_hash: bytes) -> Forgotten:
        return await self._write(partial(writing.forget_content, content_hash=content_hash))

    async def erase(self) -> None:
        def work() -> None:
            cx = self._connection()
            with files.writers_lock(self._path):
                run(cx, "pragma temp_store = file")  # a copy of the whole store
                run(cx, "vacuum")
                run(cx, "pragma temp_store = memory")
                busy, *_ = first(cx, "pragma wal_checkpoint(truncate)")
            if busy:
                raise Fatal(
                    f"a reader keeps old pages of {self._path} alive: "
                    "end other codelupe commands and run `codelupe forget` again"
                )

        await self._on(self._writer, work)

    async def judged_by_others(
        self, examiner_version: str, after: bytes, limit: int
    ) -> list[Judged]:
        return await self._read(
            partial(reading.judged_by_others, version=examiner_version, after=after, limit=limit)
        )

    async def rejudge(
        self,
        rejudged: Sequence[Rejudged],
        examiner_version: str,
        accepts: Callable[[str | None], bool],
    ) -> Recorded:
        return await self._write(
            partial(writing.rejudge, rejudged=rejudged, version=examiner_version, accepts=accepts)
        )

    async def mark_due(self, examiner_version: str) -> dict[RepositoryRow, int]:
        def work(cx: apsw.Connection) -> dict[RepositoryRow, int]:
            files = dict(query(cx, "left_out_by_others", (examiner_version,)))
            run_many(cx, "make_due", ((int(time.time()), repo_id) for repo_id in files))
            due = reading.repositories(cx, due_only=True)
            return {row: files[row.id] for row in due if row.id in files}

        return await self._write(work)

    async def record_export(self, export: ExportRow) -> None:
        bound = (
            export.path, export.format, export.watermark,
            orjson.dumps(export.options).decode(), export.written_at,
        )  # fmt: skip
        await self._write(lambda cx: run(cx, "put_export", bound))

    async def exports(self) -> list[ExportRow]:
        return await self._read(reading.exports)

    async def verify(self) -> tuple[dict[str, int], list[str]]:
        return await self._read(reading.verify)


def _register(cx: apsw.Connection, repo: Repo) -> int:
    standing = repo.standing
    bound = {
        "full_name": repo.full_name, "location": repo.location, "is_local": repo.is_local,
        "license": standing.license, "stars": standing.stars, "forks": standing.forks,
        "pushed_at": standing.pushed_at, "now": int(time.time()),
    }  # fmt: skip
    repo_id: int = value(cx, "upsert_repository", bound)
    run(cx, "restate_unvisited", bound | {"id": repo_id})
    return repo_id


def _claim_next(
    cx: apsw.Connection, owner: str, lease_s: float, ids: Sequence[int] | None
) -> tuple[RepositoryRow, Visit] | None:
    for repo_id in reading.due(cx):
        if ids is None or repo_id in ids:
            visit = _claim(cx, repo_id, owner, lease_s)
            return None if visit is None else (reading.repository(cx, repo_id), visit)
    return None


def _claim(cx: apsw.Connection, repo_id: int, owner: str, lease_s: float) -> Visit | None:
    row = first(cx, "lease_of", (repo_id,))
    full_name, attempts, holder, epoch, until, head, version, license_id = row
    if is_held(holder, until):
        return None
    is_first = not value(
        cx, "select exists (select 1 from occurrences where repo_id = ?)", (repo_id,)
    )
    run(cx, "take_lease", (owner, time.time() + lease_s, repo_id))
    return Visit(
        repo_id, full_name, epoch + 1, attempts + 1, is_first, head if version else None, version,
        license_id,
    )  # fmt: skip
