"""Short words for rounds: rows by a word, manifests of them, versions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from codelupe_daemon.journal.owner import this_process
from trainer.registry.base import Holder, Registry, Session, Version
from trainer.types import Base, Manifest, NotTaken, Origin, SessionStatus, Side, Taken

PROFILE = "demo"
SOURCE = "journal"
LEASE_S = 60.0
EXPIRED_S = -1.0


def hash_of(word: str) -> bytes:
    return hashlib.blake2b(word.encode(), digest_size=16).digest()


def row(number: int, word: str, side: Side = Side.TRAIN, origin: Origin = Origin.NEW) -> Taken:
    """A row whose facts differ by its number; odd ones know neither language nor license."""
    known = number % 2 == 0
    return Taken(
        number, hash_of(word), f"owner/größe-{number % 3}", f"src/it's \"{word}\".py",
        "Python" if known else None, "MIT" if known else None, 70.1 + number, 100 + number,
        1_700_000_000 + number, side, origin,
    )  # fmt: skip


def manifest(
    session_id: str,
    taken: Sequence[Taken] = (),
    window: tuple[int, int] = (0, 100),
    *,
    profile: str = PROFILE,
    source: str = SOURCE,
) -> Manifest:
    settings = {"data": {"min_quality": 70.0, "languages": ["Rust"]}, "name": profile, "seed": None}
    return Manifest(
        session_id, profile, source, *window, 42, Base("tiny", "main", "abc", None), settings,
        tuple(taken), {NotTaken.TOO_LONG: 3, NotTaken.NOT_LIVE: 1}, 1_700_000_000, 2,
    )  # fmt: skip


def version(
    session_id: str,
    name: str,
    *,
    parent: str | None = None,
    is_active: bool = True,
    profile: str = PROFILE,
) -> Version:
    return Version(
        f"{profile}-{name}", session_id, profile, name, f"/models/{profile}/{name}", "tiny", parent,
        "feed", is_active, 1_700_000_000, {"steps": 9, "seconds": 1.5}, {"validation loss": 2.25},
    )  # fmt: skip


@dataclass
class Rounds:
    """Rounds of one profile, each from where the one before ended."""

    registry: Registry
    holder: Holder

    def __post_init__(self) -> None:
        self._numbers = count(1)

    async def begin(self, *taken: Taken, source: str = SOURCE) -> Session:
        profile = self.holder.profile
        at = await self.registry.watermark(profile, source)
        name = f"{profile}-{at}-{next(self._numbers)}"
        made = manifest(name, taken, (at, at + 100), profile=profile, source=source)
        return await self.registry.begin(self.holder, made, {})

    async def end(
        self, *taken: Taken, status: SessionStatus, made: str | None = None,
        parent: str | None = None,
    ) -> Session:  # fmt: skip
        """A whole round; `made`: the name of the version that it publishes."""
        session = await self.begin(*taken)
        is_active = status is SessionStatus.COMPLETED
        published = made and version(
            session.id, made, parent=parent, is_active=is_active, profile=session.profile
        )
        await self.registry.finish(self.holder, session.id, status, version=published or None)
        return session


async def rounds(registry: Registry, profile: str = PROFILE) -> Rounds:
    holder = await registry.claim(profile, this_process(), LEASE_S)
    assert holder is not None
    return Rounds(registry, holder)
