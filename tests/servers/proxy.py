"""A TCP proxy for drills: it delays, cuts, refuses and half-answers when told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

from tests.servers.process import at_port, free_port

CHUNK_BYTES = 1 << 16
TOLD_S = 10.0  # how long an order may take


class Proxy:
    """Between clients and the server of a URL while entered; orders may come from any thread.

    The counts say what happened: `connections` taken, `cuts` of connections, `halved` answers.
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        assert target.hostname
        assert target.port
        self.url = at_port(url, port := free_port())
        self.delay_s = 0.0  # before each chunk, either way
        self.connections = self.cuts = self.halved = 0
        self._port = port
        self._target = (target.hostname, target.port)
        self._halves = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._servers: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.normal()
        return self

    def __exit__(self, *_: object) -> None:
        self._tell(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def normal(self) -> None:
        """Take connections and pass everything on."""
        self.delay_s, self._halves = 0.0, 0
        self._tell(self._listen())

    def delay(self, seconds: float) -> None:
        """Wait before each chunk, either way, until `normal`."""
        self.delay_s = seconds

    def cut(self) -> None:
        """End all connections now; new ones are taken."""
        self._tell(self._cut())

    def refuse(self) -> None:
        """End all connections and take no new ones until `normal`."""
        self._tell(self._refuse())

    def half_answer(self, answers: int = 1) -> None:
        """Pass on the first half of each of the next answers, then cut that connection."""
        self._halves = answers

    def _tell(self, order: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(order, self._loop).result(TOLD_S)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._take, "127.0.0.1", self._port)

    async def _cut(self) -> None:
        self.cuts += len(self._clients)
        for writer in self._clients | self._servers:
            writer.transport.abort()
        self._clients.clear()
        await asyncio.sleep(0)  # the sockets close

    async def _refuse(self) -> None:
        if self._listener is not None:
            # First no more are accepted: what is accepted when it closes, asyncio drops unclosed.
            for listening in self._listener.sockets:
                self._loop.remove_reader(listening.fileno())
            await asyncio.sleep(0)
            self._listener.close()
            self._listener = None
        await self._cut()

    async def _end(self) -> None:
        """What was accepted a moment ago becomes a connection, and is ended, too."""
        await self._refuse()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in self._serving:
                task.cancel()
            await asyncio.wait(others, timeout=0.1)
            await self._cut()

    def _take(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._clients.add(to_client)
        task = self._loop.create_task(self._serve(client, to_client))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            server, to_server = await asyncio.open_connection(*self._target)
            self._servers.add(to_server)
            try:
                await self._join(client, to_client, server, to_server)
            finally:
                await closed(to_server)
                self._servers.discard(to_server)
        await closed(to_client)
        self._clients.discard(to_client)

    async def _join(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        """Both ways, until one of them ends."""
        ways = [
            asyncio.ensure_future(self._pass_on(client, to_server)),
            asyncio.ensure_future(self._pass_on(server, to_client, is_answer=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False
    ) -> None:
        """Until either end is closed."""
        while chunk := await reader.read(CHUNK_BYTES):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if is_answer and self._halves:
                self._halves -= 1
                self.halved += 1
                writer.write(chunk[: len(chunk) // 2])
                return
            writer.write(chunk)
            await writer.drain()


async def closed(writer: asyncio.StreamWriter) -> None:
    """What was written is sent first."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
