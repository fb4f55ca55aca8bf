"""The registry of an embedded store: a file beside it; all work is done on one thread."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import orjson

from codelupe_daemon.journal import sqlite_files as files
from codelupe_daemon.journal.sql import migrations
from trainer.registry.steps import Each, Steps
from trainer.registry.tables import PACKAGE, TableRegistry, statements

APPLICATION_ID: Final = 0x434C5554  # "CLUT"
SQL: Final = {
    # SQLite would count names such as $2 as they come, whatever their number.
    name: re.sub(r"\$(\d)", r"?\1", statement)
    for name, statement in statements("sqlite").items()
}
T = TypeVar("T")


class SqliteRegistry(TableRegistry):
    """See `Registry`. The file is made where there is none."""

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path
        self._thread = ThreadPoolExecutor(1, "registry")
        self._connection: apsw.Connection | None = None

    async def open(self) -> None:
        await self._on_thread(self._open)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with files.writers_lock(self._path):
            cx = self._connection = files.connect(self._path, create=True)
            cx.execute("pragma synchronous = full")  # what is published is known, come what may
            cx.create_scalar_function("training_now", lambda *_: time.time(), 0)
            files.upgrade(cx, self._path, migrations("sqlite", package=PACKAGE), APPLICATION_ID)

    async def close(self) -> None:
        if self._connection is not None:
            await self._on_thread(self._connection.close)
            self._connection = None
        self._thread.shutdown(wait=False)

    async def _read(self, work: Steps[T]) -> T:
        return await self._on_thread(lambda: self._run(work, self._cx))  # one snapshot

    async def _write(self, work: Steps[T]) -> T:
        return await self._on_thread(lambda: self._run(work, files.writing(self._cx, self._path)))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        def explained() -> T:
            with files.explained(self._path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread, explained)

    @property
    def _cx(self) -> apsw.Connection:
        assert self._connection is not None, "open() comes first"
        return self._connection

    def _run(self, work: Steps[T], transaction: AbstractContextManager[Any]) -> T:
        """Run the statements inside the transaction, and answer what they come to."""
        with transaction:
            try:
                asked = next(work)
                while True:
                    if isinstance(asked, Each):
                        self._cx.executemany(SQL[asked.name], asked.rows)
                        asked = work.send([])
                    else:
                        found = self._cx.execute(SQL[asked.name], _bound(asked.bound))
                        asked = work.send(list(found))
            except StopIteration as ended:
                result: T = ended.value
                return result


def _bound(values: Sequence[Any]) -> list[Any]:
    """A list is bound as JSON."""
    return [orjson.dumps(one).decode() if isinstance(one, list) else one for one in values]
