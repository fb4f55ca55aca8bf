"""One round: freeze, make samples, train, publish, end; after an interruption it goes on.

The registry knows how far a round is; everything big lies in its folder
`<models_dir>/<profile>/.work/<session>`, on the file system of the versions.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from codelupe_daemon.errors import Fatal, Rejected, Transient
from codelupe_daemon.observe.events import Events
from trainer import distributed
from trainer.devices import Device
from trainer.errors import Diverged, OutOfMemory
from trainer.intake.base import Source
from trainer.intake.freeze import freeze, measured_sets
from trainer.memory import Batches
from trainer.observe.state import Doing, State, Stop
from trainer.observe.trackers import tracking
from trainer.profile import Profile
from trainer.registry.base import Holder, Registry, Session, Version
from trainer.types import (
    Base,
    Manifest,
    Progress,
    SessionStatus,
    Side,
    Stopped,
    Taken,
    Trained,
)

if TYPE_CHECKING:
    from trainer.models.load import Loaded

FLUSH_S = 2.0
PROGRESS_MAX = 1000
ALIVE_AT_ONCE = 500
TOKENIZER_CHARS = 32 << 20
"""Of text that a tokenizer is trained on."""


@dataclass(slots=True)
class Parts:
    """What a round works with. `stop` is set once, by whoever wants it to end."""

    profile: Profile
    device: Device
    source: Source
    registry: Registry
    models_dir: Path
    state: State
    events: Events
    stop: Stop


class Job(NamedTuple):
    """What every process of a training is told."""

    profile: Profile
    folder: Path
    adapter: Path | None
    scratch: Path | None
    batches: Batches
    sets: tuple[str, ...]


async def one_round(parts: Parts, holder: Holder) -> Session:
    """Take the open round, or a new one, to its end; a stop leaves it open.

    Raises `Transient` where something is away: the same call goes on with the round.
    """
    session = await parts.registry.open_session(parts.profile.name)
    if session is None:
        session = await _frozen(parts, holder)
        parts.state.enter(Doing.FREEZING, session.name)
    else:
        parts.events.happened(f"goes on with round {session.name} ({session.status.value})")
    manifest = await parts.registry.manifest(session.id)
    parts = replace(parts, profile=await _profile_of(parts, manifest))
    try:
        async with _recorded(parts, session) as told:
            await _through(parts, holder, session, manifest, told)
    except Rejected as rejected:
        await _finish(parts, holder, session, SessionStatus.EMPTY, rejected.reason)
    except Diverged as diverged:
        await _finish(parts, holder, session, SessionStatus.DIVERGED, str(diverged))
    except OutOfMemory as error:
        raise Fatal(
            f"{error}; then `codelupe-trainer once --anew` begins the round again"
        ) from error
    return (await parts.registry.sessions(parts.profile.name, 1))[0]


async def give_up(parts: Parts, holder: Holder) -> None:
    """End the open round, if there is one, as if it had never begun: its rows come again."""
    session = await parts.registry.open_session(parts.profile.name)
    if session is not None:
        await _finish(parts, holder, session, SessionStatus.WITHDRAWN, "given up")


async def _frozen(parts: Parts, holder: Holder) -> Session:
    from trainer.models.load import base_of

    parts.state.enter(Doing.FREEZING)
    root, active = await lineage(parts.registry, parts.profile)
    base = await asyncio.to_thread(base_of, parts.profile, Path(root.path) if root else None)
    now = int(time.time())
    manifest, sides = await freeze(
        parts.source,
        parts.registry,
        parts.profile,
        session_id=str(uuid.uuid4()),
        base=base._replace(version=active.version if active else None),
        seed=parts.profile.training.seed,
        now=now,
    )
    session = await parts.registry.begin(holder, manifest, sides)
    rows = sum(row.side is Side.TRAIN for row in manifest.taken)
    parts.events.happened(
        f"round {session.name}: rows {manifest.from_id} to {manifest.to_id},"
        f" {rows} to train on, {sum(manifest.not_taken.values())} not taken"
    )
    return session


async def _profile_of(parts: Parts, manifest: Manifest) -> Profile:
    """As it was when the round was frozen: what was changed since counts from the next one on."""
    root, _ = await lineage(parts.registry, parts.profile)
    try:
        frozen = Profile.model_validate(dict(manifest.settings))
    except ValidationError as error:
        raise Fatal(
            "the open round was begun by another version of the trainer, whose profile this one"
            f" does not understand ({error.errors()[0]['loc']}): `codelupe-trainer once --anew`"
        ) from error
    return frozen.of_round(is_first=root is None)


async def _through(
    parts: Parts,
    holder: Holder,
    session: Session,
    manifest: Manifest,
    told: Callable[[Progress], None],
) -> None:
    if not any(row.side is Side.TRAIN for row in manifest.taken):
        raise Rejected("nothing of this window can be trained on")
    folder = _folder(parts, session)
    if session.status is not SessionStatus.TRAINED:
        trained = await _trained(parts, holder, session, manifest, told)
        if isinstance(trained, Stopped):
            parts.events.happened(f"stopped at step {trained.step}: goes on from there")
            return
        await parts.registry.mark(
            holder, session.id, SessionStatus.TRAINED, {"trained": asdict(trained)}
        )
    else:
        trained = Trained(**session.detail["trained"])
    if gone := await _taken_down(parts.source, manifest):
        reason = f"{gone} of its rows were taken down meanwhile"
        await _finish(parts, holder, session, SessionStatus.WITHDRAWN, reason)
        return
    await _publish(parts, holder, session, manifest, trained, folder)


# -- training --------------------------------------------------------------------------------------


async def _trained(
    parts: Parts,
    holder: Holder,
    session: Session,
    manifest: Manifest,
    told: Callable[[Progress], None],
) -> Trained | Stopped:
    folder = _folder(parts, session)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    root, _ = await lineage(parts.registry, parts.profile)
    await _check_base(parts, manifest, root)
    scratch = scratch_of(parts.profile, root, folder)
    if scratch is not None and root is None:
        await _train_tokenizer(parts, manifest, scratch)
    job = Job(
        parts.profile,
        folder,
        await _adapter(parts, manifest),
        scratch,
        _batches(parts),
        await _measure(parts, manifest, folder, scratch),
    )
    tokenizer = await asyncio.to_thread(_tokenizer, parts.profile, scratch)
    await parts.registry.mark(holder, session.id, SessionStatus.TRAINING, {"folder": str(folder)})
    rows = [row for row in manifest.taken if row.side is Side.TRAIN]
    making = asyncio.create_task(_make(parts, rows, tokenizer, folder / "rows", manifest.seed))
    parts.state.enter(Doing.TRAINING, session.name)
    try:
        return await asyncio.to_thread(_tracked, parts, session, job, told)
    except Transient:
        if parts.stop.is_set():  # no more rows were made for it
            return Stopped(parts.state.progress.step)
        raise
    finally:
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):  # training has told of it
            await making


def _tracked(
    parts: Parts, session: Session, job: Job, told: Callable[[Progress], None]
) -> Trained | Stopped:
    """Trackers wait for their servers, so not in the event loop."""
    logs = _home(parts) / "logs"
    with tracking(parts.profile, session.id, session.name, logs, parts.events.happened):
        ended = train(parts.device, job, parts.stop, told)
    assert ended is not None
    return ended


def train(
    device: Device, mine: Job | None, stop: Stop, told: Callable[[Progress], None]
) -> Trained | Stopped | None:
    """The part of a round that every process of it has; rank 0 says which, and at the end None,
    that there is no more. Blocks until it ends."""
    from trainer.finetune import finetune
    from trainer.models.load import load
    from trainer.samples.rows import BlockReader

    job = distributed.from_main(lambda: mine)
    if job is None:
        return None
    loaded: Loaded = load(job.profile, device, adapter=job.adapter, scratch=job.scratch)
    return finetune(
        job.profile,
        loaded,
        BlockReader(job.folder / "rows"),
        {name: BlockReader(job.folder / name) for name in job.sets},
        job.folder,
        plan=job.batches,
        stop=stop,
        told=told,
    )


async def _measure(
    parts: Parts, manifest: Manifest, folder: Path, scratch: Path | None
) -> tuple[str, ...]:
    """Lay down the rows that losses are measured on; the names of the sets that have any."""
    tokenizer = await asyncio.to_thread(_tokenizer, parts.profile, scratch)
    names = []
    for name, rows in measured_sets(manifest, parts.profile.data.recent_files).items():
        if rows and await _make(parts, rows, tokenizer, folder / name, manifest.seed):
            names.append(name)
    return tuple(names)


async def _make(
    parts: Parts, rows: Sequence[Taken], tokenizer: Any, folder: Path, seed: int
) -> int:
    from trainer.samples.produce import produce

    produced = await produce(
        parts.source.texts, rows, parts.profile, tokenizer, folder,
        seed=seed, is_stopping=parts.stop.is_set,
    )  # fmt: skip
    return produced.facts.rows


async def _train_tokenizer(parts: Parts, manifest: Manifest, folder: Path) -> None:
    """From the first texts of the round; a profile's later rounds keep it."""
    from trainer.samples.tokenizer import train_tokenizer

    if (folder / "tokenizer.json").exists():
        return
    texts: list[str] = []
    rows = [row.content_hash for row in manifest.taken if row.side is Side.TRAIN]
    for start in range(0, len(rows), ALIVE_AT_ONCE):
        texts += (await parts.source.texts(rows[start : start + ALIVE_AT_ONCE])).values()
        if sum(map(len, texts)) > TOKENIZER_CHARS:
            break
    size = parts.profile.model.vocab_size
    await asyncio.to_thread(train_tokenizer, texts, size, folder)


