"""The served journal: one Postgres database, any number of daemons and readers.

What decides runs on the server (sql/postgres): here rows are brought there, and
answers taken.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import orjson

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal import rows
from codelupe_daemon.journal.base import (
    Counts,
    ExportRow,
    Forgotten,
    Journal,
    Judged,
    Known,
    OccurrenceRow,
    Rejudged,
    RepositoryRow,
)
from codelupe_daemon.journal.owner import is_alive
from codelupe_daemon.journal.pgcopy import (
    blob,
    boolean,
    float8,
    int2,
    int4,
    int8,
    text,
    word,
)
from codelupe_daemon.journal.postgres_server import (
    CONNECTIONS_MAX,
    RESULTS_KEPT_S,
    SQL,
    Connection,
    Server,
    Staged,
)
from codelupe_daemon.journal.verify import LISTED, Verification
from codelupe_daemon.journal.verify import PAGE as VERIFY_PAGE
from codelupe_daemon.model import (
    PASSING_REASONS,
    Content,
    ContentKey,
    Entry,
    LiveContent,
    Occurrence,
    Op,
    Part,
    Reason,
    Recorded,
    Repo,
    Standing,
    Visit,
)
from codelupe_daemon.paths import storable
from codelupe_daemon.spdx import license_class

PAGE: Final = 2000
PAGE_CHARS: Final = 16 << 20
_OCCURRENCE: Final = (
    int8, text, blob, word, word, blob, word, float8, word, int2, word, word, blob, boolean,
)  # fmt: skip
_CONTENT: Final = (blob, word, boolean, int4, float8, blob, blob, word)
_TEXT: Final = (blob, blob)
_VERDICT: Final = (blob, word, blob, word, float8, word, word, int2)


class PostgresJournal(Journal):
    """See `Journal`. `server` may be shared with what else lies in the same database."""

    appends_at_once = 2  # one is brought to the server while the other is decided there

    def __init__(self, url: str, *, connections_max: int = CONNECTIONS_MAX) -> None:
        self.server = Server(url, connections_max=connections_max)
        self.location = self.server.location

    async def open(self, *, create: bool) -> None:
        await self.server.open()
        try:
            if await self.server.schema() == 0:
                if not create:
                    raise Fatal(
                        f"there is no store in {self.location} yet: `codelupe migrate` or"
                        " `codelupe ingest SOURCE` makes one"
                    )
                await self.server.migrate()
            await self.server.check()
            if create:
                await self.server.check_writable()
                await self.server.execute("drop_results", RESULTS_KEPT_S)
        except BaseException:
            await self.server.close()
            raise

    async def close(self) -> None:
        await self.server.close()

    # -- repositories, and whose they are ---------------------------------------------------

    async def register(self, repo: Repo) -> int:
        arguments = _standing(repo.standing) | {
            "full_name": storable(repo.full_name), "location": storable(repo.location),
            "is_local": repo.is_local,
        }  # fmt: skip
        repo_id: int = (await self.server.call("register", arguments))["id"]
        return repo_id

    async def claim(self, repo_id: int, owner: str, lease_s: float) -> Visit | None:
        return await self._claim({"repo_id": repo_id, "ids": None}, owner, lease_s)

    async def claim_next(
        self, owner: str, lease_s: float, ids: Sequence[int] | None = None
    ) -> tuple[RepositoryRow, Visit] | None:
        wanted = {"repo_id": None, "ids": None if ids is None else list(ids)}
        visit = await self._claim(wanted, owner, lease_s)
        if visit is None:
            return None
        [row] = await self.server.rows("repository", visit.repo_id)
        return rows.repository(row), visit

    async def _claim(self, wanted: dict[str, Any], owner: str, lease_s: float) -> Visit | None:
        arguments = wanted | {"owner": owner, "lease_s": lease_s, "dead": await self._dead()}
        taken = await self.server.call("claim", arguments)
        if not taken:
            return None
        head, version = taken["head"], taken["version"]
        return Visit(
            taken["id"], taken["full_name"], taken["epoch"], taken["attempts"], taken["is_first"],
            bytes.fromhex(head) if head and version else None, version, taken["license"],
        )  # fmt: skip

    async def _dead(self) -> list[str]:
        """Owners whose leases need not be waited for: processes of this machine that ended."""
        owners = [row[0] for row in await self.server.rows("owners")]
        return [owner for owner in owners if not is_alive(owner)]

    async def due(self, limit: int) -> list[int]:
        return [row[0] for row in await self.server.rows("due", limit, await self._dead())]

    async def renew(self, visit: Visit, lease_s: float) -> None:
        await self.server.call("renew", _visit(visit) | {"lease_s": lease_s})

    async def release(
        self, visit: Visit, state: str, reason: str | None, *, due_in_s: float | None = None
    ) -> None:
        due_in_s = 0.0 if state == "due" else due_in_s
        reason = reason and storable(reason)
        ended = {"state": state, "reason": reason, "due_in_s": due_in_s}
        await self.server.call("release", _visit(visit) | ended)

    async def repositories(self, *, due_only: bool = False) -> list[RepositoryRow]:
        dead = await self._dead() if due_only else []
        found = await self.server.rows("repositories", due_only, dead)
        return [rows.repository(row) for row in found if not (due_only and row[16])]

    async def repositories_since(
        self, changed_at: float, after_id: int, limit: int
    ) -> list[RepositoryRow]:
        found = await self.server.rows("repositories_since", changed_at, after_id, limit)
        return [rows.repository(row) for row in found]

    # -- the way of a file ------------------------------------------------------------------

    async def known_paths(self, repo_id: int, paths: Sequence[str]) -> dict[str, Known]:
        found = await self.server.rows("known_paths", repo_id, paths)
        return {row[0]: rows.known(row[1:]) for row in found}

    async def known_oids(
        self, oids: Sequence[bytes], examiner_version: str
    ) -> dict[tuple[bytes, str], Known]:
        found = await self.server.rows("known_oids", oids, examiner_version)
        return {(row[0], row[1]): rows.known(row) for row in found}

    def pack(self, buffer: memoryview, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """The texts as they are: the server compresses them."""
        return [bytes(buffer[at : at + size]) for at, size in zip(offsets, sizes, strict=True)]

    async def append(self, parts: Sequence[Part]) -> Recorded:
        visits = {part.visit.repo_id: part.visit for part in parts}.values()
        staged = _staged(
            (content, part.examiner_version) for part in parts for content in part.contents.values()
        )
        arguments = {
            "contents": len({key for part in parts for key in part.contents}),
            "visits": [one for visit in visits for one in _visit(visit)["visits"]],
            "is_first": all(visit.is_first for visit in visits),
        }
        staged |= {"staged_occurrences": (_OCCURRENCE, _occurrence_rows(parts))}
        return _recorded(await self.server.call("append", arguments, staged))

    async def paths(self, repo_id: int, after: str, limit: int) -> list[str]:
        return [row[0] for row in await self.server.rows("paths", repo_id, after, limit)]

    async def reason_counts(self, repo_id: int) -> dict[Reason | None, int]:
        found = await self.server.rows("reason_counts", repo_id)
        return {reason and Reason(reason): files for reason, files in found}

    async def retire(self, visit: Visit, paths: Sequence[str]) -> None:
        await self.server.call("retire", _visit(visit) | {"paths": list(paths)})

    async def finish(
        self,
        visit: Visit,
        commit: bytes | None,
        standing: Standing,
        examiner_version: str,
        *,
        due_in_s: float | None = None,
    ) -> Recorded:
        restated = {"standing": _standing(standing), "commit": commit and commit.hex()}
        await self.server.call("restate", _visit(visit) | restated)
        recorded, more = Recorded(), True
        while more:
            page = await self.server.call("settle", _visit(visit) | {"page": PAGE}, {})
            recorded += _recorded(page)
            more = page["more"]
        done = {"version": examiner_version, "due_in_s": due_in_s}
        await self.server.call("complete", _visit(visit) | done)
        return recorded

    # -- readers ----------------------------------------------------------------------------

    async def last_id(self) -> int:
        newest: int = await self.server.value("last_id")
        return newest

    async def read(self, after_id: int, limit: int) -> list[Entry]:
        found = await self.server.rows("entries", after_id, limit, PAGE_CHARS)
        return [rows.entry(row, rows.as_it_is) for row in found]

    async def live(self, after_id: int, limit: int, *, content: bool = True) -> list[LiveContent]:
        return await self._live("live", after_id, limit, content)

    async def live_by_id(self, ids: Sequence[int], *, content: bool) -> list[LiveContent]:
        return await self._live("live_by_id", ids, content)

    async def live_by_hashes(self, hashes: Sequence[bytes], *, content: bool) -> list[LiveContent]:
        return await self._live("live_by_hashes", hashes, content)

    async def hashes(self, ids: Sequence[int]) -> set[bytes]:
        return {row[0] for row in await self.server.rows("hashes", ids)}

    async def blanked(self, hashes: Sequence[bytes]) -> set[bytes]:
        return {row[0] for row in await self.server.rows("blanked", hashes)}

    async def live_by_hash(self, prefix: str) -> list[LiveContent]:
        first, last = prefix.ljust(32, "0"), prefix.ljust(32, "f")
        return await self._live("live_by_hash", bytes.fromhex(first), bytes.fromhex(last))

    async def _live(self, statement: str, *bound: object) -> list[LiveContent]:
        found = await self.server.rows(statement, *bound)
        return [rows.live(row, rows.as_it_is) for row in found]

    async def find(self, repo: str, path: str) -> OccurrenceRow | None:
        found = await self.server.rows("find", repo, path)
        return rows.occurrence(found[0]) if found else None

    async def occurrences(self, content_hash: bytes, limit: int = 100) -> list[OccurrenceRow]:
        found = await self.server.rows("occurrences", content_hash, limit)
        return [rows.occurrence(row) for row in found]

    async def counts(self) -> Counts:
        states: dict[str, int] = dict(await self.server.rows("count_states"))
        reasons: dict[Any, int] = dict(await self.server.rows("count_reasons"))
        accepted = reasons.pop(None, 0)
        left_out = sum(reasons.values())
        distinct: int = await self.server.value("count_contents")
        return Counts(
            states, accepted + left_out, accepted, distinct, left_out, reasons, await self.last_id()
        )

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        return self.server.listening(wake)

    # -- takedowns, new verdicts, exports, fsck -----------------------------------------------

    async def forget_places(self, repo: str, pattern: str | None) -> Forgotten:
        expression = None if pattern is None else regular_expression(pattern)
        arguments = {"repo": repo, "pattern": pattern, "expression": expression}
        return _forgotten(await self.server.call("forget_places", arguments, {}))

    async def forget_content(self, content_hash: bytes) -> Forgotten:
        arguments = {"content_hash": content_hash.hex()}
        return _forgotten(await self.server.call("forget_content", arguments, {}))

    async def erase(self) -> None:
        """No statement finds the texts any more; the server's files and its log keep old pages
        until they are written over, and backups have theirs (docs/served.md)."""
        await self.server.maintain("vacuum journal")

    async def judged_by_others(
        self, examiner_version: str, after: bytes, limit: int
    ) -> list[Judged]:
        found = await self.server.rows("judged_by_others", after, examiner_version, limit)
        hashes = [row[0] for row in found]
        classes: dict[bytes, dict[str, str]] = {}
        for content_hash, path_class, path in await self.server.rows("path_classes", hashes):
            classes.setdefault(content_hash, {})[path_class] = path
        contents = {
            one.content_hash: one for one in await self.live_by_hashes(hashes, content=True)
        }
        return [Judged(contents[one], classes[one]) for one in hashes if one in contents]

    async def rejudge(
        self,
        rejudged: Sequence[Rejudged],
        examiner_version: str,
        accepts: Callable[[str | None], bool],
    ) -> Recorded:
        hashes = [one.content_hash for one in rejudged]
        seen = {row[0] for row in await self.server.rows("licenses_of", hashes)}
        seen |= {content.license for one in rejudged for content in one.kept.values()}
        arguments = {
            "version": examiner_version,
            "licenses": {license_id or "": accepts(license_id) for license_id in seen},
        }
        staged = _staged(
            (content, examiner_version) for one in rejudged for content in one.kept.values()
        )
        staged |= {"staged_verdicts": (_VERDICT, _verdict_rows(rejudged))}
        return _recorded(await self.server.call("rejudge", arguments, staged))

    async def mark_due(self, examiner_version: str) -> dict[RepositoryRow, int]:
        found = await self.server.rows("left_out_by_others", examiner_version)
        files: dict[int, int] = dict(found)
        await self.server.execute("make_due", list(files))
        due = await self.repositories(due_only=True)
        return {row: files[row.id] for row in due if row.id in files}

    async def record_export(self, export: ExportRow) -> None:
        await self.server.execute(
            "put_export", export.path, export.format, export.watermark,
            orjson.dumps(export.options).decode(), export.written_at,
        )  # fmt: skip

    async def exports(self) -> list[ExportRow]:
        return [
            ExportRow(path, format_, watermark, orjson.loads(options), written_at)
            for path, format_, watermark, options, written_at in await self.server.rows("exports")
        ]

    async def verify(self) -> tuple[dict[str, int], list[str]]:
        """One snapshot, read in pages."""
        async with self.server.transaction(isolation="repeatable_read", readonly=True) as cx:
            return await _verify(cx)


async def _verify(cx: Connection) -> tuple[dict[str, int], list[str]]:
    found, after = Verification(), 0
    while page := await cx.fetch(SQL["verify_rows"], after, VERIFY_PAGE):
        after = page[-1][0]
        found.rows(page, rows.as_it_is)
    found.contents(row[0] for row in await cx.fetch(SQL["verify_contents"]))
    last = b""
    while page := await cx.fetch(SQL["verify_places"], last, VERIFY_PAGE):
        last = page[-1][0]
        for content_hash, repo_id, path, newest_id, newest_path, add_op, pending, *best in page:
            places = ((repo_id, path), (newest_id, newest_path), (best[0], best[1]))
            found.place(content_hash, places, add_op, pending=pending)
    found.checked["occurrences"] = await cx.fetchval(SQL["verify_occurrences"])
    for name, problem in LISTED.items():
        found.problems += [f"{repo}/{path} {problem}" for repo, path in await cx.fetch(SQL[name])]
    return found.checked, found.problems


def regular_expression(pattern: str) -> str:
    """A glob pattern as Postgres' regular expressions have it; as `fnmatch` reads it."""
    body = fnmatch.translate(pattern).removeprefix("(?s:").rpartition(")")[0]
    return f"^(?:{body.replace('(?>.*?', '(?:.*?')})$"


