"""Consumers beside a run: this process runs them, or waits for the process that does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from codelupe_daemon.app.stores import consumers
from codelupe_daemon.config import Settings
from codelupe_daemon.consume import runner
from codelupe_daemon.errors import Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process

HELD_POLL_S = 0.2


@contextlib.asynccontextmanager
async def consuming(settings: Settings, store: Journal) -> AsyncIterator[Callable[[], None]]:
    """Keep the consumers going beside the body, and after it until they have caught up.

    What the body is given tells them that the journal has grown.
    """
    async with consumers(settings) as kept:
        followed = [_Followed(store, consumer) for consumer in kept]

        def wake() -> None:
            for one in followed:
                one.control.wake()

        async with _ended(followed):
            yield wake
            await _all_caught_up(followed, settings.wait_s)


async def catch_up(store: Journal, kept: Sequence[runner.Consumer], wait_s: float) -> None:
    """Bring open consumers to the journal's end. Raises `Transient` after `wait_s`."""
    followed = [_Followed(store, consumer) for consumer in kept]
    async with _ended(followed):
        await _all_caught_up(followed, wait_s)


class _Followed:
    """A consumer and the task that runs it, or waits for the process that does."""

    def __init__(self, store: Journal, consumer: runner.Consumer) -> None:
        self.control = runner.Control()
        self._store, self._consumer = store, consumer
        self.following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        """Run the consumer; while another process holds it, wait for that one or take over."""
        store, consumer, control = self._store, self._consumer, self.control
        while True:
            outcome = await runner.run(store, consumer, owner=this_process(), control=control)
            if outcome in {runner.Outcome.CAUGHT_UP, runner.Outcome.STOPPED} or control.is_stopping:
                return
            if control.is_draining and await consumer.watermark() >= await store.last_id():
                return
            await asyncio.sleep(HELD_POLL_S)

    async def caught_up(self, wait_s: float) -> None:
        """Wait until somebody's runner has taken everything that is in the journal now."""
        self.control.drain()
        try:
            await asyncio.wait_for(self.following, wait_s)
        except TimeoutError:
            behind = await self._store.last_id() - await self._consumer.watermark()
            raise Transient(
                f"another process holds {self._consumer.name}, which is {behind} rows behind: end"
                " it, and run `codelupe ingest` again"
            ) from None


@contextlib.asynccontextmanager
async def _ended(followed: Sequence[_Followed]) -> AsyncIterator[None]:
    """Whatever happens in the body, all consumers have come to rest after it."""
    try:
        yield
    finally:
        for one in followed:
            one.control.stop()
        await asyncio.gather(*(one.following for one in followed), return_exceptions=True)


async def _all_caught_up(followed: Sequence[_Followed], wait_s: float) -> None:
    await asyncio.gather(*(one.caught_up(wait_s) for one in followed))