def _batches(parts: Parts) -> Batches:
    from trainer.memory import check, plan
    from trainer.models.load import config_of

    config = config_of(parts.profile)
    planned = plan(parts.profile, parts.device, config, distributed.world_size())
    check(planned, parts.profile, parts.device)
    return planned.batches


# -- what a round starts from ----------------------------------------------------------------------


async def lineage(registry: Registry, profile: Profile) -> tuple[Version | None, Version | None]:
    """The first whole model of a `from_scratch` profile, which all others rest on, and the active
    version."""
    versions = {one.version: one for one in await registry.versions(profile.name)}
    active = next((one for one in versions.values() if one.is_active), None)
    if active is None or not profile.model.from_scratch:
        return None, active
    root = active
    while root.parent in versions:
        root = versions[root.parent]
    return root, active


async def parent_of(registry: Registry, profile: Profile, base: Base) -> Version | None:
    """The version that a round's result rests on."""
    if profile.training.start_from == "base":
        return (await lineage(registry, profile))[0]
    versions = await registry.versions(profile.name)
    return next((one for one in versions if one.version == base.version), None)


def scratch_of(profile: Profile, root: Version | None, folder: Path) -> Path | None:
    """Where a `from_scratch` profile has its tokenizer, and in time its first weights."""
    if not profile.model.from_scratch:
        return None
    return Path(root.path) if root else folder / "scratch"