def _visit(visit: Visit) -> dict[str, Any]:
    one = {"repo_id": visit.repo_id, "epoch": visit.epoch, "full_name": visit.full_name}
    return {"visits": [one]}


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "license": standing.license, "license_rank": license_class(standing.license),
        "stars": standing.stars, "forks": standing.forks, "pushed_at": standing.pushed_at,
    }  # fmt: skip


def _recorded(result: dict[str, Any]) -> Recorded:
    return Recorded({Op(op): rows for op, rows in result["ops"].items()})


def _forgotten(result: dict[str, Any]) -> Forgotten:
    moved = result["ops"].get(Op.MOVE, 0)
    return Forgotten(result["places"], result["removed"], result["blanked"], moved)


def _rank(license_id: str | None) -> int | None:
    return license_class(license_id) if license_id else None


def _occurrence_rows(parts: Sequence[Part]) -> Iterable[tuple[Any, ...]]:
    rows_by_place = {
        (part.visit.repo_id, o.path): _occurrence_row(part, o)
        for part in parts
        for o in part.occurrences
    }
    return rows_by_place.values()


def _occurrence_row(part: Part, o: Occurrence) -> tuple[Any, ...]:
    return (
        part.visit.repo_id, o.path, o.oid, o.path_class, o.language, o.content_hash,
        o.reason and o.reason.value, o.measured, o.license, _rank(o.license), o.own_license,
        part.examiner_version, part.commit, o.reason in PASSING_REASONS,
    )  # fmt: skip


