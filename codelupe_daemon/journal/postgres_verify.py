"""`codelupe verify` on Postgres: one snapshot, read in pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from codelupe_daemon.journal.postgres_server import SQL, Connection, Record, Server
from codelupe_daemon.model import Op

PAGE: Final = 1000


async def verify(server: Server) -> tuple[dict[str, int], list[str]]:
    """See `Journal.verify`."""
    checked: dict[str, int] = {"journal rows": 0, "texts": 0, "contents": 0}
    async with server.transaction(isolation="repeatable_read", readonly=True) as cx:
        problems = await _rows(cx, checked)
        problems += await _places(cx, checked)
        checked["occurrences"] = await cx.fetchval(SQL["verify_occurrences"])
        for name, problem in (
            ("verify_unresolved", "holds a content that is not live"),
            ("verify_undecided", "has neither a content nor a reason"),
        ):
            problems += [f"{repo}/{path} {problem}" for repo, path in await cx.fetch(SQL[name])]
    return checked, problems


async def _rows(cx: Connection, checked: dict[str, int]) -> list[str]:
    """Every text hashes to its name, and the ops of each content follow each other."""
    problems: list[str] = []
    alive: set[bytes] = set()
    after = 0
    while page := await cx.fetch(SQL["verify_rows"], after, PAGE):
        after = page[-1][0]
        checked["journal rows"] += len(page)
        for row_id, op, content_hash, text, taken in page:
            if text is not None:
                checked["texts"] += 1
                if hashlib.blake2b(text.encode(), digest_size=16).digest() != content_hash:
                    problems.append(f"row {row_id}: the text does not hash to {content_hash.hex()}")
            elif op == Op.ADD and not taken:
                problems.append(f"row {row_id} has lost its text")
            if (op == Op.ADD) == (content_hash in alive):
                problems.append(f"row {row_id}: {op} of {content_hash.hex()} out of turn")
            (alive.discard if op == Op.REMOVE else alive.add)(content_hash)
    recorded = {row[0] for row in await cx.fetch(SQL["verify_contents"])}
    problems += [f"{h.hex()} lives in only one of journal and contents" for h in alive ^ recorded]
    return problems


async def _places(cx: Connection, checked: dict[str, int]) -> list[str]:
    problems: list[str] = []
    after = b""
    while page := await cx.fetch(SQL["verify_places"], after, PAGE):
        after = page[-1][0]
        checked["contents"] += len(page)
        problems += _misplaced(page)
    return problems


def _misplaced(page: Iterable[Record]) -> Iterable[str]:
    for content_hash, repo_id, path, newest_repo_id, newest_path, op, pending, *best in page:
        name = content_hash.hex()
        if op != Op.ADD or (repo_id, path) != (newest_repo_id, newest_path):
            yield f"{name}: contents and journal do not agree"
        if not pending and best != [repo_id, path]:
            yield f"{name} does not stand at its best place"