async def _check_base(parts: Parts, manifest: Manifest, root: Version | None) -> None:
    """Raises `Fatal` where the weights are not those that the round was frozen with."""
    from trainer.models.load import base_of

    base = await asyncio.to_thread(base_of, parts.profile, Path(root.path) if root else None)
    if base.digest != manifest.base.digest:
        raise Fatal(
            f"the weights of {base.model} changed since this round was begun: bring the old ones"
            " back, or begin it again with `codelupe-trainer once --anew`"
        )


async def _adapter(parts: Parts, manifest: Manifest) -> Path | None:
    from trainer.release import active_adapter, check_base

    if parts.profile.training.start_from == "base":
        return None
    parent = await parent_of(parts.registry, parts.profile, manifest.base)
    if parent is None:
        return None
    folder = await asyncio.to_thread(active_adapter, parts.models_dir, parent)
    check_base(parts.models_dir, parent, manifest.base)
    return folder


def _tokenizer(profile: Profile, scratch: Path | None) -> Any:
    from trainer.models.load import tokenizer_of

    return tokenizer_of(profile, scratch)


# -- the end ---------------------------------------------------------------------------------------


async def _taken_down(source: Source, manifest: Manifest) -> int:
    """How many of the rows that were trained on."""
    hashes = [row.content_hash for row in manifest.taken if row.side is Side.TRAIN]
    count = 0
    for start in range(0, len(hashes), ALIVE_AT_ONCE):
        count += len(await source.taken_down(hashes[start : start + ALIVE_AT_ONCE]))
    return count


