"""What is read from the embedded journal, each function within one short transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import orjson

from codelupe_daemon.journal import rows
from codelupe_daemon.journal.base import (
    Counts,
    ExportRow,
    Judged,
    Known,
    OccurrenceRow,
    RepositoryRow,
)
from codelupe_daemon.journal.owner import is_held
from codelupe_daemon.journal.sqlite_files import first, query, unpack, value
from codelupe_daemon.journal.sqlite_write import Transaction
from codelupe_daemon.journal.verify import LISTED, PAGE, Verification
from codelupe_daemon.model import Entry, LiveContent

PAGE_CHARS = 16 << 20
Row = tuple[Any, ...]


def last_id(cx: apsw.Connection) -> int:
    newest: int = value(cx, "last_id")
    return newest


def repositories(cx: apsw.Connection, *, due_only: bool) -> list[RepositoryRow]:
    """A visit that ended with its process left its repository due."""
    found = query(cx, "repositories", {"due_only": due_only, "now": time.time()})
    return [rows.repository(row) for row in found if not (due_only and is_held(*row[16:]))]


def repository(cx: apsw.Connection, repo_id: int) -> RepositoryRow:
    return rows.repository(first(cx, "repository", (repo_id,)))


def repositories_since(
    cx: apsw.Connection, changed_at: float, after_id: int, limit: int
) -> list[RepositoryRow]:
    return [
        rows.repository(row)
        for row in query(cx, "repositories_since", (changed_at, after_id, limit))
    ]


def due(cx: apsw.Connection) -> Iterator[int]:
    """Ids of repositories that nobody living visits, the one due longest first."""
    for repo_id, owner, until in query(cx, "due", (time.time(),)):
        if not is_held(owner, until):
            yield repo_id


def known_paths(cx: apsw.Connection, repo_id: int, paths: Sequence[str]) -> dict[str, Known]:
    if not paths:
        return {}
    found = query(cx, "known_paths", (repo_id, apsw.carray(tuple(paths))))
    return {row[0]: rows.known(row[1:]) for row in found}


def known_oids(
    cx: apsw.Connection, oids: Sequence[bytes], version: str
) -> dict[tuple[bytes, str], Known]:
    if not oids:
        return {}
    found = query(cx, "known_oids", (apsw.carray(tuple(oids)), version))
    return {(row[0], row[1]): rows.known(row) for row in found}


def entries(cx: apsw.Connection, after_id: int, limit: int) -> list[Entry]:
    """Fewer than `limit` where their texts are long: a page is held in memory."""
    page: list[Entry] = []
    chars = 0
    for row in query(cx, "entries", (after_id, limit)):
        chars += row[4]
        if page and chars > PAGE_CHARS:
            break
        page.append(rows.entry(row, unpack))
    return page


def live(cx: apsw.Connection, name: str, bound: Row) -> list[LiveContent]:
    return [rows.live(row, unpack) for row in query(cx, name, bound)]


def occurrences(cx: apsw.Connection, name: str, bound: Row) -> list[OccurrenceRow]:
    return [rows.occurrence(row) for row in query(cx, name, bound)]


def counts(cx: apsw.Connection) -> Counts:
    states = dict(query(cx, "count_states"))
    reasons = dict(query(cx, "count_reasons"))
    accepted = reasons.pop(None, 0)
    left_out = sum(reasons.values())
    distinct: int = value(cx, "count_contents")
    return Counts(states, accepted + left_out, accepted, distinct, left_out, reasons, last_id(cx))


def judged_by_others(cx: apsw.Connection, version: str, after: bytes, limit: int) -> list[Judged]:
    hashes = [row[0] for row in query(cx, "judged_by_others", (after, version, limit))]
    return [
        Judged(content, dict(query(cx, "path_classes", (content_hash,))))
        for content_hash in hashes
        for content in live(cx, "live_by_hash", (content_hash, content_hash))
    ]


def exports(cx: apsw.Connection) -> list[ExportRow]:
    return [
        ExportRow(path, format_, watermark, orjson.loads(options), written_at)
        for path, format_, watermark, options, written_at in query(cx, "exports")
    ]


def verify(cx: apsw.Connection) -> tuple[dict[str, int], list[str]]:
    """See `Journal.verify`. One snapshot: a writer beside it changes nothing that is seen here."""
    found = Verification()
    found.problems += _damage(cx)
    after = 0
    while page := list(query(cx, "verify_rows", (after, PAGE))):
        after = page[-1][0]
        found.rows(page, unpack)
    found.contents(row[0] for row in query(cx, "verify_contents"))
    _verify_places(cx, found)
    found.checked["occurrences"] = value(cx, "verify_occurrences")
    for name, problem in LISTED.items():
        found.problems += [f"{repo}/{path} {problem}" for repo, path in query(cx, name)]
    return found.checked, found.problems


def _damage(cx: apsw.Connection) -> Iterator[str]:
    for (message,) in query(cx, "pragma quick_check"):
        if message != "ok":
            yield f"the database file is damaged: {message}"


def _verify_places(cx: apsw.Connection, found: Verification) -> None:
    transaction = Transaction(cx)
    after = b""
    while page := list(query(cx, "verify_places", (after, PAGE))):
        after = page[-1][0]
        for content_hash, repo_id, path, newest_repo_id, newest_path, add_op, pending in page:
            newest, best = (newest_repo_id, newest_path), transaction.best_place(content_hash)
            places = ((repo_id, path), newest, best)
            found.place(content_hash, places, add_op, pending=bool(pending))
