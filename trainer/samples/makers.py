"""Makers in processes of their own, one a core: Python is left to the thread that trains, and the
makers do not wait for each other.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from typing import Final, Never

from codelupe_daemon.errors import Transient
from trainer.samples.maker import Made, Maker
from trainer.types import Taken

PROCESSES: Final = min(os.cpu_count() or 1, 4)
"""Each has about 200 MB; the cores that remain are its tokenizer's."""

Make = Callable[[Sequence[Sequence[Taken]], Mapping[bytes, str]], Awaitable[Made]]

_maker: Maker  # of such a process


@asynccontextmanager
async def makers(maker: Maker) -> AsyncIterator[Make]:
    """`maker.make` elsewhere; raises `Transient` where a process does not live to answer."""
    context = multiprocessing.get_context("forkserver")  # a thread of ours may hold any lock
    context.set_forkserver_preload(["__main__", "trainer.samples.preload"])
    pool = ProcessPoolExecutor(PROCESSES, context, initializer=_begin, initargs=(maker,))

    async def make(units: Sequence[Sequence[Taken]], texts: Mapping[bytes, str]) -> Made:
        try:
            # In a thread, because it may have to start a process.
            asked = await asyncio.to_thread(pool.submit, _make, units, texts)
            made = asyncio.wrap_future(asked)
            made.add_done_callback(_hear)
            # Not cancelled with us: the executor's thread fails where its answer is not wanted.
            return await asyncio.shield(made)
        except BrokenProcessPool as error:
            raise Transient("a process that makes samples was killed: out of memory?") from error

    try:
        yield make
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)


def _hear(made: asyncio.Future[Made]) -> None:
    """Also where nobody waits any more, and asyncio would complain of an error unheard."""
    if not made.cancelled():
        made.exception()


def _begin(maker: Maker) -> None:
    global _maker  # noqa: PLW0603 (what an initializer leaves for its process)
    for number in (signal.SIGTERM, signal.SIGINT):  # a service manager tells every process
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["RAYON_NUM_THREADS"] = str(max((os.cpu_count() or 1) // PROCESSES, 1))
    _maker = maker


def _end_with_parent() -> Never:
    """The executor's processes hold their queue open themselves, and would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _make(units: Sequence[Sequence[Taken]], texts: Mapping[bytes, str]) -> Made:
    return _maker.make(units, texts)
