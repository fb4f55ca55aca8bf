"""Where rows come from: what every source does, held to one contract suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence

from trainer.types import Candidate


class Source(ABC):
    """Rows in the order of their ids; none of them ever appears below a head that was told.

    Methods raise `Transient` where the source is away and `Fatal` where it cannot be used.
    """

    name: str
    """As manifests and watermarks name it: `journal`, `elasticsearch`, `processed_files`, or
    `file:PATH`."""

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def head(self) -> int:
        """Up to which row a window may go now."""

    @abstractmethod
    def rows(self, after_id: int, to_id: int) -> AsyncIterator[list[Candidate]]:
        """Every row of (after_id, to_id] once, by id, a page at a time, with what is true of it
        now."""

    @abstractmethod
    async def texts(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """The texts of those of these contents that are live; the others are left out."""

    @abstractmethod
    async def alive(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of these contents that are live now, and whose text no takedown blanked."""
