"""The loop: wait for enough new rows, do a round, and again; for ever, or once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from codelupe_daemon.errors import Transient
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.retry import retried
from trainer.errors import StaleTrainer
from trainer.intake.freeze import pending
from trainer.observe.state import Doing
from trainer.registry.base import Holder, Session
from trainer.release import active_of
from trainer.round import Parts, give_up, one_round, tidy

T = TypeVar("T")
LEASE_S = 60.0
LOCK_POLL_S = 2.0
STOP_POLL_S = 0.5
PATIENCE_S = 600.0
"""How long is waited for what is away, to be the trainer, and by a single round."""
AWAY_S = 10.0
"""Before what is away is asked again."""


async def for_ever(parts: Parts) -> None:
    """Until `parts.stop` is set. What is away is waited for; anything else ends the process."""
    async with holding(parts) as holder, _beside(_head_followed(parts)):
        while holder and not parts.stop.is_set():
            try:
                await tidy(parts)
                pause_s = parts.profile.data.poll_s
                if await _is_due(parts):
                    await one_round(parts, holder)
                    pause_s = 0
                parts.events.state("training", None)
            except Transient as error:
                parts.state.enter(Doing.AWAY)
                parts.events.state("training", str(error))
                pause_s = AWAY_S
            parts.state.problem = parts.events.problem("training")
            await _pause(parts, pause_s)


async def once(parts: Parts, *, anew: bool = False) -> Session | None:
    """One round now, however few rows there are; None where there are none, or it was stopped
    before it had the profile. `anew` gives up a round that is open."""
    async with holding(parts) as holder:
        if holder is None:
            return None
        if anew:
            await _patiently(parts, partial(give_up, parts, holder))
        return await _patiently(parts, partial(_once, parts, holder))


async def _once(parts: Parts, holder: Holder) -> Session | None:
    await tidy(parts)
    return await one_round(parts, holder) if await _is_due(parts, least=1) else None


async def _patiently(parts: Parts, work: Callable[[], Awaitable[T]]) -> T:
    """Wait for what is away, with an end."""

    def told(error: Transient | None) -> None:
        parts.events.state("training", str(error) if error else None)

    return await retried(work, PATIENCE_S, parts.stop.is_set, told)


@contextlib.asynccontextmanager
async def holding(parts: Parts) -> AsyncIterator[Holder | None]:
    """Be the profile's trainer while the body runs; waits for another one to end. None: stopped."""
    name, holder = parts.profile.name, None
    while not parts.stop.is_set():
        claiming = partial(parts.registry.claim, name, this_process(), LEASE_S)
        holder = await _patiently(parts, claiming)
        if holder is not None:
            break
        if parts.state.doing is not Doing.LOCKED_OUT:
            parts.events.happened(f"waits: another process trains {name}")
            parts.state.enter(Doing.LOCKED_OUT)
        await _pause(parts, LOCK_POLL_S)
    if holder is None:
        yield None
        return
    try:
        async with _beside(_renewed(parts, holder)):
            yield holder
    finally:
        with contextlib.suppress(Transient):
            await parts.registry.release(holder)


async def _renewed(parts: Parts, holder: Holder) -> None:
    """What is away is tried again; whoever took the profile over ends this process' training."""
    while True:
        await asyncio.sleep(LEASE_S / 3)
        try:
            await parts.registry.renew(holder, LEASE_S)
            parts.events.state("registry", None)
        except Transient as error:
            parts.events.state("registry", str(error))
        except StaleTrainer as error:
            parts.events.failed(str(error))
            parts.stop.set()
            return


async def _head_followed(parts: Parts) -> None:
    """How far rows have come is told during a round as well."""
    while True:
        await asyncio.sleep(parts.profile.data.poll_s)
        with contextlib.suppress(Transient):
            parts.state.head = await parts.source.head()


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do it until the body ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _is_due(parts: Parts, least: int | None = None) -> bool:
    """Whether a round is open, or enough rows have come."""
    state, name = parts.state, parts.profile.name
    wanted = parts.profile.data.min_new_rows if least is None else least
    found = await pending(parts.source, parts.registry, parts.profile, enough=wanted)
    totals = await parts.registry.totals(name)
    versions = await parts.registry.versions(name)
    state.watermark, state.head, state.pending = found.watermark, found.head, found.passing
    state.runs, state.samples_trained = totals.runs, totals.samples_trained
    state.last_run = totals.last_run
    state.active_version = active_of(versions)
    state.enter(Doing.WAITING)
    is_open = await parts.registry.open_session(name) is not None
    return is_open or found.passing >= wanted or found.is_full


async def _pause(parts: Parts, pause_s: float) -> None:
    """Ends early when asked to stop."""
    loop = asyncio.get_running_loop()
    until = loop.time() + pause_s
    while not parts.stop.is_set() and loop.time() < until:  # noqa: ASYNC110 - threads look at it as well
        await asyncio.sleep(min(STOP_POLL_S, max(0.0, until - loop.time())))
