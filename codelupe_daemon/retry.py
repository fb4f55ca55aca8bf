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
) -> T:
    """Do it until it succeeds; `Transient` goes through once the patience is at its end."""
    delay_s, until = FIRST_S, time.monotonic() + patience_s
    while True:
        try:
            return await work()
        except Transient:
            if is_stopping() or time.monotonic() + delay_s > until:
                raise
        await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
        delay_s = min(2 * delay_s, MAX_S)
