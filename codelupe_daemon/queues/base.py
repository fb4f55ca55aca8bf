"""What the way of a file asks of the shared queues, and the answers without any server for them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from codelupe_daemon.journal.base import Journal, RepositoryRow
from codelupe_daemon.model import Visit

POLL_S = 1.0


class Queues(ABC):
    """A help, never the truth: whatever it loses or makes up costs time and nothing else.

    No method raises because a server is away; `state` says so.
    """

    @property
    @abstractmethod
    def state(self) -> str:
        """For people: `database`, `redis`, or why redis is not used now."""

    @abstractmethod
    async def open(self) -> None:
        """Raises `Fatal` where the settings are wrong: before any work is taken."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def claim(
        self, owner: str, lease_s: float, wait_s: float
    ) -> tuple[RepositoryRow, Visit] | None:
        """A due repository, claimed in the journal; waits up to `wait_s` for one."""

    @abstractmethod
    async def known(self, hashes: Sequence[bytes]) -> list[bool]:
        """Whether each of these contents is live as far as is known; False where not sure."""

    @abstractmethod
    async def listed(self, repo: str, paths: Sequence[str]) -> None:
        """Files of a repository are on their way to the journal."""

    @abstractmethod
    async def recorded(self, files: int) -> None:
        """So many of this process's listed files are in the journal, or will never be."""

    @abstractmethod
    async def visited(self, repo_id: int, *, is_done: bool) -> None:
        """A visit ended; `is_done`: it was complete."""


class DatabaseQueues(Queues):
    """The journal alone: repositories are claimed where they stand, nothing else is shared."""

    state = "database"

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def claim(
        self, owner: str, lease_s: float, wait_s: float
    ) -> tuple[RepositoryRow, Visit] | None:
        until = asyncio.get_running_loop().time() + wait_s
        while True:
            claimed = await self._journal.claim_next(owner, lease_s)
            left_s = until - asyncio.get_running_loop().time()
            if claimed is not None or left_s <= 0:
                return claimed
            await asyncio.sleep(min(POLL_S, left_s))

    async def known(self, hashes: Sequence[bytes]) -> list[bool]:
        return [False] * len(hashes)

    async def listed(self, repo: str, paths: Sequence[str]) -> None: ...

    async def recorded(self, files: int) -> None: ...

    async def visited(self, repo_id: int, *, is_done: bool) -> None: ...
