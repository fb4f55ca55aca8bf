"""What the registry decides, statement by statement, whatever the store: no I/O.

Each function is one transaction: it yields statements by their names in sql/, and is sent the rows
of each. So a store is only a driver, and no two of them can decide differently.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

from codelupe_daemon.errors import Fatal, UsageError
from codelupe_daemon.journal.owner import is_alive
from codelupe_daemon.paths import storable
from trainer.errors import StaleTrainer
from trainer.registry import columns, manifests
from trainer.registry.base import Holder, Session, Version
from trainer.registry.columns import Row
from trainer.types import ENDED, Manifest, SessionStatus, Side, Taken


class Ask(NamedTuple):
    """A statement with what is bound to it."""

    name: str
    bound: Sequence[Any] = ()


class Each(NamedTuple):
    """A statement that is run for each of many rows, and gives none."""

    name: str
    rows: Iterable[Sequence[Any]]


T = TypeVar("T")
Steps: TypeAlias = Generator[Ask | Each, list[Row], T]


def ask(name: str, *bound: Any) -> Steps[list[Row]]:
    """One statement, and its rows."""
    return (yield Ask(name, bound))


def each(name: str, bounds: Iterable[Sequence[Any]]) -> Steps[None]:
    yield Each(name, bounds)


# -- who trains -----------------------------------------------------------------------------------


def claim(profile: str, owner: str, lease_s: float) -> Steps[Holder | None]:
    owners = yield Ask("owners", (profile,))
    dead = [one for (one,) in owners if not is_alive(one)]
    taken = yield Ask("claim", (profile, owner, lease_s, dead))
    return Holder(profile, owner, taken[0][0]) if taken else None


def hold(holder: Holder) -> Steps[None]:
    """What follows in the same transaction is the holder's to write. Raises `StaleTrainer`."""
    if not (yield Ask("hold", holder)):
        raise StaleTrainer(holder.profile)


def renew(holder: Holder, lease_s: float) -> Steps[None]:
    yield from hold(holder)
    yield Ask("renew", (holder.profile, lease_s))


def release(holder: Holder) -> Steps[None]:
    yield from hold(holder)
    yield Ask("release", (holder.profile,))


# -- rounds ---------------------------------------------------------------------------------------


def watermark(profile: str, source: str) -> Steps[int]:
    found = yield Ask("watermark", (profile, source))
    return found[0][0] if found else 0


def begin(
    holder: Holder, manifest: Manifest, digest: str, sides: Mapping[str, Side]
) -> Steps[Session]:
    """Again with the same manifest it gives the same round: an answer may have been lost."""
    assert manifest.profile == holder.profile
    yield from hold(holder)
    opened = yield from open_session(manifest.profile)
    if opened is not None:
        [(_, frozen)] = yield Ask("manifest", (opened.id,))
        if frozen == digest:
            return opened
        raise Fatal(f"the round {opened.id} of {manifest.profile} has not ended: go on with it")
    yield Ask("make_watermark", (manifest.profile, manifest.source))
    at = yield from watermark(manifest.profile, manifest.source)
    if at != manifest.from_id:
        raise Fatal(
            f"a round of {manifest.profile} from row {manifest.from_id} of {manifest.source} cannot"
            f" begin: the watermark is at {at}"
        )
    yield Ask("add_session", _session_columns(manifest, digest))
    yield Each("add_example", _examples(manifest))
    yield from _add_sides(manifest, sides)
    return (yield from session(manifest.session_id))


def _session_columns(manifest: Manifest, digest: str) -> Row:
    name = f"{manifest.profile}: {manifest.source} {manifest.from_id + 1} to {manifest.to_id}"
    trained = sum(taken.side is Side.TRAIN for taken in manifest.taken)
    return (
        manifest.session_id, name, manifest.profile, manifest.source, SessionStatus.FROZEN.value,
        manifest.from_id, manifest.to_id, trained, manifests.head(manifest).decode(), digest,
    )  # fmt: skip


def _examples(manifest: Manifest) -> Iterable[Row]:
    for ordinal, taken in enumerate(manifest.taken):
        yield manifest.session_id, ordinal, *manifests.row(taken)


