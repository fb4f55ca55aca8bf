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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from codelupe_daemon.errors import Fatal, Rejected, Transient
from codelupe_daemon.observe.events import Events
from trainer import distributed, release
from trainer.devices import Device
from trainer.errors import Diverged, OutOfMemory
from trainer.intake.base import Source, patiently
from trainer.intake.freeze import freeze, measured_sets
from trainer.memory import Batches
from trainer.observe.state import Doing, State, Stop
from trainer.observe.trackers import recording, tracking
from trainer.profile import Profile
from trainer.registry.base import Holder, Registry, Session, Version
from trainer.types import (
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

HASHES_AT_ONCE = 500
ROUNDS_MAX = 1000
"""Of so many rounds, the newest, what is left in the folder of work is removed."""
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

    @property
    def work(self) -> Path:
        return self.models_dir / self.profile.name / ".work"


class Round(NamedTuple):
    """One that is open. `parts.profile` is as it was frozen."""

    parts: Parts
    session: Session
    manifest: Manifest
    folder: Path
    root: Path | None
    """Of a `from_scratch` profile: the version whose weights all others rest on."""
    parent: Version | None
    """The version that the result rests on."""

    @property
    def scratch(self) -> Path | None:
        """Where a `from_scratch` profile has its tokenizer, and in time its first weights."""
        is_from_scratch = self.parts.profile.model.from_scratch
        return self.root or (self.folder / "scratch" if is_from_scratch else None)

    @property
    def rows(self) -> list[Taken]:
        """That are trained on."""
        return [row for row in self.manifest.taken if row.side is Side.TRAIN]


class Outcome(NamedTuple):
    """How a round ends."""

    status: SessionStatus
    reason: str | None = None
    version: Version | None = None


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
    else:
        parts.events.happened(f"goes on with round {session.name} ({session.status})")
    parts.state.enter(Doing.FREEZING, session.name)
    taken_up = await _taken_up(parts, session)
    try:
        outcome = await _outcome(taken_up, holder)
    except Rejected as rejected:
        outcome = Outcome(SessionStatus.EMPTY, rejected.reason)
    except Diverged as diverged:
        outcome = Outcome(SessionStatus.DIVERGED, str(diverged))
    except OutOfMemory as error:
        raise Fatal(
            f"{error}; then `codelupe-trainer once --anew` begins the round again"
        ) from error
    if outcome:
        await _finish(taken_up.parts, holder, session, outcome)
    return (await patiently(parts.registry.sessions, parts.profile.name, 1))[0]


async def give_up(parts: Parts, holder: Holder) -> None:
    """End the open round, if there is one, as if it had never begun: its rows come again."""
    session = await parts.registry.open_session(parts.profile.name)
    if session is not None:
        await _finish(parts, holder, session, Outcome(SessionStatus.WITHDRAWN, "given up"))


async def _frozen(parts: Parts, holder: Holder) -> Session:
    from trainer.models.load import base_of

    parts.state.enter(Doing.FREEZING)
    versions = await parts.registry.versions(parts.profile.name)
    active = release.active_of(versions)
    root = root_of(parts.profile, parts.models_dir, release.line(versions, active))
    base = await asyncio.to_thread(base_of, parts.profile, root)
    manifest, sides = await freeze(
        parts.source,
        parts.registry,
        parts.profile,
        session_id=str(uuid.uuid4()),
        base=base._replace(version=active),
        seed=parts.profile.training.seed,
        now=int(time.time()),
    )
    session = await parts.registry.begin(holder, manifest, sides)
    rows = sum(row.side is Side.TRAIN for row in manifest.taken)
    left = sum(manifest.not_taken.values())
    parts.events.happened(f"round {session.name}: {rows} to train on, {left} not taken")
    return session


async def _taken_up(parts: Parts, session: Session) -> Round:
    """With the profile as it was when the round was frozen: what was changed since counts from the
    next one on."""
    manifest = await parts.registry.manifest(session.id)
    try:
        profile = Profile.model_validate(dict(manifest.settings))
    except ValidationError as error:
        raise Fatal(
            "the open round was begun by another version of the trainer, whose profile this one"
            f" does not understand ({error.errors()[0]['loc']}): `codelupe-trainer once --anew`"
        ) from error
    versions = await parts.registry.versions(profile.name)
    line = release.line(versions, manifest.base.version)
    parts = replace(parts, profile=profile)
    root = root_of(profile, parts.models_dir, line)
    parent = line[0] if line else None
    if profile.training.start_from == "base":
        parent = line[-1] if root else None
    parts.profile = profile.of_round(is_first=root is None)
    return Round(parts, session, manifest, parts.work / session.id, root, parent)


def root_of(profile: Profile, models_dir: Path, line: Sequence[Version]) -> Path | None:
    """The folder of the whole model that a `from_scratch` profile's versions rest on; `line`: a
    version and what it was trained from. None: its weights are yet to be drawn, or the hub's."""
    if not (line and profile.model.from_scratch):
        return None
    return release.folder_of(models_dir, profile.name, line[-1].version)


async def _outcome(it: Round, holder: Holder) -> Outcome | None:
    """From wherever the round is to what it ends as; None: stopped."""
    if not it.rows:
        raise Rejected("nothing of this window can be trained on")
    registry, detail = it.parts.registry, it.session.detail
    if it.session.status is not SessionStatus.TRAINED:
        ended = await _trained(it, holder)
        if isinstance(ended, Stopped):
            at = f" at step {ended.step}" if ended.step else ""
            it.parts.events.happened(f"stopped{at}: the next start goes on from there")
            return None
        detail = {"trained": asdict(ended), "version": await _next_version(it)}
        await registry.mark(holder, it.session.id, SessionStatus.TRAINED, detail)
    if gone := await _taken_down(it):
        reason = f"{gone} of its rows were taken down meanwhile"
        return Outcome(SessionStatus.WITHDRAWN, reason)
    version = await _published(it, Trained(**detail["trained"]), detail["version"])
    await registry.add_results(it.session.id, version.version, version.evaluation_results)
    status = SessionStatus.COMPLETED if version.is_active else SessionStatus.NOT_PROMOTED
    return Outcome(status, version=version)


# -- training --------------------------------------------------------------------------------------


async def _trained(it: Round, holder: Holder) -> Trained | Stopped:
    from trainer.models.load import tokenizer_of

    parts = it.parts
    with _in_models():
        await asyncio.to_thread(it.folder.mkdir, parents=True, exist_ok=True)
    await _check_base(it)
    if it.scratch and not it.root:
        await _train_tokenizer(it, it.scratch)
    tokenizer = await asyncio.to_thread(tokenizer_of, parts.profile, it.scratch)
    adapter = await _adapter(it)
    batches = await asyncio.to_thread(_batches, parts)
    sets = await _measure(it, tokenizer)
    if parts.stop.is_set():
        return Stopped(parts.state.progress.step)
    job = Job(parts.profile, it.folder, adapter, it.scratch, batches, sets)
    await parts.registry.mark(holder, it.session.id, SessionStatus.TRAINING, {})
    making = asyncio.create_task(_make(it, it.rows, tokenizer, "rows"))
    parts.state.enter(Doing.TRAINING, it.session.name)
    try:
        async with recording(parts.registry, it.session.id, parts.state.told) as told:
            return await asyncio.to_thread(_tracked, it, job, told)
    except Transient:
        if parts.stop.is_set():  # no more rows were made for it
            return Stopped(parts.state.progress.step)
        raise
    finally:
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):  # training has told of it
            await making


