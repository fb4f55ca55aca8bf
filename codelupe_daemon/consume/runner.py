"""Whatever is derived from the journal: a consumer, and the one runner that keeps it up to date."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple, TypeVar

from codelupe_daemon.errors import CodeLupeError, Rejected, Transient, UsageError
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.consumers import ConsumerStore, Holder
from codelupe_daemon.model import Entry
from codelupe_daemon.retry import retried

T = TypeVar("T")

PAGE_ROWS = 500
PAGE_CHARS = 8 << 20
FIRST_PAGE_ROWS = 64
LEASE_S = 60.0
POLL_S = 1.0


class Lease(NamedTuple):
    """The right to fill a consumer's store. A higher epoch has made a lower one void."""

    owner: str
    epoch: int


class LeaseLost(CodeLupeError):
    """Another runner took the consumer over: this one has written nothing since."""


class DeadLetter(NamedTuple):
    """A journal row that the consumer could not take."""

    id: int
    reason: str


class Holding(NamedTuple):
    """A content as a derived store has it; None is what it does not keep.

    `newest_id`: the journal row it reflects. `text_hash`: of the text that it really holds.
    """

    content_hash: bytes
    newest_id: int | None = None
    text_hash: bytes | None = None


class Consumer(ABC):
    """A derived store, with a lease, a watermark and dead letters.

    Every method may raise `Transient`; those that are given a lease raise `LeaseLost`, checked in
    the transaction that writes, and then have written nothing.
    """

    name: str
    page_rows: int = PAGE_ROWS
    """How many rows are taken at once, where their texts are short enough."""

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    async def check(self) -> None:  # noqa: B027 - most have nothing that could stand in their way
        """Raises `Fatal` where the store cannot be written as it stands; a replay may mend it."""

    @abstractmethod
    async def claim(self, owner: str, lease_s: float) -> Lease | None:
        """Become the runner for `lease_s`; None while a living one holds the consumer."""

    @abstractmethod
    async def renew(self, lease: Lease, lease_s: float) -> None: ...

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Let the next runner in at once. A lease that was lost is no error here."""

    @abstractmethod
    async def watermark(self) -> int:
        """The id of the last journal row that the store reflects."""

    @abstractmethod
    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
        """Take rows that follow the watermark, all or none, and move it to the last of them.

        Delivery is at least once: rows at or below the watermark change nothing. Raises
        `Rejected` where a row cannot be taken; the runner then finds out which one it is.
        """

    @abstractmethod
    async def bury(self, letter: DeadLetter, lease: Lease) -> None:
        """Record a rejected row as a dead letter and move the watermark to it."""

    @abstractmethod
    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]: ...

    async def caught_up(self, lease: Lease) -> None:  # noqa: B027 - most have nothing to do then
        """The journal's end was reached: make what was taken visible, end a replay.

        Called again at every poll that finds nothing new, so it must be cheap then.
        """

    async def retry(self, entries: Sequence[Entry], lease: Lease) -> None:  # noqa: ARG002 - for those that can
        """Take rows again that were dead letters; those that are taken are so no longer."""
        raise UsageError(f"{self.name} takes rows in their order only: codelupe replay {self.name}")

    def holdings(self) -> AsyncIterator[list[Holding]] | None:
        """Every content in the store, in pages, for `verify --deep`; None if it keeps no list."""
        return None

    async def erase(self) -> None:  # noqa: B027 - most hold no texts
        """Leave no byte in the store's files of what was taken down; for those that hold texts."""

    @abstractmethod
    async def reset(self, lease: Lease) -> None:
        """Empty the store and begin again at 0; the dead letters go too."""


class StoredConsumer(Consumer):
    """A consumer whose lease, watermark and dead letters lie in the journal's database."""

    def __init__(self, store: ConsumerStore) -> None:
        self._states = store

    async def claim(self, owner: str, lease_s: float) -> Lease | None:
        holder = await self._states.claim(self.name, owner, lease_s)
        return None if holder is None else Lease(owner, holder.epoch)

    async def renew(self, lease: Lease, lease_s: float) -> None:
        self._check(is_held=await self._states.renew(self._holder(lease), lease_s))

    async def release(self, lease: Lease) -> None:
        await self._states.release(self._holder(lease))

    async def watermark(self) -> int:
        return await self._states.watermark(self.name)

    async def bury(self, letter: DeadLetter, lease: Lease) -> None:
        await self._advance(lease, letter.id, [letter])

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return [DeadLetter(*row) for row in await self._states.dead_letters(self.name, limit)]

    async def _advance(
        self, lease: Lease, watermark: int, letters: Sequence[DeadLetter] = ()
    ) -> None:
        self._check(
            is_held=await self._states.advance(self._holder(lease), watermark, list(letters))
        )

    def _holder(self, lease: Lease) -> Holder:
        return Holder(self.name, lease.owner, lease.epoch)

    def _check(self, *, is_held: bool) -> None:
        if not is_held:
            raise LeaseLost(f"another runner took over the consumer {self.name}")


class Outcome(StrEnum):
    """How a run ended."""

    CAUGHT_UP = "caught up"
    STOPPED = "stopped"
    HELD = "another runner holds it"
    LEASE_LOST = "another runner took it over"


