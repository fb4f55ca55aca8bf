"""Rows of the journal into Elasticsearch, beside what the client's own helper does with the same.

The consumer reads its rows from Postgres meanwhile; the helper gets finished documents. Memory is
measured apart from time: what the writing of the same documents adds at most.
"""

from __future__ import annotations

import asyncio
import hashlib
import sysconfig
import time
import tracemalloc
from collections.abc import Awaitable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_streaming_bulk

from benchmarks.served.base import Round, Servers
from codelupe_daemon.consume import elasticsearch_index as indices
from codelupe_daemon.consume import runner
from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.consume.elasticsearch_bulk import bulk
from codelupe_daemon.consume.elasticsearch_documents import put_again
from codelupe_daemon.elastic import CODE, CODE_WRITE, connect
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.postgres import PostgresJournal
from codelupe_daemon.journal.postgres_clusters import PostgresClusters
from codelupe_daemon.model import Content, Entry, Occurrence, Part, Repo
from tests.servers.elasticsearch import wipe

WHAT = "index consumer"
AGAINST = "the client's async_streaming_bulk"
TARGET = 1.5

ROWS = 4000
TURNS = 3
"""One after the other, so that both have the machine as it is."""
SIZES_BYTES = range(2000, 20_000)

_Document = dict[str, Any]


def measure(servers: Servers) -> Round:
    return asyncio.run(_measure(servers))


async def _measure(servers: Servers) -> Round:
    journal = PostgresJournal(servers.postgres())
    await journal.open(create=True)
    await _fill(journal)
    async with AsyncElasticsearch(servers.elasticsearch, request_timeout=120) as es:
        wipe(servers.elasticsearch)
        ours_s = theirs_s = 0.0
        for turn in range(1 + TURNS):
            seconds, documents = await _ours(journal, servers.elasticsearch, es)
            ours_s += seconds if turn else 0.0  # the first turn warms the server up
            theirs_s += await _theirs(es, documents) if turn else 0.0
        their_bytes = await _most_bytes(_write_theirs(es, await _index(es), documents))
        async with connect(servers.elasticsearch) as client:
            our_bytes = await _most_bytes(_write_ours(client, await _index(es), documents))
    await journal.close()
    return Round(
        theirs_s / ours_s,
        {
            "their_documents_per_s": TURNS * ROWS / theirs_s,
            "our_documents_per_s": TURNS * ROWS / ours_s,
            "their_megabytes": their_bytes / 1e6,
            "our_megabytes": our_bytes / 1e6,
        },
    )


async def _fill(journal: PostgresJournal) -> None:
    visit = await journal.claim(await journal.register(Repo("a/a", "/a")), "h:b:1:1", 600)
    assert visit is not None
    texts = list(islice(_texts(), ROWS))
    assert len(texts) == ROWS, f"Python's library has {len(texts)} files of that size"
    hashes = [hashlib.blake2b(one, digest_size=16).digest() for one in texts]
    made = [
        Content(content_hash, one, len(one.decode()), "Python", 0.9, b"{}")
        for content_hash, one in zip(hashes, texts, strict=True)
    ]
    listed = [
        Occurrence(f"src/{n}.py", None, "py", "Python", content_hash, None, None)
        for n, content_hash in enumerate(hashes)
    ]
    await journal.append([Part(visit, None, "1", listed, {one.key: one for one in made})])


def _texts() -> Iterator[bytes]:
    """Files of Python's own library and of what is installed beside it, no two alike."""
    seen = set()
    for folder in ("stdlib", "purelib"):
        for path in sorted(Path(sysconfig.get_path(folder)).rglob("*.py")):
            raw = path.read_bytes()
            if len(raw) in SIZES_BYTES and b"\0" not in raw and raw not in seen:
                seen.add(raw)
                yield raw.decode("utf-8", "ignore").encode()


class _Timed(ElasticsearchIndex):
    """Knows when its first row came, and when its last one was on the server's disk."""

    began_at = ended_at = 0.0

    async def apply(self, entries: Sequence[Entry], lease: runner.Lease) -> None:
        self.began_at = self.began_at or time.perf_counter()
        await super().apply(entries, lease)

    async def _advance(
        self, lease: runner.Lease, watermark: int, letters: Sequence[runner.DeadLetter] = ()
    ) -> None:
        await super()._advance(lease, watermark, letters)
        if watermark == ROWS:
            self.ended_at = self.ended_at or time.perf_counter()


async def _ours(
    journal: PostgresJournal, url: str, es: AsyncElasticsearch
) -> tuple[float, list[_Document]]:
    """Seconds, and what was written."""
    consumer = _Timed(PostgresClusters(journal.server), journal, url)
    await consumer.open()
    control = runner.Control()
    control.drain()
    outcome = await runner.run(
        journal, consumer, owner=this_process(), control=control, replay=True
    )
    assert outcome is runner.Outcome.CAUGHT_UP, outcome
    await consumer.close()
    found = await es.search(index=CODE, size=ROWS, version=True)
    documents = [{"_id": hit["_id"], "_source": hit["_source"]} for hit in found["hits"]["hits"]]
    assert len(documents) == ROWS
    return consumer.ended_at - consumer.began_at, documents


async def _theirs(es: AsyncElasticsearch, documents: Sequence[_Document]) -> float:
    index = await _index(es)
    started = time.perf_counter()
    await _write_theirs(es, index, documents)
    seconds = time.perf_counter() - started
    await es.indices.refresh(index=index)
    assert (await es.count(index=index))["count"] == len(documents)
    return seconds


async def _index(es: AsyncElasticsearch) -> str:
    """An empty one, as the consumer makes it; it is what `codelupe-code-write` means."""
    name = await indices.begin(es)
    await es.indices.refresh(index=name)
    return name


async def _write_theirs(es: AsyncElasticsearch, index: str, documents: Sequence[_Document]) -> None:
    actions = (
        {"_index": index, "version": 1, "version_type": "external_gte", **one} for one in documents
    )
    async for is_done, item in async_streaming_bulk(es, actions):
        assert is_done, item


async def _write_ours(es: AsyncElasticsearch, index: str, documents: Sequence[_Document]) -> None:
    async with bulk(es, CODE_WRITE) as writer:
        for one in documents:
            await writer.add(put_again(one["_id"], 1, one["_source"]))
    assert writer.refused == [], index


async def _most_bytes(work: Awaitable[None]) -> int:
    """That were allocated at once while it was done."""
    tracemalloc.start()
    await work
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most_bytes
