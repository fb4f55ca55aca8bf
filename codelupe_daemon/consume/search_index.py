"""The embedded search index: which words each live content holds, in an SQLite file of its own.

It knows no text, place or verdict: those are looked up in the journal when a query is answered,
so a `move` and a `revise` change nothing here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import apsw

from codelupe_daemon.consume.runner import Consumer, DeadLetter, Holding, Lease, LeaseLost
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.owner import is_alive
from codelupe_daemon.journal.sqlite_look import connect_read_only
from codelupe_daemon.model import Entry, Op

T = TypeVar("T")

VERSION = 1
ROWS = "search"
"""The consumer of this file's rows, whatever it is called beside other machines' indexes."""
BUSY_TIMEOUT_MS = 10_000
HOLDINGS_ROWS = 10_000
# Measured on 100 MB of code (24 MB of terms): 1.1 CPU-s; with SQLite's own settings 1.6.
SETTINGS = {"hashsize": 64 << 20, "automerge": 16, "crisismerge": 64, "pgsz": 16_000}


class SearchIndex(Consumer):
    """The consumer `search`. All work is done on one thread of its own."""

    def __init__(self, path: Path, *, is_read_only: bool = False, name: str = ROWS) -> None:
        """Read-only, it is there to be asked: nothing is made, and every write fails."""
        self.name = name
        self._path = path
        self._is_read_only = is_read_only
        self._thread = ThreadPoolExecutor(1, "search-index")
        self._connection: apsw.Connection | None = None

    async def open(self) -> None:
        await self._on_thread(self._open)

    async def close(self) -> None:
        if self._connection is not None:
            await self._on_thread(self._connection.close)
        self._thread.shutdown(wait=False)

    async def claim(self, owner: str, lease_s: float) -> Lease | None:
        return await self._write(partial(_claim, owner, lease_s))

    async def renew(self, lease: Lease, lease_s: float) -> None:
        def work(cx: apsw.Connection) -> None:
            until = time.time() + lease_s
            cx.execute("update leases set until = ? where consumer = ?", (until, ROWS))

        await self._write(work, lease)

    async def release(self, lease: Lease) -> None:
        sql = "update leases set owner = null, until = 0 where consumer = ? and epoch = ?"
        await self._write(lambda cx: cx.execute(sql, (ROWS, lease.epoch)))

    async def watermark(self) -> int:
        return await self._on_thread(lambda: watermark(self._cx))

    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:

        added = [entry for entry in entries if entry.op is Op.ADD and entry.content is not None]
        terms = await asyncio.to_thread(_terms_of, added)
        removed = [entry for entry in entries if entry.op is Op.REMOVE]
        changes = sorted(added + removed, key=lambda entry: entry.id)

        def work(cx: apsw.Connection) -> None:
            after = watermark(cx)
            for is_add, run in _runs([entry for entry in changes if entry.id > after]):
                if is_add:
                    _add(cx, run, terms)
                else:
                    _remove(cx, run)
            _advance(cx, max(after, entries[-1].id))

        await self._write(work, lease)

    async def bury(self, letter: DeadLetter, lease: Lease) -> None:
        def work(cx: apsw.Connection) -> None:
            cx.execute("insert or replace into dead_letters values (?, ?, ?)", (ROWS, *letter))
            _advance(cx, max(watermark(cx), letter.id))

        await self._write(work, lease)

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        sql = "select id, reason from dead_letters where consumer = ? order by id limit ?"
        rows = await self._on_thread(partial(_fetch, self._cx, sql, (ROWS, limit)))
        return [DeadLetter(*row) for row in rows]

    async def reset(self, lease: Lease) -> None:
        def work(cx: apsw.Connection) -> None:
            cx.execute("insert into terms (terms) values ('delete-all'); delete from documents")
            cx.execute("delete from dead_letters where consumer = ?", (ROWS,))
            _advance(cx, 0)

        await self._write(work, lease)

    async def holdings(self) -> AsyncIterator[list[Holding]]:
        sql = "select content_hash from documents where content_hash > ? order by 1 limit ?"
        after = b""
        while page := await self._on_thread(partial(_fetch, self._cx, sql, (after, HOLDINGS_ROWS))):
            after = page[-1][0]
            yield [Holding(content_hash) for (content_hash,) in page]

    async def erase(self) -> None:
        """Leave no byte of a removed content's words in the file, nor in its -wal and -shm.

        Call it once the watermark has passed the removal. Raises `Transient` while another
        process reads the index.
        """
        await self._on_thread(self._erase)

    def _erase(self) -> None:
        self._cx.execute("insert into terms (terms) values ('optimize')")
        self._cx.execute("vacuum")
        busy, *_ = self._cx.execute("pragma wal_checkpoint(truncate)").get
        if busy:
            raise Transient(f"{self._path} is being read: old pages of it cannot be erased yet")

    # -- threads and transactions -----------------------------------------------------------

    @property
    def _cx(self) -> apsw.Connection:
        assert self._connection is not None, "open() comes first"
        return self._connection

    def _open(self) -> None:
        if self._is_read_only:
            self._connection = connect_read_only(self._path)
            _check_version(self._connection)
            return
        self._connection = connect(self._path)
        with _immediate(self._connection) as cx:
            _create(cx)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        explained = _explained(self._path)(work)
        return await asyncio.get_running_loop().run_in_executor(self._thread, explained)

    async def _write(self, work: Callable[[apsw.Connection], T], lease: Lease | None = None) -> T:
        """Run `work` in one transaction, in which the lease is checked first."""

        def transaction() -> T:
            with _immediate(self._cx) as cx:
                if lease is not None:
                    _check(cx, lease)
                return work(cx)

        return await self._on_thread(transaction)


def connect(path: Path) -> apsw.Connection:
    """Open an index file, or make it."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    cx = apsw.Connection(str(path), flags=flags)
    cx.set_busy_timeout(BUSY_TIMEOUT_MS)
    cx.execute("pragma page_size = 16384; pragma journal_mode = wal").fetchall()
    cx.execute("pragma synchronous = normal; pragma cache_size = -32768")
    cx.execute(f"pragma journal_size_limit = {64 << 20}").fetchall()
    return cx


