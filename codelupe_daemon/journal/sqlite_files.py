"""The embedded journal's file: connections, the writers' lock, migrations, and clear errors."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import apsw
import zstandard

from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.sql import embedded, migrations
from codelupe_daemon.journal.transfer import half_copied

APPLICATION_ID: Final = 0x434C5550  # "CLUP", so that another program's database is not taken over
SQL: Final = embedded()
LOCK_TIMEOUT_S: Final = 60.0
LOCK_POLL_S: Final = 0.002
BUSY_TIMEOUT_MS: Final = 30_000
PAGE_BYTES: Final = 16384
READ_CACHE_KIB: Final = 4 << 10  # of each reader; the system caches the file for all of them
WRITE_CACHE_KIB: Final = 32 << 10
WAL_LIMIT_BYTES: Final = 64 << 20  # pages of an index are written once a checkpoint, not oftener
_UNWRITABLE: Final = (
    "{path} is read-only ({error}): give the right to write it, or name another with --store"
)


def connect(
    path: Path, *, create: bool = False, cache_kib: int = READ_CACHE_KIB
) -> apsw.Connection:
    """A configured connection; with `create` the file is made where there is none."""
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    cx = apsw.Connection(str(path), flags=flags)
    cx.set_busy_timeout(BUSY_TIMEOUT_MS)
    cx.execute(f"pragma page_size = {PAGE_BYTES}")
    cx.execute("pragma journal_mode = wal")
    cx.execute("pragma synchronous = normal")
    cx.execute(f"pragma cache_size = -{cache_kib}")
    cx.execute("pragma temp_store = memory")
    cx.execute(f"pragma wal_autocheckpoint = {WAL_LIMIT_BYTES // PAGE_BYTES}")
    cx.execute(f"pragma journal_size_limit = {WAL_LIMIT_BYTES}")
    cx.execute("pragma secure_delete = on")
    add_functions(cx)
    return cx


def add_functions(cx: apsw.Connection) -> None:
    """What the view `processed_files` calls."""
    cx.create_scalar_function("codelupe_text", _text_function, 1, deterministic=True)


def _text_function(*arguments: apsw.SQLiteValue) -> str | None:
    (packed,) = arguments
    return unpack(packed) if isinstance(packed, bytes) else None


class _Thread(threading.local):
    """A decompressor for each thread: making one takes 9 us, as long as most texts do."""

    def __init__(self) -> None:
        self.decompressor = zstandard.ZstdDecompressor()


_thread = _Thread()


def unpack(packed: bytes | None) -> str | None:
    """The text of a `content` column; None where a takedown blanked it."""
    if packed is None:
        return None
    return _thread.decompressor.decompress(packed).decode()


def query(cx: apsw.Connection, statement: str, bound: apsw.Bindings = ()) -> Iterator[Any]:
    """The rows of a statement, given by its name in queries.sql or as text."""
    return cast("Iterator[Any]", cx.execute(SQL.get(statement, statement), bound))


def first(cx: apsw.Connection, statement: str, bound: apsw.Bindings = ()) -> Any:
    """The first row, or None."""
    return cx.execute(SQL.get(statement, statement), bound).fetchone()


def value(cx: apsw.Connection, statement: str, bound: apsw.Bindings = ()) -> Any:
    """The only value of the only row."""
    return cx.execute(SQL.get(statement, statement), bound).get


def run(cx: apsw.Connection, statement: str, bound: apsw.Bindings = ()) -> None:
    cx.execute(SQL.get(statement, statement), bound)


def run_many(cx: apsw.Connection, name: str, bounds: Iterable[tuple[Any, ...]]) -> None:
    cx.executemany(SQL[name], bounds)


def migrate(cx: apsw.Connection, path: Path) -> None:
    """Bring the schema up to date, one step a transaction; refuse what is not ours, newer, or only
    a part of another store."""
    upgrade(cx, path)
    source = copied_from(cx)
    if source is not None:
        raise half_copied(str(path), source)


def schema_versions(path: Path) -> tuple[int, int]:
    """Of the file, 0 where there is none yet, and of this CodeLupe."""
    known = len(migrations("sqlite"))
    if not path.exists():
        return 0, known
    with explained(path):
        cx = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return cx.execute("pragma user_version").get, known
        finally:
            cx.close()


def copied_from(cx: apsw.Connection) -> str | None:
    """The store that a copy into this one comes from, as long as that has not ended."""
    if not cx.table_exists("main", "codelupe_copying"):
        return None
    source: str | None = cx.execute("select source from codelupe_copying").get
    return source


def upgrade(
    cx: apsw.Connection,
    path: Path,
    steps: Sequence[str] | None = None,
    application_id: int = APPLICATION_ID,
) -> None:
    """See `migrate`; for a copy, whose target is a part of a store, and for other files' steps."""
    steps = migrations("sqlite") if steps is None else steps
    version: int = cx.execute("pragma user_version").get
    if version > len(steps):
        raise Fatal(
            f"{path} was written by a newer CodeLupe (schema {version}, this one knows "
            f"{len(steps)}): update CodeLupe, or name another store with --store"
        )
    application: int = cx.execute("pragma application_id").get
    has_tables = cx.execute("select exists (select 1 from sqlite_schema)").get
    if application != application_id and has_tables:
        raise Fatal(f"{path} is a database of another program: name another file with --store")
    for number, step in enumerate(steps[version:], start=version + 1):
        with cx:
            cx.execute(step)
            cx.execute(f"pragma application_id = {application_id}")
            cx.execute(f"pragma user_version = {number}")


@contextlib.contextmanager
def writers_lock(path: Path) -> Iterator[None]:
    """One writer at a time, by an OS lock: SQLite's own waiting starved one of eight writers.

    Raises `Transient` after LOCK_TIMEOUT_S.
    """
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(fd, path)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def writing(cx: apsw.Connection, path: Path) -> Iterator[None]:
    """A write transaction around the body, under the writers' lock. Raises `Transient`."""
    with writers_lock(path):
        cx.execute("begin immediate")
        try:
            yield
            cx.execute("commit")
        except BaseException:
            if cx.in_transaction:
                cx.execute("rollback")
            raise


def _lock(fd: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Transient(
                    f"another process has been writing to {path} for a minute"
                ) from None
            time.sleep(LOCK_POLL_S * (1 + random.random()))  # even odds: no writer starves
        else:
            return


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: what may pass, and what a person must mend."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise Transient(f"{path} is busy: {error}") from error
    except apsw.FullError as error:
        raise Fatal(
            f"no room left for {path}: free some space and run the same command again; "
            "what was recorded is kept"
        ) from error
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as error:
        raise Fatal(_UNWRITABLE.format(path=path, error=error)) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise Fatal(
            f"{path} is not a sound database: {error}; restore a backup, or name another --store"
        ) from error
    except OSError as error:
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise Fatal(_UNWRITABLE.format(path=path, error=error.strerror)) from error
        raise Fatal(f"reading or writing {path} failed: {error}") from error
    except apsw.IOError as error:
        raise Fatal(f"reading or writing {path} failed: {error}") from error
