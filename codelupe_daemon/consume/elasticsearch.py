"""The consumer `elasticsearch`: live contents in `codelupe-code`, for whoever searches them.

The watermark says what the server has on disk; the marker in `codelupe-watermarks` says what a
search sees, and is never ahead of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

from codelupe_daemon import elastic
from codelupe_daemon.consume import elasticsearch_index as index
from codelupe_daemon.consume.elasticsearch_bulk import IN_FLIGHT, REQUEST_BYTES, Flight, bulk
from codelupe_daemon.consume.elasticsearch_clusters import ClusterFields
from codelupe_daemon.consume.elasticsearch_documents import Change, plan, put
from codelupe_daemon.consume.elasticsearch_repositories import Repositories
from codelupe_daemon.consume.runner import DeadLetter, Holding, Lease, LeaseLost, StoredConsumer
from codelupe_daemon.elastic import CODE, CODE_WRITE, Gone, explained
from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.model import Entry, by_chars

T = TypeVar("T")

PAGE_ROWS: Final = 2000
"""Of a runner for this consumer: enough for several requests at once."""
TEXT_CHARS: Final = 8 << 20
SHARE_MIN_BYTES: Final = 128 << 10
PUBLISH_S: Final = 30.0
"""While there is much to take, readers of the index get on all the same."""
REFRESH_PAUSE_S: Final = 0.5
"""Between two refreshes, each of which makes a segment."""
REFUSED_MIN: Final = 20
"""If all of so many documents are refused, it is not because of the documents."""
HOLDINGS_ROWS: Final = 1000


@dataclass(slots=True)
class _Filling:
    """What a runner is at."""

    index: str
    watermark: int
    is_loading: bool
    """Whether the index still has to be finished."""
    is_searched: bool
    is_dirty: bool = True
    """Whether something was written since the last refresh."""
    published: int = -1
    published_at: float = float("-inf")


@dataclass(slots=True)
class _Page:
    """Rows that are not on the server's disk yet."""

    entries: Sequence[Entry]
    writing: asyncio.Task[list[DeadLetter]] | None = None


