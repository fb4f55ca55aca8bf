"""Consumers beside a run: this process runs them, or waits for the process that does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from codelupe_daemon.app.stores import search_index
from codelupe_daemon.config import Settings
from codelupe_daemon.consume import runner
from codelupe_daemon.consume.search_index import SearchIndex
from codelupe_daemon.errors import CodeLupeError, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process

HELD_POLL_S = 0.2


@contextlib.asynccontextmanager
async def consuming(
    settings: Settings, store: Journal, control: runner.Control
) -> AsyncIterator[None]:
    """Keep the consumers going beside the body, and after it until they have caught up."""
    async with search_index(settings) as index:
        following = asyncio.create_task(_follow(store, index, control))
        try:
            yield
            await caught_up(store, index, control, following, settings.wait_s)
        finally:
            control.stop()
            with contextlib.suppress(CodeLupeError, asyncio.CancelledError):
                await following


async def catch_up(settings: Settings, store: Journal, index: SearchIndex) -> None:
    """Bring the index to the journal's end. Raises `Transient` after `wait_s`."""
    control = runner.Control()
    following = asyncio.create_task(_follow(store, index, control))
    await caught_up(store, index, control, following, settings.wait_s)


async def caught_up(
    store: Journal,
    index: SearchIndex,
    control: runner.Control,
    following: asyncio.Task[None],
    wait_s: float,
) -> None:
    """Wait until somebody's runner has taken everything that is in the journal now."""
    control.drain()
    try:
        await asyncio.wait_for(following, wait_s)
    except TimeoutError:
        behind = await store.last_id() - await index.watermark()
        raise Transient(
            f"another process holds the search index, which is {behind} rows behind: end it,"
            " and run `codelupe ingest` again"
        ) from None


async def _follow(store: Journal, index: SearchIndex, control: runner.Control) -> None:
    """Run the consumer; while another process holds it, wait for that one or take over."""
    while True:
        outcome = await runner.run(store, index, owner=this_process(), control=control)
        if outcome in {runner.Outcome.CAUGHT_UP, runner.Outcome.STOPPED} or control.is_stopping:
            return
        if control.is_draining and await index.watermark() >= await store.last_id():
            return
        await asyncio.sleep(HELD_POLL_S)
