"""Consumers' watermarks and the clusters, in the served journal's database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codelupe_daemon.journal.clusters import (
    Before,
    Cluster,
    Clustered,
    ClusterStore,
    Facts,
    Member,
    WindowRow,
    grouped,
    place_of,
)
from codelupe_daemon.journal.consumers import Holder, Letter
from codelupe_daemon.journal.owner import is_alive
from codelupe_daemon.journal.postgres_server import SQL, Server
from codelupe_daemon.model import Op
from codelupe_daemon.paths import storable


class PostgresClusters(ClusterStore):
    """See `ClusterStore`. `server` is an open journal's."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    # -- a consumer's lease, watermark and dead letters ----------------------------------------

    async def claim(self, consumer: str, owner: str, lease_s: float) -> Holder | None:
        owners = [row[0] for row in await self._server.rows("consumer_owners", consumer)]
        dead = [one for one in owners if not is_alive(one)]
        async with self._server.transaction() as cx:
            epoch = await cx.fetchval(SQL["claim_consumer"], consumer, owner, lease_s, dead)
        return None if epoch is None else Holder(consumer, owner, epoch)

    async def renew(self, holder: Holder, lease_s: float) -> bool:
        return await self._write(holder, ("renew_consumer", holder.consumer, lease_s))

    async def release(self, holder: Holder) -> bool:
        return await self._write(holder, ("release_consumer", holder.consumer))

    async def watermarks(self) -> dict[str, int]:
        return dict(await self._server.rows("watermarks"))

    async def watermark(self, consumer: str) -> int:
        found: int = await self._server.value("watermark", consumer)
        return found

    async def advance(self, holder: Holder, watermark: int, letters: Sequence[Letter] = ()) -> bool:
        ids, reasons = [one[0] for one in letters], [storable(one[1]) for one in letters]
        bury = ("bury", holder.consumer, ids, reasons)
        return await self._write(holder, bury, ("advance", holder.consumer, watermark))

    async def dead_letters(self, consumer: str, limit: int) -> list[Letter]:
        found = await self._server.rows("dead_letters", consumer, limit)
        return [(row_id, reason) for row_id, reason in found]

    async def exhume(self, holder: Holder, ids: Sequence[int]) -> bool:
        return await self._write(holder, ("exhume", holder.consumer, ids))

    async def restart(self, holder: Holder) -> bool:
        consumer = holder.consumer
        return await self._write(holder, ("exhume_all", consumer), ("restart", consumer))

    # -- clusters --------------------------------------------------------------------------------

    async def reset(self, holder: Holder) -> bool:
        consumer = holder.consumer
        begin = ("exhume_all", consumer), ("restart", consumer)
        return await self._write(holder, ("drop_all_clusters",), *begin)

    async def put(
        self, holder: Holder, clusters: Sequence[Cluster], removed: Sequence[bytes], watermark: int
    ) -> bool:
        columns = [list(column) for column in zip(*sorted(clusters), strict=True)]
        put = [("put_clusters", *columns)] if columns else []
        advance = ("advance", holder.consumer, watermark)
        return await self._write(holder, ("drop_clusters", sorted(removed)), *put, advance)

    async def clusters_of(self, hashes: Sequence[bytes]) -> dict[bytes, Cluster]:
        found = await self._server.rows("clusters_of", hashes)
        return {row[0]: Cluster._make(row) for row in found}

    # -- what the journal says of the contents ---------------------------------------------------

    async def clustered(self, after_id: int, last_id: int, limit: int) -> list[Clustered]:
        found = await self._server.rows("clustered", after_id, last_id, limit)
        return [Clustered._make(row) for row in found]

    async def facts(self, ids: Sequence[int], *, content: bool) -> list[Facts]:
        found = await self._server.rows("facts", ids, content)
        return [
            Facts(add_id, content_hash, newest_id, place_of(place), text)
            for add_id, content_hash, newest_id, *place, text in found
        ]

    async def window(self, after_id: int, to_id: int, limit: int) -> list[WindowRow]:
        async with self._server.transaction(readonly=True) as cx:
            await cx.execute(SQL["by_index"])  # a page is small, whatever the planner may think
            found = await cx.fetch(SQL["window"], after_id, to_id, limit)
        return [WindowRow(row[0], Op(row[1]), *row[2:]) for row in found]

    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        return grouped(await self._server.rows("members", hashes))

    async def before(self, rows: Sequence[tuple[bytes, int]]) -> list[Before]:
        hashes, ids = [row[0] for row in rows], [row[1] for row in rows]
        found = await self._server.rows("before", hashes, ids)
        return [Before(add_id, place_of(place), print_) for add_id, *place, print_ in found]

    async def _write(self, holder: Holder, *statements: tuple[Any, ...]) -> bool:
        """Names and bindings, in a transaction that holds the lease; False: it is another's."""
        async with self._server.transaction() as cx:
            is_held = await cx.fetchval(SQL["hold"], *holder) is not None
            for name, *bound in statements if is_held else ():
                await cx.execute(SQL[name], *bound)
        return is_held