class Control:
    """What the owner of a runner tells it; safe to use from the loop's own thread only."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.is_draining = False
        self.is_stopping = False

    def wake(self) -> None:
        """The journal has grown."""
        self._event.set()

    def drain(self) -> None:
        """The journal will not grow any more: return once all of it was taken."""
        self.is_draining = True
        self._event.set()

    def stop(self) -> None:
        """Return after the page in hand."""
        self.is_stopping = True
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout_s)
        self._event.clear()


async def run(
    journal: Journal,
    consumer: Consumer,
    *,
    owner: str,
    control: Control,
    replay: bool = False,
    page_rows: int | None = None,
    lease_s: float = LEASE_S,
    poll_s: float = POLL_S,
    patience_s: float = 60.0,
    told: Callable[[Transient | None], None] = lambda _: None,
) -> Outcome:
    """Keep an open consumer up to date until `control` or another runner ends it.

    `replay` empties it first. `owner` is the name of this process (`journal.owner`). What is
    `Transient` is tried again for `patience_s`, then raised; `told` hears of it (see `retried`).
    """
    rows = page_rows or consumer.page_rows
    runner = _Runner(journal, consumer, control, rows, lease_s, poll_s, patience_s, told)
    lease = await runner.retry(lambda: consumer.claim(owner, lease_s))
    if lease is None:
        return Outcome.HELD
    try:
        if replay or await runner.is_ahead():
            await runner.retry(lambda: consumer.reset(lease))
        return await runner.follow(lease)
    except LeaseLost:
        return Outcome.LEASE_LOST
    finally:
        with suppress(Transient):
            await consumer.release(lease)


class _Runner:
    def __init__(
        self,
        journal: Journal,
        consumer: Consumer,
        control: Control,
        page_rows: int,
        lease_s: float,
        poll_s: float,
        patience_s: float,
        told: Callable[[Transient | None], None],
    ) -> None:
        self.journal, self.consumer, self.control = journal, consumer, control
        self.page_rows, self.lease_s = page_rows, lease_s
        self.rows = min(page_rows, FIRST_PAGE_ROWS)
        self.poll_s, self.patience_s, self.told = min(poll_s, lease_s / 3), patience_s, told
        self.renew_at = time.monotonic() + lease_s / 3

    async def is_ahead(self) -> bool:
        """Whether the store was filled from another journal, or from rows that were lost since."""
        read_to = await self.retry(self.consumer.watermark)
        return read_to > await self.retry(self.journal.last_id)

    async def follow(self, lease: Lease) -> Outcome:
        """Take page after page; the next one is read while one is applied."""
        after = await self.retry(self.consumer.watermark)
        ahead = asyncio.create_task(self.read(after))
        try:
            while not self.control.is_stopping:
                page, is_last = await ahead
                if is_last:
                    await self.retry(lambda: self.consumer.caught_up(lease))
                    return Outcome.CAUGHT_UP
                if not page:
                    await self.retry(lambda: self.consumer.caught_up(lease))
                    await self.control.wait(self.poll_s)
                await self.renew(lease)
                after = page[-1].id if page else after
                ahead = asyncio.create_task(self.read(after))
                await self.take(page, lease)
            return Outcome.STOPPED
        finally:
            ahead.cancel()
            with suppress(asyncio.CancelledError, CodeLupeError):
                await ahead

    async def renew(self, lease: Lease) -> None:
        """Before a third of the lease is over, however much there is to take."""
        if time.monotonic() >= self.renew_at:
            await self.retry(lambda: self.consumer.renew(lease, self.lease_s))
            self.renew_at = time.monotonic() + self.lease_s / 3

    async def read(self, after: int) -> tuple[list[Entry], bool]:
        """The next page, and whether it is empty for good: told before the read began."""
        is_draining = self.control.is_draining
        page = await self.retry(lambda: self.journal.read(after, self.rows))
        self.rows = self.next_rows(page)
        return page, is_draining and not page

    def next_rows(self, page: Sequence[Entry]) -> int:
        """As many as the texts of this page let expect to fit; never more than twice as many."""
        chars = sum(entry.content_chars for entry in page if entry.content is not None)
        fitting = len(page) * PAGE_CHARS // max(chars, 1) if page else self.rows
        return max(1, min(fitting, 2 * self.rows, self.page_rows))

    async def take(self, entries: Sequence[Entry], lease: Lease) -> None:
        """Apply; where something is rejected, halve until the row is alone, and bury that one."""
        if not entries:
            return
        try:
            await self.retry(lambda: self.consumer.apply(entries, lease))
        except Rejected as rejected:
            if len(entries) == 1:
                letter = DeadLetter(entries[0].id, rejected.reason)
                await self.retry(lambda: self.consumer.bury(letter, lease))
                return
            middle = len(entries) // 2
            await self.take(entries[:middle], lease)
            await self.take(entries[middle:], lease)

    async def retry(self, work: Callable[[], Awaitable[T]]) -> T:
        return await retried(work, self.patience_s, lambda: self.control.is_stopping, self.told)
