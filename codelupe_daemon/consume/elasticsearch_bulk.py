"""Writing many documents to Elasticsearch: requests of bounded size, several under way at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

from elasticsearch import ApiError, AsyncElasticsearch

from codelupe_daemon.consume.runner import DeadLetter
from codelupe_daemon.elastic import explained, refusal, told
from codelupe_daemon.errors import Transient

REQUEST_BYTES: Final = 1 << 20
IN_FLIGHT: Final = 4
"""Two cores took 1,200 documents of 7 kB a second so, no more with twice the bytes, and 650 with
one request at a time."""
TIMEOUT_S: Final = 60.0
PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 0.0)
"""After each try, before what a busy server did not take is sent again; shorter by chance."""
_CONFLICT, _TOO_LARGE, _TOO_MANY, _BROKEN = 409, 413, 429, 500
_OF_THE_INDEX: Final = frozenset(
    {"cluster_block_exception", "index_closed_exception", "index_not_found_exception"}
)
_BUSY: Final = frozenset({_TOO_MANY, _BROKEN, 502, 503, 504})


class Action(NamedTuple):
    """What happens to a document because of a journal row: lines of NDJSON."""

    entry_id: int
    lines: bytes


class _Request(NamedTuple):
    """Actions ready to be sent; `borders` of them in the body."""

    entry_ids: Sequence[int]
    body: bytes
    borders: Sequence[int]

    @classmethod
    def of(cls, actions: Sequence[Action]) -> _Request:
        return cls(
            [action.entry_id for action in actions],
            b"".join(action.lines for action in actions),
            list(accumulate((len(action.lines) for action in actions), initial=0)),
        )

    def only(self, numbers: Sequence[int]) -> _Request:
        """These of its actions."""
        places = [slice(*place) for place in pairwise(self.borders)]
        return self.of([Action(self.entry_ids[at], self.body[places[at]]) for at in numbers])

    def halves(self) -> tuple[_Request, _Request]:
        middle = len(self.entry_ids) // 2
        return self.only(range(middle)), self.only(range(middle, len(self.entry_ids)))


class Flight:
    """Requests that are under way at once, of one writer or of several."""

    def __init__(self, in_flight: int = IN_FLIGHT) -> None:
        self._slots = asyncio.Semaphore(in_flight)
        self._bytes = 0
        self.most_bytes = 0

    async def begin(self, size_bytes: int) -> None:
        await self._slots.acquire()
        self._bytes += size_bytes
        self.most_bytes = max(self.most_bytes, self._bytes)

    def end(self, size_bytes: int) -> None:
        self._bytes -= size_bytes
        self._slots.release()


class Writer:
    """What `bulk` gives. `actions` and `refused` are whole when its block has ended."""

    def __init__(
        self,
        es: AsyncElasticsearch,
        index: str,
        group: asyncio.TaskGroup,
        flight: Flight,
        *,
        is_alias: bool,
        request_bytes: int,
    ) -> None:
        self._es = es.options(request_timeout=TIMEOUT_S)
        self._index, self._is_alias = index, is_alias
        self._group, self._flight = group, flight
        self._request_bytes = request_bytes
        self._next: list[Action] = []
        self._next_bytes = 0
        self.actions = 0
        self.refused: list[DeadLetter] = []

    async def add(self, action: Action) -> None:
        """Waits while as many requests as may be are under way."""
        if self._next_bytes + len(action.lines) > self._request_bytes:
            await self.flush()
        self._next.append(action)
        self._next_bytes += len(action.lines)
        self.actions += 1

    async def flush(self) -> None:
        if not self._next:
            return
        size_bytes = self._next_bytes
        await self._flight.begin(size_bytes)
        request, self._next, self._next_bytes = _Request.of(self._next), [], 0
        delivery = self._group.create_task(self._deliver(request))
        # Not in the task itself: one that is cancelled before it began runs no `finally`.
        delivery.add_done_callback(lambda _: self._flight.end(size_bytes))

    async def _deliver(self, request: _Request) -> None:
        with explained():
            self.refused += await self._written(request)

    async def _written(self, request: _Request) -> list[DeadLetter]:
        """Send until each action is taken or refused, with an end."""
        refused: list[DeadLetter] = []
        rest = request
        for pause_s in PAUSES_S:
            outcomes = await self._send(rest)
            busy, no = _settle(rest, outcomes)
            refused += no
            if not busy:
                return refused
            errors = [outcomes[at] for at in busy]
            rest = rest.only(busy)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
        if len(busy) < len(request.entry_ids) and {status for status, _ in errors} == {_BROKEN}:
            # The server breaks at these, and took the others.
            reasons = [_reason(error) for _, error in errors]
            return refused + list(map(DeadLetter, rest.entry_ids, reasons))
        raise refusal(*errors[0])

    async def _send(self, request: _Request) -> list[_Outcome]:
        """What became of each action."""
        try:
            answer = await self._es.bulk(
                index=self._index,
                operations=request.body,  # type: ignore[arg-type]  # ready-made NDJSON
                require_alias=self._is_alias,
                filter_path="items.*.status,items.*.error",
            )
        except ApiError as error:
            if error.meta.status == _TOO_LARGE and len(request.entry_ids) > 1:
                first, second = request.halves()
                return [*await self._send(first), *await self._send(second)]
            if error.meta.status not in (_TOO_LARGE, _TOO_MANY):
                raise
            said = error.body["error"] if error.body else "the server takes no request so large"
            return [(error.meta.status, said)] * len(request.entry_ids)
        outcomes = (next(iter(item.values())) for item in answer["items"])
        return [(outcome["status"], outcome.get("error")) for outcome in outcomes]


_Outcome = tuple[int, Any]
"""Status and error of an action; no error for a delete of what is not there."""


def _settle(request: _Request, outcomes: Sequence[_Outcome]) -> tuple[list[int], list[DeadLetter]]:
    """Numbers of the actions to be sent again, and those that are refused.

    Raises `Transient` and `Gone` where the index as a whole takes nothing.
    """
    busy, refused = [], []
    for at, (status, error) in enumerate(outcomes):
        if error is None or status == _CONFLICT:  # a newer version is there: done
            continue
        if told(error)[0] in _OF_THE_INDEX:
            raise refusal(status, error)
        if status in _BUSY:
            busy.append(at)
        else:
            refused.append(DeadLetter(request.entry_ids[at], _reason(error)))
    return busy, refused


def _reason(error: Any) -> str:
    kind, reason = told(error)
    return f"{kind}: {reason}" if reason else kind


@asynccontextmanager
async def bulk(
    es: AsyncElasticsearch,
    index: str,
    *,
    is_alias: bool = True,
    flight: Flight | None = None,
    request_bytes: int = REQUEST_BYTES,
) -> AsyncIterator[Writer]:
    """At the end of the block the server has all of it on disk, but for what it refused.

    `is_alias`: whether the name must be an alias; else an index is made where there is none.
    Bytes under way are at most `request_bytes` for each request of the flight, more only where a
    single document is larger. Raises `Transient` (some of it may be written), `Gone` and `Fatal`.
    """
    try:
        async with asyncio.TaskGroup() as group:
            writer = Writer(
                es,
                index,
                group,
                flight or Flight(),
                is_alias=is_alias,
                request_bytes=request_bytes,
            )
            yield writer
            await writer.flush()
    except BaseExceptionGroup as several:
        # What does not pass says more than what may.
        raise min(several.exceptions, key=_may_pass) from None


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Transient)
