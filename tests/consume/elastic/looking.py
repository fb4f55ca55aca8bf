"""What an index holds, and what of it a search sees."""

from __future__ import annotations

from typing import Any

from elasticsearch import AsyncElasticsearch

from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.consume.runner import Holding
from codelupe_daemon.elastic import CODE, WATERMARKS
from codelupe_daemon.journal.base import Journal
from tests.contract.build import all_live, hash_of


async def assert_as_the_journal(
    journal: Journal, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    """Content by content, and all of it visible."""
    live = await all_live(journal)
    held = {one async for page in consumer.holdings() for one in page}
    texts = {Holding(one.content_hash, one.newest_id, hash_of(str(one.content))) for one in live}
    assert held - texts == set()
    assert texts - held == set()
    assert await visible(es) == {one.content_hash.hex(): one.newest_id for one in live}
    assert await marker(es) == await consumer.watermark() == await journal.last_id()


async def visible(es: AsyncElasticsearch, alias: str = CODE) -> dict[str, int]:
    """journal_id of each document that a search finds."""
    answer = await es.search(
        index=alias, size=10_000, sort=[{"journal_id": "asc"}], source_includes=["journal_id"]
    )
    return {hit["_id"]: hit["_source"]["journal_id"] for hit in answer["hits"]["hits"]}


async def count(es: AsyncElasticsearch, query: dict[str, Any], alias: str = CODE) -> int:
    return int((await es.count(index=alias, query=query))["count"])


async def marker(es: AsyncElasticsearch) -> int:
    """How much of the journal readers are told that a search sees; -1 before anything was told."""
    found = await es.options(ignore_status=(404, 503)).get(index=WATERMARKS, id=CODE)
    return int(found["_source"]["watermark"]) if found.body.get("found") else -1


async def aliases(es: AsyncElasticsearch) -> dict[str, set[str]]:
    """Of each index of code."""
    found = await es.indices.get_alias(index=f"{CODE}*")
    return {name: set(index["aliases"]) for name, index in found.items()}