def _add_sides(manifest: Manifest, decided: Mapping[str, Side]) -> Steps[None]:
    known = yield from sides(manifest.profile, list(decided))
    for key, side in known.items():
        if decided[key] is not side:
            raise Fatal(f"{key} of {manifest.profile} is on the side {side}, once and for all")
    new = ((key, side) for key, side in decided.items() if key not in known)
    yield Each(
        "add_side",
        ((manifest.profile, key, side.value, manifest.session_id) for key, side in new),
    )


def open_session(profile: str) -> Steps[Session | None]:
    found = yield Ask("open_session", (profile,))
    return columns.session(found[0]) if found else None


def session(session_id: str) -> Steps[Session]:
    found = yield Ask("session", (session_id,))
    if not found:
        _unknown(session_id)
    return columns.session(found[0])


def written(session_id: str) -> Steps[tuple[str, str, list[Row]]]:
    """A manifest's head, digest and rows."""
    found = yield Ask("manifest", (session_id,))
    if not found:
        _unknown(session_id)
    [(head, digest)] = found
    return head, digest, (yield Ask("examples", (session_id,)))


def _unknown(session_id: str) -> NoReturn:
    raise Fatal(f"the trainer's tables have no round {session_id}")


def mark(
    holder: Holder, session_id: str, status: SessionStatus, detail: Mapping[str, Any]
) -> Steps[None]:
    assert status in {SessionStatus.TRAINING, SessionStatus.TRAINED}
    current = yield from _held_session(holder, session_id)
    if current.ended_at is not None:
        raise Fatal(f"the round {session_id} has ended: it is {current.status}")
    yield Ask("mark", (session_id, status.value, columns.json(detail)))


def finish(
    holder: Holder,
    session_id: str,
    status: SessionStatus,
    reason: str | None,
    version: Version | None,
) -> Steps[None]:
    assert status in ENDED
    current = yield from _held_session(holder, session_id)
    if current.ended_at is not None:
        if current.status is not status:
            raise Fatal(f"the round {session_id} has ended: it is {current.status}, not {status}")
        return
    yield Ask("end_session", (session_id, status.value, reason and storable(reason)))
    if status is not SessionStatus.WITHDRAWN:  # its rows come again
        yield Ask("advance", (current.profile, current.source, current.to_id))
    if version is not None:
        assert (version.profile, version.session_id) == (current.profile, session_id)
        if version.is_active:
            yield Ask("deactivate", (version.profile,))
        if (yield Ask("version_named", (version.profile, version.version))):
            raise Fatal(f"{version.profile} has a version {version.version} already")
        yield Ask("add_version", columns.of_version(version))


def _held_session(holder: Holder, session_id: str) -> Steps[Session]:
    yield from hold(holder)
    current = yield from session(session_id)
    assert current.profile == holder.profile
    return current


# -- what was seen --------------------------------------------------------------------------------


def seen(profile: str, side: Side, limit: int, *, rounds: str) -> Steps[list[Taken]]:
    """New rows on that side, newest first, each content once; `rounds`: the statement that names
    the rounds, newest first."""
    found: dict[bytes, Taken] = {}
    ended = yield Ask(rounds, (profile,))
    for (session_id,) in ended:
        if len(found) >= limit:
            break
        for row in (yield Ask("seen", (session_id, side.value, limit))):
            taken = manifests.taken(row)
            found.setdefault(taken.content_hash, taken)
    return list(found.values())[:limit]


def sides(profile: str, keys: Sequence[str]) -> Steps[dict[str, Side]]:
    found = yield Ask("sides", (profile, list(keys)))
    return {key: Side(side) for key, side in found}


# -- versions -------------------------------------------------------------------------------------


def activate(profile: str, version: str) -> Steps[None]:
    yield Ask("alone", (profile,))
    yield Ask("deactivate", (profile,))
    if not (yield Ask("activate", (profile, version))):
        raise UsageError(
            f"{profile} has no version {version}: `codelupe-trainer versions` lists them"
        )
