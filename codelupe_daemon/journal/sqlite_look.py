"""SQLite files that may be read and not written: another user's, or on a read-only medium."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import apsw

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal import sqlite_files as files
from codelupe_daemon.journal.sqlite import SqliteJournal


class ReadOnlyJournal(SqliteJournal):
    """A journal to look at; whatever writes raises `Fatal`. A schema of this version only."""

    def _open(self) -> None:
        files.migrate(self._connection(), self._path)

    def _connection(self) -> apsw.Connection:
        if not hasattr(self._connections, "cx"):
            self._connections.cx = connect_read_only(self._path)
            files.add_functions(self._connections.cx)
            self._opened.append(self._connections.cx)
        cx: apsw.Connection = self._connections.cx
        return cx


def is_writable(path: Path) -> bool:
    """Whether this process may write the file, its lock, and SQLite's files beside it."""
    needed = [path.parent, *(p for p in (path, Path(f"{path}.lock")) if p.exists())]
    return all(os.access(one, os.W_OK) for one in needed)


def connect_read_only(path: Path) -> apsw.Connection:
    """A connection for reading, also where SQLite cannot make its `-shm` file beside it.

    Raises `Fatal` where a writer was killed and nobody may finish its work.
    """
    try:
        return _connect(path, "mode=ro")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        wal = Path(f"{path}-wal")
        if wal.exists() and wal.stat().st_size:
            raise Fatal(
                f"{path} was not closed cleanly and cannot be written: run any command where it"
                " can be, or copy it with its -wal file to such a place"
            ) from None
        return _connect(path, "immutable=1")  # nobody writes: there is no log of a writer


def _connect(path: Path, how: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    cx = apsw.Connection(f"file:{quote(str(path.absolute()))}?{how}", flags=flags)
    try:
        cx.set_busy_timeout(files.BUSY_TIMEOUT_MS)
        cx.execute("select count(*) from sqlite_schema").fetchall()  # only now it is opened
    except apsw.Error:
        cx.close()
        raise
    return cx
