"""Which repository is whose: claims that are held while a visit lasts."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable

from codelupe_daemon.errors import Rejected, StaleVisit
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import Repo, Visit
from codelupe_daemon.retry import retried

CLAIM_POLL_S = 0.5


class Frontier:
    """Claims for one process, `owner`, on a journal that others may work on too."""

    def __init__(self, journal: Journal, owner: str, *, lease_s: float, wait_s: float) -> None:
        self._journal = journal
        self._owner = owner
        self._lease_s = lease_s
        self._wait_s = wait_s

    async def claim(
        self, repo: Repo, waiting: Callable[[str], None], is_stopping: Callable[[], bool]
    ) -> Visit | None:
        """Take the repository, waiting (and saying so, once) while another process visits it.

        None where the wait was to end. Raises `Rejected` when it takes longer than `wait_s`.
        """
        repo_id = await self._journal.register(repo)
        deadline = asyncio.get_running_loop().time() + self._wait_s
        is_told = False
        while True:
            visit = await self._journal.claim(repo_id, self._owner, self._lease_s)
            if visit is not None or is_stopping():
                return visit
            if asyncio.get_running_loop().time() > deadline:
                raise Rejected(f"another process has been visiting it for {self._wait_s:.0f} s")
            if not is_told:
                waiting(repo.full_name)
                is_told = True
            await asyncio.sleep(CLAIM_POLL_S)

    @contextlib.asynccontextmanager
    async def held(self, visit: Visit) -> AsyncIterator[None]:
        """Renew the claim while the body runs."""
        renewal = asyncio.create_task(self._renew(visit))
        try:
            yield
        finally:
            renewal.cancel()

    async def _renew(self, visit: Visit) -> None:
        """A claim that was lost is not reported here: the next append of the visit is refused."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                await retried(lambda: self._journal.renew(visit, self._lease_s), math.inf)
            except StaleVisit:
                return
