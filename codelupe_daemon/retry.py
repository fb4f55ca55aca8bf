"""Trying again what is `Transient`: with back-off, jitter and an end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from codelupe_daemon.errors import Transient

T = TypeVar("T")
FIRST_S = 0.1
MAX_S = 10.0


async def retried(
    work: Callable[[], Awaitable[T]],
    patience_s: float,
    is_stopping: Callable[[], bool] = lambda: False,
    told: Callable[[Transient | None], None] = lambda _: None,
) -> T:
    """Do it until it succeeds; `Transient` goes through once the patience is at its end.

    `told` hears of every failure that is tried again, and None once any answer follows: also one
    that is an error, as a server that refuses works again.
    """
    delay_s, until, has_failed = FIRST_S, time.monotonic() + patience_s, False
    while True:
        try:
            result = await work()
        except Transient as error:
            if is_stopping() or time.monotonic() + delay_s > until:
                raise
            has_failed = True
            told(error)
        except Exception:
            if has_failed:
                told(None)
            raise
        else:
            if has_failed:
                told(None)
            return result
        await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
        delay_s = min(2 * delay_s, MAX_S)
