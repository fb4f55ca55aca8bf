"""Running a consumer in a test."""

from __future__ import annotations

from pathlib import Path

import apsw

from codelupe_daemon.consume.runner import Consumer, Control, Outcome, run
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process


async def catch_up(journal: Journal, consumer: Consumer, *, replay: bool = False) -> Outcome:
    """Take all that is in the journal now, in small pages."""
    control = Control()
    control.drain()
    return await run(
        journal, consumer, owner=this_process(), control=control, replay=replay, page_rows=3
    )


def rowids(path: Path, term: str) -> list[int]:
    """Which rows of the index hold a term."""
    cx = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = cx.execute("select rowid from terms where terms match ? order by 1", (f'"{term}"',))
    found = [int(str(row[0])) for row in rows]
    cx.close()
    return found
