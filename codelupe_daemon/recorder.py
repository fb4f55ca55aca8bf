"""record: pieces of visits become batches in the journal. One recorder a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from codelupe_daemon.errors import Rejected, StaleVisit, TextsMissing, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import Part, Recorded, Visit
from codelupe_daemon.queues.base import Queues
from codelupe_daemon.retry import retried
from codelupe_daemon.tally import Tally

T = TypeVar("T")
RECORD_WAIT_S = 0.02
RECORD_BYTES = 32 << 20


@dataclass(slots=True)
class Sending:
    """How much of a visit is still on its way to the journal."""

    visit: Visit
    unrecorded: int = 0
    """Files that the queues were told of as listed, and not yet as recorded."""
    on_the_way: int = 0
    error: Rejected | Transient | None = None
    """Why what was sent is not in the journal."""
    drained: asyncio.Event = field(default_factory=asyncio.Event)


class _Piece(NamedTuple):
    """A part that is ready to be recorded."""

    of: Sending
    part: Part


class Recorder:
    """Gathers parts into appends. `queued` parts wait at most; whoever has more waits, too."""

    def __init__(
        self,
        journal: Journal,
        queues: Queues,
        tally: Tally,
        *,
        rows: int,
        queued: int,
        patience_s: float,
        on_recorded: Callable[[], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._queues = queues
        self._tally = tally
        self._rows = rows
        self._pieces: asyncio.Queue[_Piece | None] = asyncio.Queue(queued)
        self._on_the_way = 0
        self._on_recorded = on_recorded
        self._is_stopping = is_stopping
        self.patience_s = patience_s

    def expect(self, sending: Sending) -> None:
        """A part will be put: until then a batch may wait for it."""
        sending.on_the_way += 1
        self._on_the_way += 1
        sending.drained.clear()

    async def put(self, sending: Sending, part: Part) -> None:
        await self._pieces.put(_Piece(sending, part))

    async def end(self) -> None:
        """Nothing more will come."""
        await self._pieces.put(None)

    async def run(self) -> None:
        """Record whatever is put, until `end`."""
        free = asyncio.Semaphore(self._journal.appends_at_once)
        async with asyncio.TaskGroup() as appends:
            while (piece := await self._pieces.get()) is not None:
                pieces, is_last = await self._gather(piece)
                await free.acquire()
                appends.create_task(self._record(pieces)).add_done_callback(
                    lambda _: free.release()
                )
                if is_last:
                    return

    async def _record(self, pieces: Sequence[_Piece]) -> None:
        await self._append(pieces)
        self._on_recorded()

    async def _gather(self, piece: _Piece) -> tuple[list[_Piece], bool]:
        """Pieces for one append: enough rows to be worth it, unless nothing more comes."""
        pieces, rows, size_bytes = [piece], len(piece.part.occurrences), _size_bytes(piece)
        while rows < self._rows and size_bytes < RECORD_BYTES:
            if len(pieces) == self._on_the_way:
                break
            try:
                more = await asyncio.wait_for(self._pieces.get(), RECORD_WAIT_S)
            except TimeoutError:
                break
            if more is None:
                return pieces, True
            pieces.append(more)
            rows += len(more.part.occurrences)
            size_bytes += _size_bytes(more)
        return pieces, False

    async def _append(self, pieces: Sequence[_Piece]) -> None:
        try:
            with self._tally.timed("record"):
                self._tally.recorded(await self._put([piece.part for piece in pieces]))
        except StaleVisit as stale:
            if len(pieces) > 1:
                for piece in pieces:
                    await self._append([piece])
                return
            pieces[0].of.error = stale
        except Transient as away:
            if not self._is_stopping():
                raise
            for piece in pieces:
                piece.of.error = away
        await self._arrived(pieces)

    async def _put(self, parts: Sequence[Part]) -> Recorded:
        """Known texts need not travel; where one turns out to be missing, all of them do."""
        lean = await self._without_known_texts(parts)
        try:
            return await self._ask(lambda: self._journal.append(lean))
        except TextsMissing:
            return await self._ask(lambda: self._journal.append(parts))

    async def _without_known_texts(self, parts: Sequence[Part]) -> Sequence[Part]:
        hashes = list({content_hash for part in parts for content_hash, _ in part.contents})
        answers = zip(hashes, await self._queues.known(hashes), strict=True)
        known = {content_hash for content_hash, is_known in answers if is_known}
        return [_without_texts(part, known) for part in parts] if known else parts

    async def _ask(self, work: Callable[[], Awaitable[T]]) -> T:
        return await retried(work, self.patience_s, self._is_stopping, self._tally.journal_away)

    async def _arrived(self, pieces: Sequence[_Piece]) -> None:
        """These pieces are in the journal, or will never be."""
        self._on_the_way -= len(pieces)
        for sending, part in pieces:
            sending.unrecorded -= len(part.occurrences)
            sending.on_the_way -= 1
            if not sending.on_the_way:
                sending.drained.set()
        await self._queues.recorded(sum(len(piece.part.occurrences) for piece in pieces))


def _size_bytes(piece: _Piece) -> int:
    return sum(len(content.packed or b"") for content in piece.part.contents.values())


def _without_texts(part: Part, known: set[bytes]) -> Part:
    contents = {
        key: content._replace(packed=None) if key[0] in known else content
        for key, content in part.contents.items()
    }
    return part._replace(contents=contents)