def _staged(contents: Iterable[tuple[Content, str]]) -> Staged:
    """Contents and the versions that judged them, in the order of the hashes; of one that comes
    several times, the one that has its text."""
    found: dict[ContentKey, tuple[Content, str]] = {}
    for content, version in contents:
        if content.key not in found or content.packed is not None:
            found[content.key] = content, version
    texts = {one.content_hash: one.packed for one, _ in found.values() if one.packed is not None}
    return {
        "staged_contents": (_CONTENT, [_content_row(*found[key]) for key in sorted(found)]),
        "staged_texts": (_TEXT, sorted(texts.items())),
    }


def _content_row(one: Content, version: str) -> tuple[Any, ...]:
    return (
        one.content_hash, one.language, one.packed is not None, one.chars,
        round(one.score * 100, 1), one.signals, one.fingerprint, version,
    )  # fmt: skip


def _verdict_rows(rejudged: Sequence[Rejudged]) -> Iterable[tuple[Any, ...]]:
    for one in rejudged:
        for path_class, content in one.kept.items():
            yield (
                one.content_hash, path_class, content.content_hash, None, None, content.language,
                content.license, _rank(content.license),
            )  # fmt: skip
        for path_class, out in one.left_out.items():
            yield (
                one.content_hash, path_class, None, out.reason and out.reason.value, out.measured,
                out.language, None, None,
            )  # fmt: skip
