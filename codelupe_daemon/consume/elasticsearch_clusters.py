"""Near-duplicates in documents of `codelupe-code`: they change without a row of the journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

from codelupe_daemon.consume.elasticsearch_bulk import bulk
from codelupe_daemon.consume.elasticsearch_documents import cluster_fields, put_again
from codelupe_daemon.elastic import CODE_WRITE, explained, pages
from codelupe_daemon.journal.clusters import Cluster, ClusterStore

PAGE_ROWS: Final = 2000
_CONSUMER: Final = "near_duplicates"


class ClusterFields:
    """Looks through all documents whenever clusters may have changed, a page at a time."""

    def __init__(self, es: AsyncElasticsearch, clusters: ClusterStore) -> None:
        self._es, self._clusters = es, clusters
        self._pages: AsyncGenerator[list[dict[str, Any]], None] | None = None
        self._looked_at = 0

    async def follow(self) -> bool:
        """Look at the next page; whether anything was written.

        Raises `Gone`, `Transient` and `Fatal`, and then begins again.
        """
        watermark = await self._clusters.watermark(_CONSUMER)
        if self._pages is None and watermark == self._looked_at:
            return False
        if self._pages is None:
            self._looked_at = watermark
            source = ["cluster_id", "cluster_winner"]
            self._pages = pages(self._es, CODE_WRITE, size=PAGE_ROWS, source=source)
        try:
            page: list[dict[str, Any]] = await anext(self._pages, [])
            written = await self._correct({hit["_id"]: hit["_source"] for hit in page})
        except BaseException:
            await self.close()
            self._looked_at = 0
            raise
        if len(page) < PAGE_ROWS:
            await self.close()
        return written

    async def close(self) -> None:
        if self._pages is not None:
            await self._pages.aclose()
        self._pages = None

    async def _correct(self, found: Mapping[str, Mapping[str, Any]]) -> bool:
        clusters = await self._clusters.clusters_of([bytes.fromhex(id_) for id_ in found])
        wrong = [id_ for id_, source in found.items() if source != _fields_of(id_, clusters)]
        if not wrong:
            return False
        with explained():
            documents = (await self._es.mget(index=CODE_WRITE, ids=wrong))["docs"]
        async with bulk(self._es, CODE_WRITE) as writer:
            for one in documents:
                if one["found"]:
                    fields = _fields_of(one["_id"], clusters)
                    await writer.add(
                        put_again(one["_id"], one["_version"], one["_source"] | fields)
                    )
        return True


def _fields_of(id_: str, clusters: Mapping[bytes, Cluster]) -> dict[str, str | None]:
    return cluster_fields(clusters.get(bytes.fromhex(id_)))
