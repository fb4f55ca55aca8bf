"""Rows of a database that has nothing but the first CodeLupe's table `processed_files`.

Its ids come from a plain sequence, so a row may become visible long after rows with greater ids.
A head is told only when every transaction that was under way as it was seen has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import numpy as np

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.postgres_server import Server
from codelupe_daemon.journal.sqlite_files import add_functions, explained
from codelupe_daemon.journal.sqlite_look import connect_read_only
from trainer.intake.base import CONNECTIONS_MAX, patiently
from trainer.intake.texts import (
    PAGE_BYTES,
    PAGE_ROWS,
    TextRow,
    TextSource,
    named,
    place_of,
    readable,
)

SETTLE_S: Final = 1.0
"""For an id that was just taken by a transaction that has written nothing yet; then between two
looks at what is under way."""
LOOKS_MAX: Final = 5
_COLUMNS: Final = ("id", "file_path", "content", "language", "quality_score", "created_at")
_PAGE: Final = """
select id, {content}, {file_path}, {language}, cast(quality_score as double precision), {created_at}
from (select *, sum(coalesce(octet_length(content), 0)) over (order by id) as size_bytes
      from (select * from processed_files
            where id > cast($1 as bigint) and id <= cast($2 as bigint) order by id limit $3) page
     ) sized
where size_bytes <= $4 or size_bytes = coalesce(octet_length(content), 0) order by id
"""


class Postgres:
    """Ids are safe once every transaction has ended that is older than one of ours, which began a
    moment after they were seen. (The snapshot's `xmax` will not do: the transactions under way may
    be younger.) A session with cached ids of its own (`cache` of a sequence) breaks that.
    """

    columns = (
        "select column_name::text from information_schema.columns"
        " where table_schema = any (current_schemas(false)) and table_name = 'processed_files'"
    )
    texts = "select content from processed_files where id = any ($1::bigint[])"
    page = _PAGE.format(
        content="content",
        file_path="file_path",
        language="language",
        created_at="extract(epoch from created_at)::bigint",
    )

    def __init__(self, url: str, settle_s: float = SETTLE_S) -> None:
        self._server = Server(url, connections_max=CONNECTIONS_MAX)
        self._settle_s = settle_s
        self._seen: tuple[int, int] | None = None
        self._settled = 0

    async def open(self) -> None:
        await self._server.open()

    async def close(self) -> None:
        await self._server.close()

    async def rows(self, statement: str, *bound: Any) -> list[Any]:
        return await self._server.rows(statement, *bound)

    async def settled(self) -> int:
        """The greatest id below which nothing more will appear, as far as that is known after a few
        looks; 0 where none is."""
        if self._seen is None:
            [(newest,)] = await self.rows("select coalesce(max(id), 0) from processed_files")
            await asyncio.sleep(self._settle_s)
            [(ours,)] = await self.rows("select pg_current_xact_id()::text::bigint")
            self._seen = newest, ours
        newest, ours = self._seen
        for look in range(LOOKS_MAX):
            if look:
                await asyncio.sleep(self._settle_s)
            [(oldest,)] = await self.rows(
                "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            )
            if oldest > ours:
                self._settled, self._seen = newest, None
                break
        return self._settled


class Sqlite:
    """One writer at a time, so the order of ids is that of commits."""

    columns = "select name from pragma_table_info('processed_files')"
    texts = (
        "select cast(content as blob) from processed_files"
        " where id in (select value from carray($1))"
    )
    page = _PAGE.format(
        content="cast(content as blob)",
        file_path="cast(file_path as blob)",
        language="cast(language as blob)",
        created_at="unixepoch(created_at, 'auto')",
    )

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None

    async def open(self) -> None:
        if not self._path.exists():
            raise Fatal(f"there is no database at {self._path}: --store names it")
        with explained(self._path):
            self._connection = connect_read_only(self._path)
            add_functions(self._connection)  # for CodeLupe's own view of this name

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def rows(self, statement: str, *bound: Any) -> list[Any]:
        cx = self._connection
        assert cx is not None, "open() comes first"
        values = tuple(_array(one) if isinstance(one, list) else one for one in bound)
        with explained(self._path):
            return await asyncio.to_thread(lambda: cx.execute(statement, values).fetchall())

    async def settled(self) -> int:
        [(newest,)] = await self.rows("select coalesce(max(id), 0) from processed_files")
        return int(newest)


def _array(ids: list[int]) -> apsw.SQLiteValue:
    return apsw.carray(np.array(ids, np.int64), flags=apsw.SQLITE_CARRAY_INT64)


class TableSource(TextSource):
    name = "processed_files"

    def __init__(self, database: Postgres | Sqlite) -> None:
        super().__init__()
        self._database = database

    async def open(self) -> None:
        await self._database.open()
        there = {row[0] for row in await self._database.rows(self._database.columns)}
        if missing := [name for name in _COLUMNS if name not in there]:
            await self._database.close()
            raise Fatal(
                f"the table processed_files of the store has no {', '.join(missing)}: it needs"
                f" {', '.join(_COLUMNS)}; CODELUPE_STORE names the database"
            )

    async def close(self) -> None:
        await super().close()
        await self._database.close()

    async def head(self) -> int:
        return await patiently(self._database.settled)

    async def told(self, row_id: int) -> bytes | None:  # noqa: ARG002 - rows may be changed
        return None

    async def _page(self, after_id: int, to_id: int) -> list[TextRow]:
        bound = (after_id, to_id, PAGE_ROWS, PAGE_BYTES)
        return [_row(*row) for row in await self._database.rows(self._database.page, *bound)]

    async def _read(self, ids: Sequence[int]) -> list[str | None]:
        if not ids:
            return []
        rows = await self._database.rows(self._database.texts, list(ids))
        return [readable(row[0]) for row in rows]


def _row(row_id: int, text: Any, path: Any, language: Any, quality: Any, when: Any) -> TextRow:
    repo, place = place_of(named(path) or f"{row_id}", "processed_files")
    return TextRow(
        row_id, readable(text), repo, place, named(language), None, float(quality or 0),
        when or 0,
    )  # fmt: skip
