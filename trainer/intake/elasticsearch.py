"""Rows of `codelupe-code` in Elasticsearch: live contents, each under the id of its newest row.

A document says how a content stands, not what happened to it. So each counts as new whenever its
`journal_id` moves on; what was trained before is left out by its hash.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Final

from codelupe_daemon import elastic
from codelupe_daemon.elastic import CODE, WATERMARKS, Gone, explained, refusal
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import Member
from trainer.intake.base import PATIENCE_S, Source, blocks, patiently
from trainer.types import Candidate

PAGE_ROWS: Final = 5000
TEXTS_AT_ONCE: Final = 64
HASHES_AT_ONCE: Final = 1000
_FIELDS: Final = (
    "content_chars", "language", "quality_score", "license", "repo", "file_path", "created_at",
    "journal_id", "cluster_id", "cluster_winner", "signals.benchmark",
)  # fmt: skip


class ElasticsearchSource(Source):
    """`url`, `ca`: as `elastic.connect` takes them. Raises `Fatal` for what is no URL.

    `journal`: where the index may come from; it is opened and closed here, if it is there.
    """

    name = "elasticsearch"

    def __init__(self, url: str, ca: Path | None = None, journal: Journal | None = None) -> None:
        self._es = elastic.connect(url, ca)
        self._journal = journal

    async def open(self) -> None:
        await elastic.check(self._es)
        if self._journal is not None:
            try:
                await self._journal.open(create=False)
            except Fatal:  # there is none: what is gone then counts as taken down
                await self._journal.close()
                self._journal = None

    async def close(self) -> None:
        await self._es.close()
        if self._journal is not None:
            await self._journal.close()

    async def head(self) -> int:
        """What a search sees at least; 0 while the index is filled for the first time."""
        return await patiently(self._head)

    async def _head(self) -> int:
        try:
            with explained():
                marker = await self._es.get(index=WATERMARKS, id=CODE)
        except Gone:
            return 0
        return int(marker["_source"]["watermark"])

    async def rows(self, after_id: int, to_id: int) -> AsyncGenerator[list[Candidate], None]:
        """As of one point in time; of another where the server was away in between. What is
        written anew meanwhile lies behind `to_id`, in a later window."""
        until = time.monotonic() + PATIENCE_S
        is_read = after_id >= to_id
        while not is_read:
            bounds = {"range": {"journal_id": {"gt": after_id, "lte": to_id}}}
            try:
                async with aclosing(self._pages(_FIELDS, "journal_id", bounds)) as pages:
                    async for page in pages:
                        yield list(map(_candidate, page))
                        after_id = page[-1]["_source"]["journal_id"]
                        until = time.monotonic() + PATIENCE_S
                is_read = True
            except Transient:
                if time.monotonic() > until:
                    raise
                await patiently(elastic.check, self._es)

    async def told(self, row_id: int) -> bytes | None:
        """A document that was written anew since has another number; an index that is filled has
        not all of them yet."""
        return (await super().told(row_id) or None) if await self.head() >= row_id else None

    async def _pages(
        self, fields: Sequence[str], order: str, query: Mapping[str, Any]
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        asked = {"query": query, "sort": [{order: "asc"}]}
        with _there():
            async with aclosing(
                elastic.pages(self._es, CODE, size=PAGE_ROWS, source=fields, **asked)
            ) as pages:
                async for page in pages:
                    yield page

    async def texts(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        found = await self._get(hashes, "content", TEXTS_AT_ONCE)
        return {content_hash: source["content"] for content_hash, source in found.items()}

    async def alive(self, hashes: Sequence[bytes]) -> set[bytes]:
        return set(await self._get(hashes, "cluster_id", HASHES_AT_ONCE))

    async def taken_down(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Of what is gone all that is not known to be only removed: by a journal that has the rows
        of the documents that are left, so that it is theirs."""
        found = await self._get(hashes, "journal_id", HASHES_AT_ONCE)
        gone = set(hashes) - found.keys()
        if self._journal is None or not gone or not found:
            return gone
        ids = [source["journal_id"] for source in found.values()]
        if not found.keys() <= await patiently(self._journal.hashes, ids):
            return gone
        return await patiently(self._journal.blanked, list(gone))

    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        found = await self._get(hashes, "cluster_id", HASHES_AT_ONCE)
        clusters = {
            content_hash: source["cluster_id"]
            for content_hash, source in found.items()
            if source.get("cluster_id")
        }
        members = await patiently(self._members, sorted(set(clusters.values())))
        return {one: members[cluster] for one, cluster in clusters.items() if cluster in members}

    async def _members(self, clusters: Sequence[str]) -> dict[str, list[Member]]:
        found: dict[str, list[Member]] = {}
        if clusters:
            query = {"terms": {"cluster_id": clusters}}
            async for page in self._pages(("cluster_id", "repo"), "add_id", query):
                for hit in page:
                    member = Member(bytes.fromhex(hit["_id"]), hit["_source"]["repo"])
                    found.setdefault(hit["_source"]["cluster_id"], []).append(member)
        return found

    async def _get(
        self, hashes: Sequence[bytes], field: str, at_once: int
    ) -> dict[bytes, Mapping[str, Any]]:
        """This field of the documents that are there, whether or not a search sees them yet."""
        found: dict[bytes, Mapping[str, Any]] = {}
        for block in blocks(hashes, at_once):
            ids = [one.hex() for one in block]
            documents = await patiently(self._documents, ids, field)
            found |= {bytes.fromhex(one["_id"]): one["_source"] for one in documents}
        return found

    async def _documents(self, ids: Sequence[str], field: str) -> list[Any]:
        with _there():
            with explained():
                answer = await self._es.mget(index=CODE, ids=ids, source_includes=[field])
            for one in answer["docs"]:
                if "error" in one:  # its index is not there, or its shard is away
                    is_gone = one["error"]["type"] == "index_not_found_exception"
                    raise refusal(404 if is_gone else 503, one["error"])
        return [one for one in answer["docs"] if one["found"]]


@contextmanager
def _there() -> Iterator[None]:
    try:
        yield
    except Gone as error:
        raise Fatal(
            f"Elasticsearch has no index {CODE}: `codelupe replay elasticsearch` makes it"
        ) from error


def _candidate(hit: Mapping[str, Any]) -> Candidate:
    one = hit["_source"]
    cluster, winner = one.get("cluster_id"), one.get("cluster_winner")
    return Candidate(
        one["journal_id"], bytes.fromhex(hit["_id"]), True, True, one["content_chars"],
        one["language"], round(100 * one["quality_score"], 1), one.get("license"),
        one["repo"], one["file_path"], one["created_at"], cluster and bytes.fromhex(cluster),
        winner in {None, hit["_id"]}, "benchmark" in one.get("signals", {}),
    )  # fmt: skip
