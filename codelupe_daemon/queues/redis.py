"""The queues in Redis: the hot path. Every claim is made in the journal, which is the truth.

A task of its own keeps the keys true every few seconds, tells that this process lives, and finds
out when a server that went away is back. Meanwhile the journal answers alone.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from redis.asyncio import Redis as Client
from redis.utils import str_if_bytes

from codelupe_daemon.errors import Transient
from codelupe_daemon.journal.base import Journal, RepositoryRow
from codelupe_daemon.journal.owner import is_alive, this_process
from codelupe_daemon.model import Visit
from codelupe_daemon.queues import redis_scripts as scripts
from codelupe_daemon.queues.base import POLL_S, DatabaseQueues, Queues
from codelupe_daemon.queues.redis_link import CALL_S, Away, Key, Link

T = TypeVar("T")

KNOWN_BATCH: Final = 500
LISTED_BATCH: Final = 1000
ELEMENT_CHARS: Final = 300
OUTSTANDING_MAX: Final = 1_000_000
"""Elements of one process in the list of files."""
DUE_MAX: Final = 100_000
"""Elements of the list of due repositories."""
PAGE_ROWS: Final = 1000
LOOK_BACK_S: Final = 60.0
"""So long after its time a change may become visible (`Journal.repositories_since`)."""

TEND_S: Final = 3.0
REFILL_PAUSE_S: Final = 0.5
PAUSE_FACTOR: Final = 20
"""Upkeep that took a second is not done again for so many, by nobody, up to PAUSE_MAX_S."""
PAUSE_MAX_S: Final = 10.0
LOCK_S: Final = 5.0
BACK_OFF_FIRST_S: Final = 0.5
BACK_OFF_MAX_S: Final = 5.0
DEAD_S: Final = 30.0

_DONE: Final = (Key.DONE, Key.DONE_STATE)
_KNOWN: Final = (Key.KNOWN, Key.KNOWN_STATE)
_OUTSTANDING: Final = (Key.FILES, Key.OUTSTANDING, Key.DAEMONS)


class RedisQueues(Queues):
    """See `Queues`. Without `has_file_set` no content is known before the journal is asked."""

    def __init__(self, journal: Journal, url: str, *, has_file_set: bool = True) -> None:
        """Raises `Fatal` for what is no URL of a Redis."""
        self._journal = journal
        self._database = DatabaseQueues(journal)
        self._has_file_set = has_file_set
        self._owner = f"{this_process()}:{secrets.token_hex(4)}"
        self._link = Link(url)
        self._away = ""
        self._outstanding = 0
        self._outstanding_lock = asyncio.Lock()
        self._tending: asyncio.Task[None] | None = None

        register = self._link.client.register_script
        self._replace = register(scripts.REPLACE)
        self._let_go = register(scripts.LET_GO)
        self._own = register(scripts.OUTSTANDING)
        self._tidy = register(scripts.TIDY)
        self._move = register(scripts.REPOSITORIES)

    @property
    def state(self) -> str:
        if self._away:
            return f"database, because {self._away}"
        if self._link.may_evict:
            return f"redis, which may drop keys (maxmemory-policy {self._link.may_evict})"
        return "redis"

    async def open(self) -> None:
        await self._link.open()
        self._tending = asyncio.create_task(self._tend())

    async def close(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        self._outstanding = 0
        await self._tell_files([])
        await self._link.close()

    async def rebuild(self) -> None:
        """Make the lists and the set of repositories anew from the journal. Raises `Transient`.

        A set of files that is switched off is removed.
        """
        keys = (Key.REPOS, *_DONE, *(() if self._has_file_set else _KNOWN))
        await self._ask(lambda redis: redis.unlink(*keys))
        await self._refill()
        await self._repair()

    # -- repositories ------------------------------------------------------------------------

    async def claim(
        self, owner: str, lease_s: float, wait_s: float
    ) -> tuple[RepositoryRow, Visit] | None:
        until = time.monotonic() + wait_s
        while True:
            self._check_tending()
            some_s = min(max(until - time.monotonic(), 0.0), POLL_S)
            is_listed = False
            try:
                ids = await self._next(some_s)
                is_listed = ids is not None
                claimed = await self._journal.claim_next(owner, lease_s, ids) if ids else None
                if is_listed and claimed is None:  # the list is out of date
                    await self._once(Key.REFILLING, self._refill, REFILL_PAUSE_S)
            except Away:
                claimed = await self._database.claim(owner, lease_s, some_s)
            if claimed is not None or (not is_listed and time.monotonic() >= until):
                return claimed

    async def _next(self, wait_s: float) -> list[int] | None:
        """The next element, empty where that is no id; None where none came in time."""
        if not await self._ask(lambda redis: redis.llen(Key.REPOS)):
            await self._once(Key.REFILLING, self._refill, REFILL_PAUSE_S)
        timeout_s = max(wait_s, 0.01)  # 0 is for ever
        popped = await self._ask(
            lambda redis: redis.blpop([Key.REPOS], timeout=timeout_s), CALL_S + timeout_s
        )
        return None if popped is None else _ids(popped[1])

    async def visited(self, repo_id: int, *, is_done: bool) -> None:
        with suppress(Away):
            await self._note_visits([repo_id] if is_done else [], [] if is_done else [repo_id])

    async def _note_visits(
        self, done: Sequence[int], not_done: Sequence[int], mark: str = "", position: str = ""
    ) -> bool:
        """False where the set has lost something: what was read so far is not all of it."""
        args: list[str | int] = [mark, position, len(done), *done, *not_done]
        return bool(await self._ask(lambda _: self._move(_DONE, args)))

    # -- files -------------------------------------------------------------------------------

    async def known(self, hashes: Sequence[bytes]) -> list[bool]:
        if not self._has_file_set:
            return [False] * len(hashes)
        found: list[bool] = []
        try:
            for first in range(0, len(hashes), KNOWN_BATCH):
                found += await self._are_known(list(hashes[first : first + KNOWN_BATCH]))
        except Away:
            return [False] * len(hashes)
        return found

    async def _are_known(self, hashes: list[bytes]) -> list[bool]:
        return list(map(bool, await self._ask(lambda redis: redis.smismember(Key.KNOWN, hashes))))

    async def listed(self, repo: str, paths: Sequence[str]) -> None:
        for first in range(0, len(paths), LISTED_BATCH):
            batch = paths[first : first + LISTED_BATCH]
            self._outstanding += len(batch)
            await self._tell_files([f"{repo}/{path}"[:ELEMENT_CHARS] for path in batch])

    async def recorded(self, files: int) -> None:
        self._outstanding = max(self._outstanding - files, 0)
        await self._tell_files([])

    async def _tell_files(self, elements: Sequence[str]) -> None:
        with suppress(Away):
            await self._ask(lambda _: self._own_files(elements))

    async def _own_files(self, elements: Sequence[str] = ()) -> None:
        """Make as many elements ours as are outstanding: pushes of these, or pops.

        What an earlier call could not do is made good as far as it can be.
        """
        async with self._outstanding_lock:
            own = min(self._outstanding, OUTSTANDING_MAX)
            await self._own(_OUTSTANDING, [self._owner, own, *elements])

    # -- upkeep ------------------------------------------------------------------------------

    async def _tend(self) -> None:
        """For as long as the queues are open."""
        back_off_s = BACK_OFF_FIRST_S
        while True:
            pause_s = TEND_S
            try:
                await self._link.ask(lambda _: self._own_files())  # asked also while it is away
                self._away = ""
                back_off_s = BACK_OFF_FIRST_S
                await self._once(Key.REFILLING, self._refill, REFILL_PAUSE_S)
                await self._once(Key.REPAIRING, self._repair, TEND_S)
            except Away as away:
                self._away = str(away)
                pause_s, back_off_s = back_off_s, min(2 * back_off_s, BACK_OFF_MAX_S)
            except Transient:
                pass  # the journal is busy: its next time will come
            await asyncio.sleep(pause_s)

    def _check_tending(self) -> None:
        """Raise what ended the upkeep: a journal that cannot be used, or a mistake of ours."""
        if self._tending is not None and self._tending.done():
            self._tending.result()

    async def _once(self, lock: Key, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Do it, unless another process does so now or did so just before."""
        lock_ms = int(1000 * LOCK_S)
        if not await self._ask(lambda redis: redis.set(lock, self._owner, nx=True, px=lock_ms)):
            return
        began = time.monotonic()
        await work()
        took_s = time.monotonic() - began
        pause_ms = int(1000 * max(pause_s, min(PAUSE_FACTOR * took_s, PAUSE_MAX_S)))
        await self._ask(lambda _: self._let_go([lock], [self._owner, pause_ms]))

    async def _refill(self) -> None:
        """The list is what is due, in the journal's order; what was claimed since costs a look."""
        due = await self._journal.due(DUE_MAX)
        await self._ask(lambda _: self._replace([Key.REPOS], [" ".join(map(str, due))]))

    async def _repair(self) -> None:
        """Take dead processes' files out of the list; bring the set of repositories up to date."""
        owners = map(str_if_bytes, await self._ask(lambda redis: redis.hkeys(Key.OUTSTANDING)))
        dead = [owner for owner in owners if not is_alive(owner.rpartition(":")[0])]
        await self._ask(lambda _: self._tidy(_OUTSTANDING, [DEAD_S, *dead]))
        mark = await self._mark()
        changed_at, after_id = await self._position()
        position, is_more = "", True
        while is_more:
            rows = await self._journal.repositories_since(changed_at, after_id, PAGE_ROWS)
            if rows:
                changed_at, after_id = rows[-1].changed_at, rows[-1].id
                position = f"{changed_at!r} {after_id}"
            is_more = len(rows) == PAGE_ROWS
            done = [row.id for row in rows if _is_done(row)]
            others = [row.id for row in rows if not _is_done(row)]
            is_whole = await self._note_visits(done, others, mark, "" if is_more else position)
            is_more = is_more and is_whole
            await self._ask(lambda redis: redis.pexpire(Key.REPAIRING, int(1000 * LOCK_S)))

    async def _mark(self) -> str:
        """Tells the set from one that is filled anew after a loss."""
        new = secrets.token_hex(8)
        await self._ask(lambda redis: redis.hsetnx(Key.DONE_STATE, "mark", new))
        mark = await self._ask(lambda redis: redis.hget(Key.DONE_STATE, "mark"))
        return str_if_bytes(mark or "lost")

    async def _position(self) -> tuple[float, int]:
        """From where to read changes: some time back while earlier ones may still become visible.

        How long ago the newest was found is told by Redis' clock alone, its own time by the
        database's.
        """
        position, moved_at = await self._ask(
            lambda redis: redis.hmget(Key.DONE_STATE, ["position", "moved_at"])
        )
        if position is None or moved_at is None:
            return 0.0, 0
        now, _ = await self._ask(lambda redis: redis.time())
        changed_at, after_id = str_if_bytes(position).split()
        if now - int(moved_at) <= LOOK_BACK_S:
            return float(changed_at) - LOOK_BACK_S, 0
        return float(changed_at), int(after_id)

    async def _ask(self, question: Callable[[Client], Awaitable[T]], limit_s: float = CALL_S) -> T:
        """Raises `Away`, at once while the server is known to be so."""
        if self._away:
            raise Away(self._away)
        try:
            return await self._link.ask(question, limit_s)
        except Away as away:
            self._away = str(away)
            raise


def _ids(element: bytes | str) -> list[int]:
    """At most one, such as a database can hold: anybody may have pushed the element."""
    return [int(element)] if element.isdigit() and len(element) < 19 else []


def _is_done(row: RepositoryRow) -> bool:
    """Whether its last visit that ended was complete; another one may be due or under way."""
    return row.visited_at is not None and row.reason is None
