"""What every store of the registry does; one contract suite holds each of them to it.

The tables lie in the journal's database where that is a server, else in a file beside it. They
hold ids, hashes and figures, never text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from trainer.types import Manifest, Progress, SessionStatus, Side, Taken


class Holder(NamedTuple):
    """Who trains a profile. A higher epoch has made a lower one void."""

    profile: str
    owner: str
    epoch: int


class Session(NamedTuple):
    """A round. Times are seconds since 1970 by the database's clock."""

    id: str
    name: str
    profile: str
    source: str
    status: SessionStatus
    from_id: int
    to_id: int
    samples: int
    reason: str | None
    detail: Mapping[str, Any]
    """What the state's writer left for whoever goes on: figures, a folder, a version."""
    started_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Version:
    """A published model. `performance_metrics` are of its training, `evaluation_results` of its
    losses and measures."""

    id: str
    session_id: str
    profile: str
    version: str
    path: str
    base_model: str
    parent: str | None
    """The version that its training began from."""
    digest: str
    """Of its files' hashes."""
    is_active: bool
    created_at: int
    performance_metrics: Mapping[str, Any] = field(default_factory=dict)
    evaluation_results: Mapping[str, Any] = field(default_factory=dict)


class Totals(NamedTuple):
    """The figures of `codelupe-trainer status`."""

    runs: int
    samples_trained: int
    last_run: int | None
    """When the last round ended; seconds since 1970."""


class Registry(ABC):
    """Methods may be called from several tasks. They raise `Transient` where the store is busy or
    away, and `Fatal` where it cannot be used. Those that are given a holder raise `StaleTrainer`
    where it holds no more, and have then written nothing.
    """

    @abstractmethod
    async def open(self) -> None:
        """Open the store and bring its schema up to date; refuses a newer one (`Fatal`)."""

    @abstractmethod
    async def close(self) -> None: ...

    # -- who trains ---------------------------------------------------------------------------

    @abstractmethod
    async def claim(self, profile: str, owner: str, lease_s: float) -> Holder | None:
        """Become the profile's trainer for `lease_s`; None while a living one holds it."""

    @abstractmethod
    async def renew(self, holder: Holder, lease_s: float) -> None: ...

    @abstractmethod
    async def release(self, holder: Holder) -> None: ...

    # -- rounds -------------------------------------------------------------------------------

    @abstractmethod
    async def watermark(self, profile: str, source: str) -> int:
        """Up to which row of this source every one was considered; 0 for a new profile."""

    @abstractmethod
    async def last_taken(self, profile: str, source: str) -> tuple[int, bytes] | None:
        """Id and content of the last new row of this source that a round trained on."""

    @abstractmethod
    async def begin(self, holder: Holder, manifest: Manifest, sides: Mapping[str, Side]) -> Session:
        """Freeze the manifest, FROZEN, with the sides that were decided for it, all or nothing.

        Raises `Fatal` where a session of the profile is open, or the watermark is not `from_id`.
        """

    @abstractmethod
    async def open_session(self, profile: str) -> Session | None:
        """The round that has not ended; there is at most one."""

    @abstractmethod
    async def manifest(self, session_id: str) -> Manifest: ...

    @abstractmethod
    async def mark(
        self, holder: Holder, session_id: str, status: SessionStatus, detail: Mapping[str, Any]
    ) -> None:
        """Move an open round to TRAINING or TRAINED; `detail` replaces what was there."""

    @abstractmethod
    async def finish(
        self,
        holder: Holder,
        session_id: str,
        status: SessionStatus,
        *,
        reason: str | None = None,
        version: Version | None = None,
    ) -> None:
        """End a round: its state, its version, which one is active, and the watermark, in one
        transaction; done twice it changes nothing more. The watermark moves to the manifest's
        `to_id`, but stays where a round is WITHDRAWN: its rows come again. A version with
        `is_active` makes the profile's others inactive.
        """

    @abstractmethod
    async def sessions(self, profile: str | None, limit: int) -> list[Session]:
        """Newest first."""

    @abstractmethod
    async def totals(self, profile: str) -> Totals: ...

    # -- what was seen ------------------------------------------------------------------------

    @abstractmethod
    async def trained(self, profile: str, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of these contents that a completed or not promoted round has trained on."""

    @abstractmethod
    async def replay(self, profile: str, limit: int) -> list[Taken]:
        """NEW rows of the train side of ended, trained rounds, newest first, each content once."""

    @abstractmethod
    async def measured(self, profile: str, side: Side, limit: int) -> list[Taken]:
        """Rows of that side that ended rounds saw, newest first, each content once."""

    @abstractmethod
    async def sides(self, profile: str, keys: Sequence[str]) -> dict[str, Side]:
        """What was decided, once and for all, for `repo:NAME` and `cluster:HEX`."""

    @abstractmethod
    async def all_sides(self, profile: str) -> dict[str, Side]:
        """Of every repository (`repo:NAME`)."""

    # -- versions -----------------------------------------------------------------------------

    @abstractmethod
    async def versions(self, profile: str | None = None) -> list[Version]:
        """Newest first."""

    @abstractmethod
    async def activate(self, profile: str, version: str) -> None:
        """Make a published version the active one. Raises `UsageError` for an unknown one."""

    # -- figures ------------------------------------------------------------------------------

    @abstractmethod
    async def add_progress(self, session_id: str, rows: Sequence[Progress]) -> None: ...

    @abstractmethod
    async def add_results(
        self, session_id: str, version: str | None, results: Mapping[str, float]
    ) -> None:
        """Figures by name: `validation loss before`, `validation loss`, ..."""