async def _publish(
    parts: Parts,
    holder: Holder,
    session: Session,
    manifest: Manifest,
    trained: Trained,
    folder: Path,
) -> None:
    from trainer.release import next_version, publish

    parts.state.enter(Doing.PUBLISHING, session.name)
    root, active = await lineage(parts.registry, parts.profile)
    known = await parts.registry.versions(parts.profile.name)
    mine = next((one for one in known if one.session_id == session.id), None)
    name = mine.version if mine else session.detail.get("version")
    if name is None:
        name = next_version(parts.models_dir, parts.profile.name, [one.version for one in known])
        detail = {"trained": asdict(trained), "version": name}
        await parts.registry.mark(holder, session.id, SessionStatus.TRAINED, detail)
    is_better = improves(parts.profile, trained)
    parent = await parent_of(parts.registry, parts.profile, manifest.base)
    scratch = scratch_of(parts.profile, root, folder)
    tokenizer = await asyncio.to_thread(_tokenizer, parts.profile, scratch)
    version = await asyncio.to_thread(
        publish, parts.models_dir, parts.profile, manifest, trained, folder / "best", tokenizer,
        parent=parent, version=name, is_active=is_better or active is None,
    )  # fmt: skip
    status = SessionStatus.COMPLETED if version.is_active else SessionStatus.NOT_PROMOTED
    await parts.registry.add_results(session.id, name, version.evaluation_results)
    await _finish(parts, holder, session, status, version=version)
    await tidy(parts)


async def tidy(parts: Parts) -> None:
    """Make the folder of versions agree with the registry: the link, and what may go."""
    from trainer.release import point, prune

    name, keep = parts.profile.name, parts.profile.model_saving.keep_versions
    versions = await parts.registry.versions(name)
    current = next((one.version for one in versions if one.is_active), None)
    await asyncio.to_thread(point, parts.models_dir, name, current)
    await asyncio.to_thread(prune, parts.models_dir, name, versions, keep)


def improves(profile: Profile, trained: Trained) -> bool:
    """Whether a version is better than what it began from, on the fairest set there is: the
    hold-out, else the validation files. What cannot be measured is taken to be better."""
    for name in ("holdout", "validation"):
        if name in trained.before and name in trained.after:
            gain = trained.before[name] - trained.after[name]
            return math.isfinite(gain) and gain > profile.evaluation.min_improvement
    return True


async def _finish(
    parts: Parts,
    holder: Holder,
    session: Session,
    status: SessionStatus,
    reason: str | None = None,
    *,
    version: Version | None = None,
) -> None:
    await parts.registry.finish(holder, session.id, status, reason=reason, version=version)
    parts.state.rounds[status.value] += 1
    what = f"version {version.version}" if version else reason or ""
    parts.events.happened(f"round {session.name} ended: {status.value}: {what}")
    await asyncio.to_thread(shutil.rmtree, _folder(parts, session), ignore_errors=True)


def _folder(parts: Parts, session: Session) -> Path:
    return _home(parts) / ".work" / session.id


def _home(parts: Parts) -> Path:
    return parts.models_dir / parts.profile.name


# -- beside a round --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _recorded(parts: Parts, session: Session) -> AsyncIterator[Callable[[Progress], None]]:
    """While the body runs, what it is told of progress is written down."""
    loop = asyncio.get_running_loop()
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        """From the training's thread."""
        parts.state.told(progress)
        loop.call_soon_threadsafe(told.append, progress)

    async def flush() -> None:
        rows = told[-PROGRESS_MAX:]
        if rows:
            await parts.registry.add_progress(session.id, rows)
            del told[: told.index(rows[-1]) + 1]

    flushing = asyncio.create_task(_repeated(flush))
    try:
        yield tell
    finally:
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        with contextlib.suppress(Transient):
            await flush()


async def _repeated(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        with contextlib.suppress(Transient):  # written down with the next
            await work()
