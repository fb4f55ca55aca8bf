"""Every known repository in the index `github-coding-repos`.

A crawler may have made that index, with whatever fields. Its documents are kept: they get ours
only, and what its mapping refuses is counted and left.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson
from elasticsearch import AsyncElasticsearch

from codelupe_daemon.consume.elasticsearch_bulk import Action, bulk
from codelupe_daemon.elastic import REPOSITORIES, WATERMARKS, Gone, explained
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Journal, RepositoryRow

PAGE_ROWS: Final = 500
PAGES_MAX: Final = 4
"""In a row: then rows of the journal have their turn."""
LATE_S: Final = 60.0
"""Within which changes become visible that were made before others that were read."""
ID_MAX_BYTES: Final = 512
_INDEX: Final = f"{REPOSITORIES}-001"
_MADE_BY: Final = "codelupe"

_KEYWORD: Final = {"type": "keyword", "ignore_above": 1024}
_FIELDS: Final[Mapping[str, Any]] = {
    "full_name": {"type": "keyword"},
    "clone_url": {"type": "keyword"},
    "stars": {"type": "integer"},
    "forks": {"type": "integer"},
    "license": _KEYWORD,
    "pushed_at": {"type": "date"},
    # What only a crawler knows: it may write here as well.
    "language": _KEYWORD,
    "topics": _KEYWORD,
    "description": {"type": "text"},
    "size": {"type": "long"},
    "repository_id": {"type": "long"},
    "state": _KEYWORD,
    "reason": _KEYWORD,
    "file_count": {"type": "integer"},
    "head": {"type": "keyword"},
    "visited_at": {"type": "date"},
    "known_at": {"type": "date"},
}
_OURS: Final = (
    "repository_id", "state", "reason", "file_count", "head", "visited_at", "known_at",
)  # fmt: skip
"""What is ours to say of a repository that a crawler found."""


_Cursor = tuple[float, int]
"""changed_at and id of a repository."""


class _Target(NamedTuple):
    """The index as it is; `name_field`: what finds a repository in one that is not ours."""

    is_ours: bool
    name_field: str | None


class Repositories:
    """`refused` documents, and why the last of them was."""

    def __init__(self, es: AsyncElasticsearch, journal: Journal) -> None:
        self._es, self._journal = es, journal
        self._at: _Cursor | None = None
        self._saved = 0.0
        self._ends: deque[_Cursor] = deque(maxlen=3)
        self._looked_at = float("-inf")
        self.refused = 0
        self.refused_reason: str | None = None

    async def follow(self) -> None:
        """Take what changed, at most PAGES_MAX pages of it. Raises `Transient` and `Fatal`."""
        try:
            await self._follow()
        except Gone as gone:  # of ours: made again the next time
            raise Transient(f"Elasticsearch: {gone}") from gone

    async def _follow(self) -> None:
        target = None
        if self._at is None:
            self._at = (await self._position(), 0)
        if time.monotonic() >= self._looked_at + LATE_S:
            target = await self._found()
            self._rewind(self._at)
        for _ in range(PAGES_MAX):
            if target is None and await self._journal.repositories_since(*self._at, 1):
                target = await self._found()
            rows = await self._journal.repositories_since(*self._at, PAGE_ROWS)
            if target is None or not rows:
                break
            await self._write(target, rows)
            self._at = (rows[-1].changed_at, rows[-1].id)
        await self._save(self._at[0] - 2 * LATE_S)

    async def restart(self) -> None:
        """From the first repository on."""
        self._at, self._saved = (0.0, 0), 0.0
        await self._save(0.0)

    # -- how far it is --------------------------------------------------------------------------

    def _rewind(self, at: _Cursor) -> None:
        """Twice, in twice the time that a change may be late; not where nothing has changed."""
        self._looked_at = time.monotonic()
        self._ends.append(at)
        if len(set(self._ends)) > 1:
            self._at = (max(0.0, at[0] - 2 * LATE_S), 0)

    async def _position(self) -> float:
        try:
            with explained():
                found = await self._es.get(index=WATERMARKS, id=REPOSITORIES)
        except Gone:
            return 0.0
        return float(found["_source"]["changed_at"])

    async def _save(self, changed_at: float) -> None:
        if changed_at != self._saved:
            with explained():
                await self._es.index(
                    index=WATERMARKS, id=REPOSITORIES, document={"changed_at": changed_at}
                )
            self._saved = changed_at

    # -- the index ------------------------------------------------------------------------------

    async def _found(self) -> _Target:
        """What there is; if there is nothing, an index of our own."""
        with explained():
            answer = await self._es.indices.get(index=REPOSITORIES, ignore_unavailable=True)
            if not answer.body:
                await self._es.indices.create(
                    index=_INDEX,
                    aliases={REPOSITORIES: {"is_write_index": True}},
                    settings={"auto_expand_replicas": "0-1"},
                    mappings={"_meta": {"made_by": _MADE_BY}, "properties": _FIELDS},
                )
                self._at = (0.0, 0)
                return _Target(is_ours=True, name_field=None)
        mappings = [one["mappings"] for one in answer.body.values()]
        is_ours = all(one.get("_meta", {}).get("made_by") == _MADE_BY for one in mappings)
        return _Target(is_ours, _name_field(mappings[0].get("properties", {})))

    async def _write(self, target: _Target, rows: Sequence[RepositoryRow]) -> None:
        """A crawler's index may take what it likes; it never stops what else is to be done."""
        try:
            found = {} if target.is_ours else await self._hits(target, rows)
            async with bulk(self._es, REPOSITORIES, is_alias=target.is_ours) as writer:
                for row in rows:
                    await writer.add(_upsert(row, found.get(row.full_name), target))
            for refused in writer.refused:
                self._refuse(1, refused.reason)
            with explained():
                await self._es.indices.refresh(index=REPOSITORIES)
        except (Transient, Fatal) as error:
            if target.is_ours:
                raise
            self._refuse(len(rows), str(error))

    def _refuse(self, count: int, reason: str) -> None:
        self.refused += count
        self.refused_reason = reason

    async def _hits(
        self, target: _Target, rows: Sequence[RepositoryRow]
    ) -> dict[str, Mapping[str, Any]]:
        """The documents of a crawler that hold these repositories."""
        if target.name_field is None:
            return {}
        with explained():
            answer = await self._es.search(
                index=REPOSITORIES,
                query={"terms": {target.name_field: [row.full_name for row in rows]}},
                fields=[{"field": target.name_field}],
                source=False,
                size=2 * PAGE_ROWS,
            )
        return {hit["fields"][target.name_field][0]: hit for hit in answer["hits"]["hits"]}


