"""A reader that has nothing but a watermark, as a trainer has."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import asyncpg

POLL_S = 0.02
CONNECT_S = 5.0
ROWS = "select id, op, content_hash from journal where id > $1 order by id"
_AWAY = (
    OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
)  # fmt: skip


class Reader:
    """Asks a Postgres for what follows its last id, on a thread of its own, from `start` to `end`.

    `rows` are those that it got, in the order in which it got them. Where the server is away it
    connects again, and asks for the same.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._follow()), daemon=True)
        self.rows: list[tuple[Any, ...]] = []

    def start(self) -> None:
        self._thread.start()

    @property
    def last_id(self) -> int:
        return self.rows[-1][0] if self.rows else 0

    def end(self) -> None:
        """Once it has read what is there now."""
        self._ended.set()
        self._thread.join()

    async def _follow(self) -> None:
        while True:
            try:
                cx = await asyncpg.connect(self._url, timeout=CONNECT_S)
                try:
                    await self._read(cx)
                    return
                finally:
                    cx.terminate()
            except _AWAY:
                if self._ended.is_set():
                    return
            await asyncio.sleep(POLL_S)

    async def _read(self, cx: asyncpg.Connection[asyncpg.Record]) -> None:
        is_last = False
        while not is_last:
            is_last = self._ended.is_set()
            self.rows += map(tuple, await cx.fetch(ROWS, self.last_id))
            await asyncio.sleep(POLL_S)