def _tracked(it: Round, job: Job, told: Callable[[Progress], None]) -> Trained | Stopped:
    """Trackers wait for their servers, so not in the event loop."""
    parts, session = it.parts, it.session
    logs = parts.models_dir / parts.profile.name / "logs"
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
    try:
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
    except RuntimeError as error:
        said, _, _ = str(error).partition("\n")
        if not said.startswith("CUDA error"):
            raise
        raise Fatal(
            f"{device.name} failed ({said}): the next start, once it is back, goes on from the"
            " newest checkpoint"
        ) from error


async def _check_base(it: Round) -> None:
    """Raises `Fatal` where the weights are not those that the round was frozen with."""
    from trainer.models.load import base_of

    base = await asyncio.to_thread(base_of, it.parts.profile, it.root)
    if base.digest != it.manifest.base.digest:
        raise Fatal(
            f"the weights of {base.model} changed since this round was begun: bring the old ones"
            " back, or begin it again with `codelupe-trainer once --anew`"
        )


async def _adapter(it: Round) -> Path | None:
    """The version that training goes on from, verified."""
    if it.parent is None or it.parts.profile.training.start_from == "base":
        return None
    folder = await asyncio.to_thread(release.active_adapter, it.parts.models_dir, it.parent)
    release.check_base(it.parts.models_dir, it.parent, it.manifest.base)
    return folder


async def _train_tokenizer(it: Round, folder: Path) -> None:
    """From the first texts of the round; a profile's later rounds keep it."""
    from trainer.samples.tokenizer import train_tokenizer

    if (folder / "tokenizer.json").exists():
        return
    texts: list[str] = []
    for some in _hashes(it.rows):
        texts += (await it.parts.source.texts(some)).values()
        if sum(map(len, texts)) > TOKENIZER_CHARS:
            break
    size = it.parts.profile.model.vocab_size
    await asyncio.to_thread(train_tokenizer, texts, size, folder)


