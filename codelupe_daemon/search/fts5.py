"""Search in the embedded index: FTS5 knows the words, the journal everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite_look import connect_read_only
from codelupe_daemon.model import LiveContent
from codelupe_daemon.search.engine import CANDIDATES_MAX, Engine, Found
from codelupe_daemon.search.query import Filters, Needed, Query, Word


class Fts5(Engine[int]):
    """It calls contents by the id of their `add` row."""

    def __init__(self, journal: Journal, index_path: Path) -> None:
        super().__init__(journal)
        self._index_path = index_path

    async def _look_up(self, query: Query, given: Filters) -> Found[int]:  # noqa: ARG002 - the index knows no places
        return await asyncio.to_thread(_look_up, self._index_path, query.words)

    async def _live(self, keys: Sequence[int]) -> list[tuple[int, LiveContent]]:
        return [(row.id, row) for row in await self._journal.live_by_id(keys, content=False)]


def _expression(words: Sequence[Word], *, whole: bool) -> str:
    needed = dict.fromkeys(one for word in words for one in word.needed)
    return " AND ".join(_alternatives(one, whole=whole) for one in needed)


def _alternatives(needed: Needed, *, whole: bool) -> str:
    """Terms hold no quotes. With `whole` the parts count only where they are the whole word."""
    every = " AND ".join(f'"{term}"' for term in needed.parts)
    either = [f'"{term}"' for term in needed.wholes]
    if every and not (whole and either):
        either.append(f"({every})")
    return f"({' OR '.join(either)})"


def _look_up(index_path: Path, words: Sequence[Word]) -> Found[int]:
    sql = "select rowid from terms where terms match ? order by rowid desc limit ?"
    try:
        cx = connect_read_only(index_path)
        with cx:
            watermark: int = cx.execute("select id from watermarks where consumer = 'search'").get
            found: list[list[Any]] = [
                cx.execute(sql, (_expression(words, whole=whole), CANDIDATES_MAX + 1)).fetchall()
                for whole in (False, True)
            ]
        cx.close()
    except apsw.BusyError as error:
        raise Transient(f"the search index {index_path} is busy: {error}") from error
    except (apsw.CantOpenError, apsw.SQLError) as error:
        raise Fatal(
            f"there is no search index at {index_path} yet: `codelupe replay search` makes it"
        ) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise Fatal(
            f"{index_path} is damaged ({error}): delete it and run `codelupe replay search`"
        ) from error
    ids, whole_ids = ([row[0] for row in rows] for rows in found)
    return Found(ids, set(whole_ids), watermark)
