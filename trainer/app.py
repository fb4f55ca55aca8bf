"""What a command of the trainer does: settings and a profile in, plain data out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codelupe_daemon.command import stopped_by_signals
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import UsageError
from codelupe_daemon.observe.events import Events
from trainer import distributed, loop
from trainer.intake.freeze import freeze, pending
from trainer.intake.opening import source
from trainer.observe import display, hardware, report, trackers
from trainer.observe.http import serving
from trainer.observe.notify import Notifier
from trainer.observe.state import Doing, State, Stop
from trainer.profile import Profile, load_profile
from trainer.registry.base import Session
from trainer.registry.opening import registry
from trainer.release import active_adapter, active_of, line, point
from trainer.round import Parts, root_of, train
from trainer.types import ENDED, Base, Progress, Side

SEEN_MAX = 1000
ROUNDS_MAX = 1_000_000


# -- training -------------------------------------------------------------------------------------


async def run(settings: Settings, overrides: Sequence[str], events: Events) -> None:
    """Poll, train and publish until a signal comes."""
    if distributed.world_size() > 1:
        raise UsageError("`run` is one process: under torchrun it is `codelupe-trainer once`")
    profile = load_profile(settings.profile, overrides)
    notifier = Notifier()
    async with _parts(settings, profile, events) as parts:
        with _stopped_by_signals(parts, notifier), hardware.watching(parts.state, events):
            async with serving(parts.state, port=settings.trainer_port) as port:
                events.happened(f"trains {profile.name}: figures on http://127.0.0.1:{port}")
                following = asyncio.create_task(notifier.follow(parts.state))
                notifier.ready()
                try:
                    await loop.for_ever(parts)
                finally:
                    following.cancel()


async def once(
    settings: Settings, overrides: Sequence[str], events: Events, *, anew: bool
) -> dict[str, Any]:
    """One round now; under torchrun every process of it calls this."""
    profile = load_profile(settings.profile, overrides)
    on = await _device(settings, profile)
    await asyncio.to_thread(distributed.start, on.kind)
    try:
        if not distributed.is_main():
            return await _assist(profile, on)
        async with _parts(settings, profile, events) as parts:
            with _stopped_by_signals(parts), hardware.watching(parts.state, events):
                async with display.shown(parts.state):
                    session = await loop.once(parts, anew=anew)
            # Others wait for a job. After an error they need not be told: all are ended.
            await asyncio.to_thread(train, on, None, parts.stop, lambda _: None)
            return await _told(parts, session)
    finally:
        distributed.end()


async def _assist(profile: Profile, on: Any) -> dict[str, Any]:
    """What a process does that is not rank 0."""
    state = State(profile.name)
    stop = Stop(state)

    def told(_: Progress) -> None: ...

    with stopped_by_signals(stop.set):
        while await asyncio.to_thread(train, on, None, stop, told):
            continue
    return {}


async def _told(parts: Parts, session: Session | None) -> dict[str, Any]:
    if session is None:
        return {"session": None, "version": None, "is_stopped": parts.stop.is_set()}
    versions = await parts.registry.versions(parts.profile.name)
    mine = next((one for one in versions if one.session_id == session.id), None)
    told = session._asdict()
    del told["detail"]
    return {
        "session": told,
        "version": asdict(mine) if mine else None,
        "is_stopped": session.status not in ENDED,
    }


@contextlib.asynccontextmanager
async def _parts(settings: Settings, profile: Profile, events: Events) -> AsyncIterator[Parts]:
    """Everything a round needs, open."""
    trackers.check(profile)
    on = await _device(settings, profile)
    state = State(profile.name)
    async with source(settings, settings.training_source) as rows, registry(settings) as kept:
        yield Parts(profile, on, rows, kept, _models_dir(settings), state, events, Stop(state))


async def _device(settings: Settings, profile: Profile) -> Any:
    from trainer.devices import device

    kind = None if settings.device == "auto" else settings.device
    return await asyncio.to_thread(device, kind, profile)


@contextlib.contextmanager
def _stopped_by_signals(parts: Parts, notifier: Notifier | None = None) -> Iterator[None]:
    def stop() -> None:
        parts.events.happened("stops, once a checkpoint is written")
        parts.state.enter(Doing.STOPPING, parts.state.session)
        if notifier is not None:
            notifier.stopping()
        parts.stop.set()

    with stopped_by_signals(stop):
        yield


# -- looking --------------------------------------------------------------------------------------


async def status(settings: Settings) -> dict[str, Any]:
    """As the tables tell; a running trainer tells more at /status."""
    profile = load_profile(settings.profile, ())
    async with source(settings, settings.training_source) as rows, registry(settings) as kept:
        session = await kept.open_session(profile.name)
        totals = await kept.totals(profile.name)
        versions = await kept.versions(profile.name)
        enough = report.COUNTED_TIMES * profile.data.min_new_rows
        found = await pending(rows, kept, profile, enough=enough)
    return {
        "watermark": found.watermark,
        "pending": min(found.passing, enough),
        "state": session.status if session else Doing.WAITING,
        "session": session.name if session else None,
        "runs": totals.runs,
        "samples_trained": totals.samples_trained,
        "last_run": totals.last_run,
        "active_version": active_of(versions),
        "profile": profile.name,
        "head": found.head,
        "needed": profile.data.min_new_rows,
    }


async def versions(settings: Settings, activate: str | None) -> list[dict[str, Any]]:
    """Newest first; `activate` makes one of them the active one."""
    profile = load_profile(settings.profile, ())
    models_dir = _models_dir(settings)
    async with registry(settings, create=False) as kept:
        found = await kept.versions(profile.name)
        if activate is not None:
            for one in found:
                if one.version == activate:
                    await asyncio.to_thread(active_adapter, models_dir, one)
            await kept.activate(profile.name, activate)
            found = await kept.versions(profile.name)
            await asyncio.to_thread(point, models_dir, profile.name, found)
    return [asdict(one) for one in found]


async def plan(settings: Settings, overrides: Sequence[str], *, measure: bool) -> dict[str, Any]:
    """What a round would do and need."""
    from trainer import memory
    from trainer.models.load import config_of

    profile = load_profile(settings.profile, overrides)
    on = await _device(settings, profile)
    async with source(settings, settings.training_source) as rows, registry(settings) as kept:
        versions = await kept.versions(profile.name)
        profile = profile.of_round(is_first=not line(versions, active_of(versions)))
        planned = await asyncio.to_thread(lambda: memory.plan(profile, on, config_of(profile)))
        found = await pending(rows, kept, profile)
        manifest, _ = await freeze(
            rows, kept, profile, session_id="plan", base=Base(profile.model.name, None, ""),
            seed=profile.training.seed, now=int(time.time()),
        )  # fmt: skip
    sides = [row.side for row in manifest.taken]
    told = {
        "profile": profile.name,
        "device": on.name,
        "rows": {"from": found.watermark, "to": manifest.to_id, "head": found.head},
        "taken": {str(side): sides.count(side) for side in Side},
        "not_taken": {str(reason): count for reason, count in manifest.not_taken.items()},
        "memory": planned.as_json(),
    }
    if measure:
        from trainer.measure import measure as measured

        told["measured"] = await asyncio.to_thread(measured, profile, on)
    return told


async def samples(settings: Settings, overrides: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """What the model would see next."""
    from trainer.models.load import tokenizer_of
    from trainer.samples.look import look

    profile = load_profile(settings.profile, overrides)
    async with source(settings, settings.training_source) as rows, registry(settings) as kept:
        manifest, _ = await freeze(
            rows, kept, profile, session_id="look", base=Base(profile.model.name, None, ""),
            seed=profile.training.seed, now=int(time.time()),
        )  # fmt: skip
        versions = await kept.versions(profile.name)
        root = root_of(profile, _models_dir(settings), line(versions, active_of(versions)))
        if profile.model.from_scratch and root is None:
            raise UsageError(
                f"{profile.name} gets its tokenizer in its first round: `codelupe-trainer once`"
            )
        tokenizer = await asyncio.to_thread(tokenizer_of, profile, root)
        return await look(
            rows.texts, [row for row in manifest.taken if row.side is Side.TRAIN][:SEEN_MAX],
            profile, tokenizer, seed=manifest.seed, limit=limit,
        )  # fmt: skip


async def migrate(settings: Settings) -> dict[str, Any]:
    """Make or upgrade the trainer's tables; how many rounds they hold."""
    async with registry(settings) as kept:
        return {"sessions": len(await kept.sessions(None, ROUNDS_MAX))}


def _models_dir(settings: Settings) -> Path:
    return settings.models_dir.expanduser().absolute()
