"""Dead letters: journal rows that a consumer could not take, to see and to try again."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from codelupe_daemon.app.stores import consumer_named, consumer_openings, journal
from codelupe_daemon.config import Settings
from codelupe_daemon.consume.runner import LEASE_S, Consumer
from codelupe_daemon.errors import Rejected, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Entry

LETTERS_MAX: Final = 10_000
"""Of one consumer, seen or tried at once."""


async def dead_letters(
    settings: Settings, consumer: str | None, *, retry: bool
) -> list[dict[str, Any]]:
    """The shape of `codelupe dead-letters --json`; with `retry`, what is left after trying again.

    Raises `UsageError` where a consumer can only be replayed, `Transient` where another process
    runs it.
    """
    left: list[dict[str, Any]] = []
    async with journal(settings, to_look=not retry) as store:
        if consumer is not None:
            openings = [consumer_named(settings, store, consumer, to_look=not retry)]
        else:
            openings = [*consumer_openings(settings, store, to_look=not retry).values()]
        for opening in openings:
            async with opening() as one:
                if retry:
                    await _retry(store, one)
                left += [
                    _letter(one.name, letter.id, letter.reason, await _row(store, letter.id))
                    for letter in await one.dead_letters(LETTERS_MAX)
                ]
    return left


async def _retry(store: Journal, consumer: Consumer) -> None:
    letters = await consumer.dead_letters(LETTERS_MAX)
    if not letters:
        return
    lease = await consumer.claim(this_process(), LEASE_S)
    if lease is None:
        raise Transient(f"another process runs {consumer.name}: end it and run the command again")
    try:
        for letter in letters:
            await consumer.renew(lease, LEASE_S)
            row = await _row(store, letter.id)
            with contextlib.suppress(Rejected):  # it stays what it is
                await consumer.retry([row], lease)
    finally:
        with contextlib.suppress(Transient):
            await consumer.release(lease)


async def _row(store: Journal, row_id: int) -> Entry:
    [row] = await store.read(row_id - 1, 1)
    return row


def _letter(consumer: str, row_id: int, reason: str, row: Entry) -> dict[str, Any]:
    return {
        "consumer": consumer,
        "row": row_id,
        "id": row.content_hash.hex(),
        "repo": row.place.repo,
        "path": row.place.path,
        "reason": reason,
    }
