"""The progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

from codelupe_daemon.tally import Tally

LIVE_PERIOD_S = 0.2
PLAIN_PERIOD_S = 10.0


def shown(tally: Tally) -> contextlib.AbstractAsyncContextManager[None]:
    """Show the tally on standard error while the body runs."""
    return showing(lambda: line(tally))


@contextlib.asynccontextmanager
async def showing(now: Callable[[], str]) -> AsyncIterator[None]:
    """Show a line on standard error while the body runs; an empty one is not printed."""
    console = Console(stderr=True)
    show = _live(console, now) if console.is_terminal else _plain(now)
    task = asyncio.create_task(show)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def counting(things: str, *, is_alone: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a count on standard error, where that is a terminal and nothing else is shown on it.

    `is_alone`: nothing goes to standard output meanwhile.
    """
    console = Console(stderr=True)
    if not console.is_terminal or (sys.stdout.isatty() and not is_alone):
        yield lambda _: None
        return
    with Live(console=console, transient=True, refresh_per_second=1 / LIVE_PERIOD_S) as live:
        yield lambda count: live.update(Text(f"{count:,} {things}"))


async def _live(console: Console, now: Callable[[], str]) -> None:
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            live.update(Text(now()), refresh=True)
            await asyncio.sleep(LIVE_PERIOD_S)


async def _plain(now: Callable[[], str]) -> None:
    while True:
        await asyncio.sleep(PLAIN_PERIOD_S)
        if text := now():
            print(text, file=sys.stderr, flush=True)


def line(tally: Tally) -> str:
    """How far a run is, on one line."""
    ended = len(tally.done) + len(tally.failed)
    parts = [
        f"{ended}/{tally.sources} sources",
        f"{tally.files_judged:,} of {tally.files_found:,} files",
        f"{tally.files_judged / max(tally.seconds, 0.1):,.0f} files/s",
    ]
    if 0 < ended < tally.sources:
        eta_s = tally.seconds / ended * (tally.sources - ended)
        parts.append(f"about {duration(eta_s)} left")
    if ended == tally.sources and tally.sources:
        parts.append("consumers catch up")
    if tally.away:
        parts.append(f"waiting for the store: {tally.away}")
    ended_names = {*tally.done, *(name for name, _ in tally.failed)}
    if tally.waiting and tally.waiting not in ended_names:
        parts.append(f"{tally.waiting} is visited by another process: waiting")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """1:02:03, or 0:07."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"
