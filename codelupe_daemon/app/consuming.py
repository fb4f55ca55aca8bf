"""Consumers beside a run: this process runs them, or waits for the process that does."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from codelupe_daemon.app.stores import consumers
from codelupe_daemon.config import Settings
from codelupe_daemon.consume import runner
from codelupe_daemon.errors import Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.retry import retried

POLL_S = 0.2
HELD_POLL_S = 5.0
PATIENCE_S = 60.0


def _nobody(_: str, __: Transient | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Manner:
    """How consumers are kept going: an hour's ingest waits for less than a daemon does."""

    patience_s: float = PATIENCE_S
    """How long what is `Transient` is tried again."""
    held_poll_s: float = POLL_S
    """Between two tries to become the runner of a consumer that another process holds."""
    told: Callable[[str, Transient | None], None] = _nobody
    """Hears of a consumer that fails and is tried again, and that it works again."""
    on_end: Callable[[], None] = lambda: None
    """Called when a consumer ended that should not have."""


AS_INGEST = Manner()


def for_ever(told: Callable[[str, Transient | None], None], on_end: Callable[[], None]) -> Manner:
    """A daemon's manner: no outage of a server ends it."""
    return Manner(math.inf, HELD_POLL_S, told, on_end)


class Consuming:
    """Consumers that are kept going."""

    def __init__(self, store: Journal, kept: Sequence[runner.Consumer], manner: Manner) -> None:
        self._followed = [_Followed(store, consumer, manner) for consumer in kept]

    def wake(self) -> None:
        """The journal has grown."""
        for one in self._followed:
            one.control.wake()

    async def caught_up(self, wait_s: float) -> None:
        """Wait until somebody's runners have taken everything that is in the journal now.

        Raises `Transient` after `wait_s`, and whatever ended a runner.
        """
        await asyncio.gather(*(one.caught_up(wait_s) for one in self._followed))

    async def end(self) -> None:
        """Come to rest. Raises what ended a runner before."""
        for one in self._followed:
            one.control.stop()
        tasks = [one.following for one in self._followed]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception):
                raise failure


@contextlib.asynccontextmanager
async def consuming(
    settings: Settings, store: Journal, *, are_wanted: bool = True, manner: Manner = AS_INGEST
) -> AsyncIterator[Consuming]:
    """Keep the consumers of these settings going beside the body; none unless they are wanted."""
    async with contextlib.AsyncExitStack() as opened:
        kept = await opened.enter_async_context(consumers(settings, store)) if are_wanted else []
        yield await opened.enter_async_context(_consuming(store, kept, manner))


async def catch_up(store: Journal, kept: Sequence[runner.Consumer], wait_s: float) -> None:
    """Bring open consumers to the journal's end. Raises `Transient` after `wait_s`."""
    async with _consuming(store, kept, AS_INGEST) as going:
        await going.caught_up(wait_s)


@contextlib.asynccontextmanager
async def _consuming(
    store: Journal, kept: Sequence[runner.Consumer], manner: Manner
) -> AsyncIterator[Consuming]:
    """Whatever happens in the body, all consumers have come to rest after it."""
    going = Consuming(store, kept, manner)
    try:
        async with store.listening(going.wake):
            yield going
    except BaseException:
        with contextlib.suppress(Exception):  # the body's own is the one to tell
            await going.end()
        raise
    await going.end()


class _Followed:
    """A consumer and the task that runs it, or waits for the process that does."""

    def __init__(self, store: Journal, consumer: runner.Consumer, manner: Manner) -> None:
        self.control = runner.Control()
        self._store, self._consumer, self._manner = store, consumer, manner
        self._told = partial(manner.told, consumer.name)
        self.following = asyncio.create_task(self._follow())
        self.following.add_done_callback(self._ended)

    async def _follow(self) -> None:
        """Run the consumer; while another process holds it, wait for that one or take over."""
        while True:
            outcome = await runner.run(
                self._store, self._consumer, owner=this_process(), control=self.control,
                patience_s=self._manner.patience_s, told=self._told,
            )  # fmt: skip
            self._told(None)
            if outcome in {runner.Outcome.CAUGHT_UP, runner.Outcome.STOPPED}:
                return
            if self.control.is_stopping or await self._is_done_by_another():
                return
            await self._pause()

    async def _is_done_by_another(self) -> bool:
        if not self.control.is_draining:
            return False

        async def is_there() -> bool:
            return await self._consumer.watermark() >= await self._store.last_id()

        is_stopping = partial(getattr, self.control, "is_stopping")
        return await retried(is_there, self._manner.patience_s, is_stopping, self._told)

    async def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._manner.held_poll_s
        while loop.time() < until:
            await asyncio.sleep(POLL_S)
            if self.control.is_stopping or self.control.is_draining:
                return

    def _ended(self, following: asyncio.Task[None]) -> None:
        if not following.cancelled() and following.exception() is not None:
            self._manner.on_end()

    async def caught_up(self, wait_s: float) -> None:
        self.control.drain()
        try:
            await asyncio.wait_for(self.following, wait_s)
        except TimeoutError:
            behind = await self._store.last_id() - await self._consumer.watermark()
            raise Transient(
                f"another process holds {self._consumer.name}, which is {behind} rows behind: end"
                " it, and run the command again"
            ) from None
