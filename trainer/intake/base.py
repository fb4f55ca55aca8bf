"""Where rows come from: what every source does, held to one contract suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import Final, NamedTuple, ParamSpec, TypeVar

from codelupe_daemon.journal.clusters import Member
from codelupe_daemon.retry import retried
from trainer.profile import Profile
from trainer.types import Candidate

T = TypeVar("T")
P = ParamSpec("P")
CONNECTIONS_MAX: Final = 5
"""Of a source to a database."""
PATIENCE_S = 120.0
"""For how long a source that is away is asked again, before `Transient` goes through."""


def blocks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """As many rows at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


async def patiently(work: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
    """Do it again while it is `Transient`: what a source does is only reading."""
    return await retried(lambda: work(*args, **options), PATIENCE_S)


class Pending(NamedTuple):
    """What waits behind a watermark. `passing`: rows that a round could take."""

    watermark: int
    head: int
    to_id: int
    """Where the next window ends."""
    rows: int
    passing: int
    is_full: bool
    """The window is as long as one may be: it will not grow by waiting."""


class Source(ABC):
    """Rows in the order of their ids; none of them ever appears below a head that was told.

    Readings are tried again for `PATIENCE_S` where the source is away.
    Methods raise `Transient` where the source is away and `Fatal` where it cannot be used.
    """

    name: str
    """As manifests and watermarks name it: `journal`, `elasticsearch`, `processed_files`, or
    `file:PATH`."""

    counted: tuple[Profile, Pending] | None = None
    """What a poll found last, for the next one to go on from; of one process, and its profile."""

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def head(self) -> int:
        """Up to which row a window may go now."""

    @abstractmethod
    def rows(self, after_id: int, to_id: int) -> AsyncGenerator[list[Candidate], None]:
        """Every row of (after_id, to_id] once, by id, a page at a time, with what is true of it
        now."""

    async def told(self, row_id: int) -> bytes | None:
        """The content that this row has always told of, empty where there is no such row; None
        where rows change and go."""
        async for page in self.rows(row_id - 1, row_id):
            return page[0].content_hash
        return b""

    @abstractmethod
    async def texts(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """The texts of those of these contents that are live; the others are left out."""

    @abstractmethod
    async def alive(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of these contents that are live now, and whose text no takedown blanked."""

    async def taken_down(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of these contents that nobody may see any more. Where a source does not tell why
        something is gone, all that is."""
        return set(hashes) - await self.alive(hashes)

    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:  # noqa: ARG002 - of those that know near-duplicates
        """Of those of these contents that have near-duplicates: all that live of the cluster, the
        one added first before the others."""
        return {}
