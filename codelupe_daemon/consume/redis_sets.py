"""The consumer `redis`: a set of all live contents, asked before the journal is.

Its watermark lies beside the set and moves with it in one step. Whoever claimed last may write;
where the set was emptied, evicted or deleted, that right is lost too, and the next claim begins
again at the journal's start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from redis.commands.core import AsyncScript

from codelupe_daemon.consume.runner import Holding, Lease, LeaseLost, StoredConsumer
from codelupe_daemon.errors import Transient
from codelupe_daemon.journal.consumers import ConsumerStore
from codelupe_daemon.model import Entry, Op
from codelupe_daemon.queues import redis_scripts as scripts
from codelupe_daemon.queues.redis_link import Key, Link

KEYS: Final = (Key.KNOWN, Key.KNOWN_STATE)
SCAN_COUNT: Final = 1000
PAUSE_FIRST_S: Final = 0.25
PAUSE_MAX_S: Final = 10.0


class RedisSets(StoredConsumer):
    """`url`: of the Redis."""

    name = "redis"

    def __init__(self, store: ConsumerStore, url: str) -> None:
        """Raises `Fatal` for what is no URL of a Redis."""
        super().__init__(store)
        self._store, self._link = store, Link(url)
        self._pause_s = 0.0
        register = self._link.client.register_script
        self._hold = register(scripts.HOLD)
        self._empty = register(scripts.EMPTY)
        self._watermark = register(scripts.WATERMARK)
        self._move = register(scripts.CONTENTS)

    async def open(self) -> None:
        await self._store.open()
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()
        await self._store.close()

    async def claim(self, owner: str, lease_s: float) -> Lease | None:
        """A set that keeps being evicted must not keep a processor busy: ever longer pauses."""
        await asyncio.sleep(self._pause_s)
        lease = await super().claim(owner, lease_s)
        if lease is not None:
            try:
                await self._call(self._hold, _token(lease))
            except Transient:
                await self.release(lease)  # else the next try finds it held
                raise
        return lease

    async def watermark(self) -> int:
        return await self._call(self._watermark)

    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
        newest = {one.content_hash: one.op for one in entries if one.op in {Op.ADD, Op.REMOVE}}
        added = [content_hash for content_hash, op in newest.items() if op is Op.ADD]
        removed = [content_hash for content_hash, op in newest.items() if op is Op.REMOVE]
        await self._write(lease, entries[-1].id, added, removed)

    async def caught_up(self, lease: Lease) -> None:
        """Find out whether the set is still whole."""
        await self._write(lease, 0, [], [])

    async def reset(self, lease: Lease) -> None:
        self._check_whole(is_whole=await self._call(self._empty, _token(lease)))
        self._check(is_held=await self._store.restart(self._holder(lease)))

    async def holdings(self) -> AsyncIterator[list[Holding]]:
        """A set that changes meanwhile may show a content twice."""
        cursor, is_begun = 0, False
        while cursor or not is_begun:
            cursor, page = await self._scan(cursor)
            is_begun = True
            yield [Holding(member) for member in page if isinstance(member, bytes)]

    async def _scan(self, cursor: int) -> tuple[int, list[bytes | str]]:
        return await self._link.ask(lambda redis: redis.sscan(Key.KNOWN, cursor, count=SCAN_COUNT))

    async def _write(
        self, lease: Lease, watermark: int, added: Sequence[bytes], removed: Sequence[bytes]
    ) -> None:
        counted = (_token(lease), watermark, len(added))
        self._check_whole(is_whole=await self._call(self._move, *counted, *added, *removed))

    async def _call(self, script: AsyncScript, *args: str | int | bytes) -> int:
        return int(await self._link.ask(lambda _: script(KEYS, args)))

    def _check_whole(self, *, is_whole: int) -> None:
        if not is_whole:
            self._pause_s = min(max(PAUSE_FIRST_S, 2 * self._pause_s), PAUSE_MAX_S)
            raise LeaseLost(f"{Key.KNOWN} was emptied, or another runner took over {self.name}")


def _token(lease: Lease) -> str:
    return f"{lease.owner} {lease.epoch}"
