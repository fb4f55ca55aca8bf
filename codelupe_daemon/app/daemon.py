"""The daemon: visit whatever is due, until it is stopped. Any number of them share one store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from codelupe_daemon.app.consuming import consuming, for_ever
from codelupe_daemon.app.running import ready_pipeline
from codelupe_daemon.app.stores import engine_name, journal, queues
from codelupe_daemon.command import stopped_by_signals
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Transient
from codelupe_daemon.journal.base import Journal, RepositoryRow
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Reason, Visit
from codelupe_daemon.observe.events import Events
from codelupe_daemon.queues.base import Queues
from codelupe_daemon.tally import Tally

CLAIM_WAIT_S = 1.0
WATCH_S = 1.0


async def daemon(
    settings: Settings, events: Events, *, consumers: bool, until_idle: bool
) -> dict[str, Any]:
    """Work until a signal comes, with `until_idle` until nothing is due; what was done.

    Raises `Fatal` where a server that the settings name cannot be had when it starts.
    """
    tally = _Told(events)
    async with journal(settings, create=True) as store, queues(settings, store) as shared:
        pipeline = await ready_pipeline(settings, store, shared, tally)

        def told(consumer: str, error: Transient | None) -> None:
            events.state(f"consumer {consumer}", str(error) if error else None)

        manner = for_ever(told, pipeline.stop)

        def stop() -> None:
            events.happened("stops, once what is in hand is recorded")
            pipeline.stop()

        with stopped_by_signals(stop):
            async with consuming(settings, store, are_wanted=consumers, manner=manner) as going:
                pipeline.on_recorded = going.wake
                engine = engine_name(settings)
                events.happened(f"works on {store.location}: {shared.state}, {engine}")
                async with _watched(settings, shared, events):
                    await pipeline.serve(
                        lambda: _next_due(settings, shared, events),
                        lambda: _is_over(store, until_idle=until_idle),
                    )
                if until_idle and not pipeline.is_stopping():
                    await going.caught_up(settings.wait_s)
    return tally.as_json()


class _Told(Tally):
    """Counts, and tells of each visit; nothing in it grows with their number."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events
        self._ended: dict[str, str] = {}
        self._failures = 0

    def source_done(self, full_name: str) -> None:
        self.sources += 1
        self._events.happened(f"visited {full_name}: {self._ended.pop(full_name, '')}")

    def source_failed(self, full_name: str, reason: str) -> None:
        self.sources += 1
        self._failures += 1
        self._ended.pop(full_name, None)
        self._events.failed(f"visit of {full_name} failed: {reason}")

    def visited(self, full_name: str, counts: Mapping[Reason | None, int], files_sent: int) -> None:
        super().visited(full_name, counts, files_sent)
        listed = sum(counts.values())
        self._ended[full_name] = f"{listed} files, {counts.get(None, 0)} kept, {files_sent} judged"

    def journal_away(self, error: Transient | None) -> None:
        self._events.state("store", str(error) if error else None)

    def as_json(self) -> dict[str, Any]:
        """As of an ingest; the failed visits are only counted."""
        return super().as_json() | {"failed": self._failures}


async def _next_due(
    settings: Settings, shared: Queues, events: Events
) -> tuple[RepositoryRow, Visit] | None:
    claimed = await shared.claim(this_process(), settings.lease_s, CLAIM_WAIT_S)
    if claimed is not None and claimed[1].attempts > 1:
        _, visit = claimed
        events.happened(f"takes over {visit.full_name}: its visitor ended (try {visit.attempts})")
    return claimed


async def _is_over(store: Journal, *, until_idle: bool) -> bool:
    """Nothing is due, and no other daemon has anything in hand that could become so."""
    if not until_idle or await store.due(1):
        return False
    return not any(row.state == "visiting" for row in await store.repositories())


@contextlib.asynccontextmanager
async def _watched(settings: Settings, shared: Queues, events: Events) -> AsyncIterator[None]:
    """Tell when Redis goes away and comes back."""

    async def watch() -> None:
        while settings.redis is not None:
            is_there = shared.state.startswith("redis")
            events.state("redis", None if is_there else shared.state)
            await asyncio.sleep(WATCH_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