def _fetch(cx: apsw.Connection, sql: str, bound: tuple[object, ...]) -> list[Any]:
    return cx.execute(sql, bound).fetchall()


def watermark(cx: apsw.Connection) -> int:
    found: int = cx.execute("select id from watermarks where consumer = ?", (ROWS,)).get
    return found


def _create(cx: apsw.Connection) -> None:
    if cx.execute("pragma user_version").get != 0:
        _check_version(cx)
        return
    cx.execute((files("codelupe_daemon.consume") / "sql/search_index.sql").read_text())
    cx.executemany("insert into terms (terms, rank) values (?, ?)", SETTINGS.items())
    cx.execute("insert into watermarks (consumer) values (?)", (ROWS,))
    cx.execute("insert into leases (consumer) values (?)", (ROWS,))
    cx.execute(f"pragma user_version = {VERSION}")


def _check_version(cx: apsw.Connection) -> None:
    version = cx.execute("pragma user_version").get
    if version != VERSION:
        raise Fatal(
            f"the search index is of version {version}, this CodeLupe writes {VERSION}: "
            f"delete {cx.filename} and run `codelupe replay {ROWS}`"
        )


@contextmanager
def _immediate(cx: apsw.Connection) -> Iterator[apsw.Connection]:
    cx.execute("begin immediate")
    try:
        yield cx
        cx.execute("commit")
    except BaseException:
        if cx.in_transaction:
            cx.execute("rollback")
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.BusyError as error:
        raise Transient(f"{path} is busy: {error}") from error
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.FullError, apsw.IOError) as error:
        raise Fatal(f"{path} cannot be written ({error}): see to its folder and disk") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise Fatal(
            f"{path} is damaged ({error}): delete it and run `codelupe replay search`"
        ) from error


def _claim(owner: str, lease_s: float, cx: apsw.Connection) -> Lease | None:
    sql = "select owner, epoch, until from leases where consumer = ?"
    holder, epoch, until = cx.execute(sql, (ROWS,)).get
    now = time.time()
    if holder is not None and until > now and is_alive(holder):
        return None
    sql = "update leases set owner = ?, epoch = ?, until = ? where consumer = ?"
    cx.execute(sql, (owner, epoch + 1, now + lease_s, ROWS))
    return Lease(owner, epoch + 1)


def _check(cx: apsw.Connection, lease: Lease) -> None:
    sql = "select owner, epoch from leases where consumer = ?"
    if cx.execute(sql, (ROWS,)).get != lease:
        raise LeaseLost(f"another runner took over the consumer {ROWS}")


def _advance(cx: apsw.Connection, to_id: int) -> None:
    cx.execute("update watermarks set id = ? where consumer = ?", (to_id, ROWS))


def _runs(entries: Sequence[Entry]) -> Iterator[tuple[bool, list[Entry]]]:
    """Entries in their order, cut where adds and removes change places."""
    run: list[Entry] = []
    for entry in entries:
        if run and (run[-1].op is Op.ADD) != (entry.op is Op.ADD):
            yield run[-1].op is Op.ADD, run
            run = []
        run.append(entry)
    if run:
        yield run[-1].op is Op.ADD, run


def _terms_of(entries: Sequence[Entry]) -> dict[int, memoryview]:
    # Only here, and on a thread: who looks at a watermark need not wait for the compiler.
    from codelupe_daemon.syntax.terms import terms_of

    terms = terms_of([str(entry.content) for entry in entries])
    return dict(zip((entry.id for entry in entries), terms, strict=True))


def _add(cx: apsw.Connection, entries: Sequence[Entry], terms: dict[int, memoryview]) -> None:
    # FTS5 reads a blob as text; as a string it would be decoded here and encoded there.
    rows = ((entry.id, terms[entry.id]) for entry in entries)
    cx.executemany("insert into terms (rowid, words) values (?, ?)", rows)
    keys = sorted((entry.content_hash, entry.id) for entry in entries)
    cx.executemany("insert or replace into documents values (?, ?)", keys)


def _remove(cx: apsw.Connection, entries: Sequence[Entry]) -> None:
    for entry in entries:
        sql = "delete from documents where content_hash = ? returning add_id"
        for (add_id,) in cx.execute(sql, (entry.content_hash,)).fetchall():
            cx.execute("delete from terms where rowid = ?", (add_id,))
