"""What the journal's database keeps for consumers: lease, watermark and dead letters of each.

For those whose own store cannot write a watermark in the transaction that fills it, or that share
this database.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple


class Holder(NamedTuple):
    """Who may write for a consumer. A higher epoch has made a lower one void."""

    consumer: str
    owner: str
    epoch: int


Letter = tuple[int, str]
"""A journal row that a consumer could not take, and why."""


class ConsumerStore(ABC):
    """Methods raise `Transient` and `Fatal` as those of `Journal` do.

    Those that are given a holder answer False, and have written nothing, where it holds no more.
    """

    @abstractmethod
    async def open(self) -> None:
        """The journal must have been opened before: it makes the tables."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def claim(self, consumer: str, owner: str, lease_s: float) -> Holder | None:
        """Become the consumer's runner for `lease_s`; None while a living one holds it."""

    @abstractmethod
    async def renew(self, holder: Holder, lease_s: float) -> bool: ...

    @abstractmethod
    async def release(self, holder: Holder) -> bool: ...

    @abstractmethod
    async def watermarks(self) -> dict[str, int]:
        """Of every consumer that ever ran here."""

    @abstractmethod
    async def watermark(self, consumer: str) -> int:
        """0 for one that never ran."""

    @abstractmethod
    async def advance(self, holder: Holder, watermark: int, letters: Sequence[Letter] = ()) -> bool:
        """Record dead letters and move the watermark, never back."""

    @abstractmethod
    async def dead_letters(self, consumer: str, limit: int) -> list[Letter]:
        """By row id."""

    @abstractmethod
    async def exhume(self, holder: Holder, ids: Sequence[int]) -> bool:
        """Forget these dead letters: their rows were taken after all."""

    @abstractmethod
    async def restart(self, holder: Holder) -> bool:
        """Forget all dead letters; the watermark is 0."""