def _name_field(properties: Mapping[str, Any]) -> str | None:
    name = properties.get("full_name", {})
    if name.get("type") == "keyword":
        return "full_name"
    for sub, field in name.get("fields", {}).items():
        if field["type"] == "keyword":
            return f"full_name.{sub}"
    return None


def _upsert(row: RepositoryRow, hit: Mapping[str, Any] | None, target: _Target) -> Action:
    """The whole document, where there is none or it is ours; else what only we know."""
    document = _document(row)
    meta: dict[str, Any] = {"_id": _id(row.full_name), "retry_on_conflict": 3}
    if hit is not None:
        meta |= {"_id": hit["_id"], "_index": hit["_index"]}
    known = document if target.is_ours else {key: document[key] for key in _OURS}
    body = {"doc": known, "upsert": document}
    return Action(row.id, orjson.dumps({"update": meta}) + b"\n" + orjson.dumps(body) + b"\n")


def _id(full_name: str) -> str:
    raw = full_name.encode()
    return full_name if len(raw) <= ID_MAX_BYTES else blake2b(raw, digest_size=16).hexdigest()


def _document(row: RepositoryRow) -> dict[str, Any]:
    """What is not known of it is left out, so that it replaces nothing."""
    standing = row.standing
    facts = {
        "full_name": row.full_name,
        "clone_url": None if row.is_local else row.location,
        "stars": standing.stars,
        "forks": standing.forks,
        "license": standing.license,
        "pushed_at": _time(standing.pushed_at),
    }
    return {key: value for key, value in facts.items() if value is not None} | {
        "repository_id": row.id,
        "state": row.state,
        "reason": row.reason,
        "file_count": row.file_count,
        "head": row.head and row.head.hex(),
        "visited_at": _time(row.visited_at),
        "known_at": _time(row.changed_at),
    }


def _time(seconds: float | None) -> str | None:
    """As GitHub writes it; None also for what is no time at all."""
    try:
        at = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