class ElasticsearchIndex(StoredConsumer):
    """`clusters` and `journal` are opened and closed by their owner; `url`, `ca`: see `connect`.

    A page is on the server's disk, and the watermark at its end, when the next one was applied or
    the end is reached: so two are under way at once, and nobody waits for the last of a page.

    What is below `min_quality` (0..1) is not indexed. Where what was written is gone, methods
    raise `LeaseLost`, and the watermark is 0: the next runner fills it again.
    """

    name = "elasticsearch"
    page_rows = PAGE_ROWS

    def __init__(
        self,
        clusters: ClusterStore,
        journal: Journal,
        url: str,
        *,
        ca: Path | None = None,
        min_quality: float = 0.0,
        request_bytes: int = REQUEST_BYTES,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        """Raises `Fatal` for what is no URL of a server."""
        super().__init__(clusters)
        self._clusters, self._journal = clusters, journal
        self._es = elastic.connect(url, ca)
        self.min_quality = min_quality
        self._request_bytes, self._in_flight = request_bytes, in_flight
        self.flight = Flight(in_flight)
        self._filling: _Filling | None = None
        self._pages: list[_Page] = []
        self._cluster_fields = ClusterFields(self._es, clusters)
        self.repositories = Repositories(self._es, journal)

    async def open(self) -> None:
        await elastic.check(self._es)

    async def close(self) -> None:
        await self._drop_pages()
        await self._cluster_fields.close()
        await self._es.close()

    async def check(self) -> None:
        """Raises `Fatal` where the index cannot be written as it is; a replay may end that."""
        (await index.look(self._es)).check()

    async def claim(self, owner: str, lease_s: float) -> Lease | None:
        self._filling = None  # another runner may have been at it
        await self._drop_pages()
        return await super().claim(owner, lease_s)

    async def release(self, lease: Lease) -> None:
        await self._drop_pages()
        await super().release(lease)

    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
        async def work() -> None:
            filling = await self._begun(lease)
            if time.monotonic() >= filling.published_at + PUBLISH_S:
                await self._publish(filling, lease)
                await self.repositories.follow()
            self._pages.append(_Page(entries))
            try:
                await self._take(filling, lease, ahead=1)
            except BaseException:
                self._pages.pop()  # it is given again
                raise

        await self._while_there(work, lease)

    async def caught_up(self, lease: Lease) -> None:
        """Make it visible; between two rows, bring up to date what has no rows."""

        async def work() -> None:
            filling = await self._begun(lease)
            await self._take(filling, lease, ahead=0)
            if not await self._is_in_place(filling):
                filling = await self._begun(lease, anew=True)
            if filling.is_loading or not filling.is_searched:
                await self._advance(lease, filling.watermark)  # raises where the lease is lost
                await index.finish(self._es, filling.index, filling.watermark)
                filling.is_loading, filling.is_searched = False, True
            if filling.is_dirty or filling.published < filling.watermark:
                await _until(filling.published_at + REFRESH_PAUSE_S)
                await self._publish(filling, lease)
            await self.repositories.follow()
            filling.is_dirty = await self._cluster_fields.follow()

        await self._while_there(work, lease)

    async def retry(self, entries: Sequence[Entry], lease: Lease) -> None:
        async def work() -> None:
            filling = await self._begun(lease)
            refused = {letter.id for letter in await self._write(entries)}
            filling.is_dirty = True
            taken = [entry.id for entry in entries if entry.id not in refused]
            self._check(is_held=await self._states.exhume(self._holder(lease), taken))
            await self._publish(filling, lease)

        await self._while_there(work, lease)

    async def reset(self, lease: Lease) -> None:
        """Begin a new index; the old one is searched until the new one has caught up."""
        self._filling = None
        await self._drop_pages()
        self._check(is_held=await self._states.restart(self._holder(lease)))
        await index.begin(self._es)
        await self.repositories.restart()

    async def erase(self) -> None:
        await index.expunge(self._es)

    async def holdings(self) -> AsyncIterator[list[Holding]]:
        source = ["content_chars"]
        async for page in elastic.pages(self._es, CODE, size=HOLDINGS_ROWS, source=source):
            for hits in by_chars(page, lambda hit: hit["_source"]["content_chars"], TEXT_CHARS):
                ids = [hit["_id"] for hit in hits]
                with explained():
                    found = await self._es.mget(
                        index=CODE, ids=ids, source_includes=["content", "journal_id"]
                    )
                yield [_holding(document) for document in found["docs"] if document["found"]]

    # -- pages of rows --------------------------------------------------------------------------

    async def _take(self, filling: _Filling, lease: Lease, *, ahead: int) -> None:
        """Until no more than `ahead` pages are not on disk; in their order."""
        try:
            for page in self._pages:
                page.writing = page.writing or asyncio.create_task(self._write(page.entries))
            while len(self._pages) > ahead:
                first = self._pages[0]
                assert first.writing is not None
                refused = await first.writing
                filling.is_dirty = True
                await self._advance(lease, first.entries[-1].id, refused)
                filling.watermark = max(filling.watermark, first.entries[-1].id)
                del self._pages[0]
        except BaseException:
            await self._stop_writing()
            raise

    async def _stop_writing(self) -> None:
        """All pages have to be written again."""
        under_way = [page.writing for page in self._pages if page.writing is not None]
        for writing in under_way:
            writing.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for page in self._pages:
            page.writing = None

    async def _drop_pages(self) -> None:
        """They are read again from the watermark on."""
        await self._stop_writing()
        self._pages = []

    async def _write(self, entries: Sequence[Entry]) -> list[DeadLetter]:
        """Bring the documents of these rows' contents up to date."""
        hashes = [*{entry.content_hash: None for entry in entries}]
        live = await self._journal.live_by_hashes(hashes, content=False)
        todo = plan(entries, {one.content_hash: one for one in live}, self.min_quality)
        clusters = await self._clusters.clusters_of(
            [one.entry.content_hash for one in todo.changes]
        )
        chars = sum(map(_chars_of, todo.changes))
        share = max(SHARE_MIN_BYTES, chars // self._in_flight)  # so that all are under way at once
        request_bytes = min(self._request_bytes, share)
        async with bulk(
            self._es, CODE_WRITE, flight=self.flight, request_bytes=request_bytes
        ) as writer:
            for delete in todo.deletes:
                await writer.add(delete)
            for group in by_chars(todo.changes, _chars_of, TEXT_CHARS):
                texts = await self._texts(group, todo.texts)
                for change in group:
                    content_hash = change.entry.content_hash
                    if content_hash in texts:  # else it has died by now
                        cluster = clusters.get(content_hash)
                        await writer.add(put(change, texts[content_hash], cluster))
        if len(writer.refused) == writer.actions >= REFUSED_MIN:
            raise Fatal(
                f"Elasticsearch refuses all of {writer.actions} documents:"
                f" {writer.refused[0].reason}; was {CODE_WRITE} changed by hand? `codelupe replay"
                " elasticsearch` makes a new one"
            )
        return writer.refused

    async def _texts(
        self, changes: Sequence[Change], known: Mapping[bytes, str]
    ) -> Mapping[bytes, str]:
        unknown = [one.live.content_hash for one in changes if one.live.content_hash not in known]
        if not unknown:
            return known
        live = await self._journal.live_by_hashes(unknown, content=True)
        read = {one.content_hash: one.content for one in live if one.content is not None}
        return {**known, **read}

    # -- which index, and how much of it is visible ---------------------------------------------

    async def _begun(self, lease: Lease, *, anew: bool = False) -> _Filling:
        """The index that is to be written. Raises `Gone` where there was one, and `Fatal`."""
        if self._filling is None or anew:
            await self._advance(lease, 0)  # raises where the lease is lost
            watermark = await self.watermark()
            standing = await index.look(self._es)
            standing.check()
            is_searched = standing.searched == standing.written
            if not standing.written and watermark:
                raise Gone(f"there is no {CODE_WRITE}")
            if standing.written and (
                watermark or standing.is_loading or await index.is_empty(self._es)
            ):
                name, is_loading = standing.written[0], standing.is_loading
            else:
                name, is_loading = await index.begin(self._es), True
                is_searched = not standing.searched
            self._filling = _Filling(name, watermark, is_loading, is_searched)
        return self._filling

    async def _is_in_place(self, filling: _Filling) -> bool:
        is_searched = filling.is_searched
        with explained():
            return await index.is_in_place(self._es, filling.index, is_searched=is_searched)

    async def _publish(self, filling: _Filling, lease: Lease) -> None:
        """Make what was written visible, then say so; an index that is not searched yet, not."""
        if filling.is_searched:
            if filling.is_dirty:
                with explained():
                    await self._es.indices.refresh(index=filling.index)
                filling.is_dirty = False
            await self._advance(lease, filling.watermark)  # raises where the lease is lost
            await index.publish(self._es, filling.watermark)
            filling.published = filling.watermark
        filling.published_at = time.monotonic()

    async def _while_there(self, work: Callable[[], Awaitable[T]], lease: Lease) -> T:
        try:
            return await work()
        except Gone as gone:
            self._filling = None
            await self._drop_pages()
            self._check(is_held=await self._states.restart(self._holder(lease)))
            raise LeaseLost(
                f"the index in Elasticsearch is gone, and filled again: {gone}"
            ) from gone


async def _until(at: float) -> None:
    """By the monotonic clock."""
    await asyncio.sleep(max(0.0, at - time.monotonic()))


def _chars_of(change: Change) -> int:
    return change.live.content_chars


def _holding(document: Mapping[str, Any]) -> Holding:
    source = document["_source"]
    text_hash = blake2b(source["content"].encode(), digest_size=16).digest()
    return Holding(bytes.fromhex(document["_id"]), source["journal_id"], text_hash)
