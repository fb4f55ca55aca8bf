"""What is read from the embedded journal, each function within one short transaction."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
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
from codelupe_daemon.model import (
    Entry,
    LiveContent,
    Op,
)

PAGE = 1000
PAGE_CHARS = 16 << 20
Row = tuple[Any, ...]


def last_id(cx: apsw.Connection) -> int:
    newest: int = value(cx, "select coalesce(max(id), 0) from journal")
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


def live(cx: apsw.Connection, name: str, bound: Mapping[str, Any]) -> list[LiveContent]:
    return [rows.live(row, unpack) for row in query(cx, name, bound)]


def occurrences(cx: apsw.Connection, name: str, bound: Row) -> list[OccurrenceRow]:
    return [rows.occurrence(row) for row in query(cx, name, bound)]


def counts(cx: apsw.Connection) -> Counts:
    states = dict(query(cx, "count_states"))
    reasons = dict(query(cx, "count_reasons"))
    accepted = reasons.pop(None, 0)
    left_out = sum(reasons.values())
    distinct: int = value(cx, "select count(*) from contents")
    return Counts(states, accepted + left_out, accepted, distinct, left_out, reasons, last_id(cx))


def judged_by_others(cx: apsw.Connection, version: str, after: bytes, limit: int) -> list[Judged]:
    hashes = [row[0] for row in query(cx, "judged_by_others", (after, version, limit))]
    return [
        Judged(content, dict(query(cx, "path_classes", (content_hash,))))
        for content_hash in hashes
        for content in live(
            cx, "live_by_hash",
            {"first": content_hash, "last": content_hash, "limit": 1, "text": True},
        )
    ]  # fmt: skip


def exports(cx: apsw.Connection) -> list[ExportRow]:
    return [
        ExportRow(path, format_, watermark, orjson.loads(options), written_at)
        for path, format_, watermark, options, written_at in query(cx, "exports")
    ]


def verify(cx: apsw.Connection) -> tuple[dict[str, int], list[str]]:
    """See `Journal.verify`. One snapshot: a writer beside it changes nothing that is seen here."""
    checked: dict[str, int] = {"journal rows": 0, "texts": 0, "contents": 0}
    problems = list(_damage(cx))
    problems += _verify_rows(cx, checked)
    problems += _verify_places(cx, checked)
    checked["occurrences"] = value(cx, "select count(*) from occurrences")
    for name, problem in (
        ("verify_unresolved", "holds a content that is not live"),
        ("verify_undecided", "has neither a content nor a reason"),
    ):
        problems += [f"{repo}/{path} {problem}" for repo, path in query(cx, name)]
    return checked, problems


def _damage(cx: apsw.Connection) -> Iterator[str]:
    for (message,) in query(cx, "pragma quick_check"):
        if message != "ok":
            yield f"the database file is damaged: {message}"


def _verify_rows(cx: apsw.Connection, checked: dict[str, int]) -> list[str]:
    """Every text hashes to its name, and the ops of each content follow each other."""
    problems: list[str] = []
    alive: set[bytes] = set()
    after = 0
    while page := list(query(cx, "verify_rows", (after, PAGE))):
        after = page[-1][0]
        checked["journal rows"] += len(page)
        for row_id, op, content_hash, packed, taken in page:
            if packed is not None:
                checked["texts"] += 1
                problems += _verify_text(row_id, content_hash, packed)
            elif op == Op.ADD and not taken:
                problems.append(f"row {row_id} has lost its text")
            if (op == Op.ADD) == (content_hash in alive):
                problems.append(f"row {row_id}: {op} of {content_hash.hex()} out of turn")
            (alive.discard if op == Op.REMOVE else alive.add)(content_hash)
    recorded = {row[0] for row in query(cx, "select content_hash from contents")}
    problems += [f"{h.hex()} lives in only one of journal and contents" for h in alive ^ recorded]
    return problems


def _verify_text(row_id: int, content_hash: bytes, packed: bytes) -> Iterator[str]:
    try:
        text = unpack(packed)
    except Exception as error:  # noqa: BLE001 - whatever a damaged frame makes the decoder raise is the finding
        yield f"row {row_id}: the text cannot be unpacked: {error}"
        return
    assert text is not None
    if hashlib.blake2b(text.encode(), digest_size=16).digest() != content_hash:
        yield f"row {row_id}: the text does not hash to {content_hash.hex()}"


def _verify_places(cx: apsw.Connection, checked: dict[str, int]) -> Iterator[str]:
    transaction = Transaction(cx)
    after = b""
    while page := list(query(cx, "verify_places", (after, PAGE))):
        after = page[-1][0]
        checked["contents"] += len(page)
        for content_hash, repo_id, path, newest_repo_id, newest_path, add_op, pending in page:
            name = content_hash.hex()
            if add_op != Op.ADD or (repo_id, path) != (newest_repo_id, newest_path):
                yield f"{name}: contents and journal do not agree"
            best = transaction.best_place(content_hash)
            if not pending and (best is None or best != (repo_id, path)):
                yield f"{name} does not stand at its best place"