def _batches(parts: Parts) -> Batches:
    from trainer.memory import check, plan
    from trainer.models.load import config_of

    planned = plan(parts.profile, parts.device, config_of(parts.profile), distributed.world_size())
    check(planned, parts.profile, parts.device)
    return planned.batches


async def _measure(it: Round, tokenizer: Any) -> tuple[str, ...]:
    """Lay down the rows that losses are measured on; the names of the sets that have any."""
    sets = measured_sets(it.manifest, it.parts.profile.data.recent_files)
    made = [name for name, rows in sets.items() if rows and await _make(it, rows, tokenizer, name)]
    return tuple(made)


async def _make(it: Round, rows: Sequence[Taken], tokenizer: Any, name: str) -> int:
    """Packed rows in the folder of that name; how many."""
    from trainer.samples.produce import produce

    produced = await produce(
        it.parts.source.texts, rows, it.parts.profile, tokenizer, it.folder / name,
        seed=it.manifest.seed, is_stopping=it.parts.stop.is_set,
    )  # fmt: skip
    return produced.facts.rows


# -- the end ---------------------------------------------------------------------------------------


async def _next_version(it: Round) -> str:
    name = it.parts.profile.name
    known = [one.version for one in await it.parts.registry.versions(name)]
    return release.next_version(it.parts.models_dir, name, known)


async def _taken_down(it: Round) -> int:
    """How many of the rows that were trained on."""
    return sum([len(await it.parts.source.taken_down(some)) for some in _hashes(it.rows)])


def _hashes(rows: Sequence[Taken]) -> Iterator[list[bytes]]:
    """Some at once."""
    for start in range(0, len(rows), HASHES_AT_ONCE):
        yield [row.content_hash for row in rows[start : start + HASHES_AT_ONCE]]


async def _published(it: Round, trained: Trained, name: str) -> Version:
    from trainer.models.load import tokenizer_of

    parts = it.parts
    parts.state.enter(Doing.PUBLISHING, it.session.name)
    parts.state.losses = trained.after
    active = release.active_of(await parts.registry.versions(parts.profile.name))
    is_better = active == it.manifest.base.version and improves(parts.profile, trained)
    tokenizer = await asyncio.to_thread(tokenizer_of, parts.profile, it.scratch)
    return await asyncio.to_thread(
        release.publish, parts.models_dir, parts.profile, it.manifest, trained, it.folder / "best",
        tokenizer, parent=it.parent, version=name,
        is_active=is_better or active is None,
    )  # fmt: skip


def improves(profile: Profile, trained: Trained) -> bool:
    """Whether a version is better than what it began from, on the fairest set there is: the
    hold-out, else the validation files. What cannot be measured is taken to be better."""
    for name in ("holdout", "validation"):
        if name in trained.before and name in trained.after:
            gain = trained.before[name] - trained.after[name]
            return math.isfinite(gain) and gain > profile.evaluation.min_improvement
    return True


async def _finish(parts: Parts, holder: Holder, session: Session, outcome: Outcome) -> None:
    status, reason, version = outcome
    # Done twice it changes nothing: an answer that was lost must not begin another round.
    await patiently(
        parts.registry.finish, holder, session.id, status, reason=reason, version=version
    )
    parts.state.rounds[status.value] += 1
    what = f"version {version.version}" if version else reason or ""
    parts.events.happened(f"round {session.name} ended: {status}: {what}")
    with contextlib.suppress(Transient):  # the next start does it
        await tidy(parts)


async def tidy(parts: Parts) -> None:
    """Make the folder of versions agree with the registry: the link, and what may go."""
    name, keep = parts.profile.name, parts.profile.model_saving.keep_versions
    versions = await parts.registry.versions(name)
    rounds = await parts.registry.sessions(name, ROUNDS_MAX)
    ended = {one.id for one in rounds if one.ended_at is not None}
    with _in_models():
        for left in [path for path in parts.work.glob("*") if path.name in ended]:
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
        await asyncio.to_thread(release.point, parts.models_dir, name, versions)
        await asyncio.to_thread(release.prune, parts.models_dir, name, versions, keep)


@contextlib.contextmanager
def _in_models() -> Iterator[None]:
    """Around what is done in the folder of models."""
    try:
        yield
    except OSError as error:
        raise Fatal(
            f"{error.filename} cannot be written ({error.strerror}): let this user write there, or"
            " name another folder for models with --models-dir"
        ) from error
