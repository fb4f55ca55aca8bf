"""Two daemons on one database beside one: how long until what they are given is done.

They run and wait before they get work, as in everyday life: a process takes two seconds to start.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks.command import CODELUPE
from benchmarks.served.base import Round, Servers
from codelupe_daemon.discover.named import named
from codelupe_daemon.journal.postgres import PostgresJournal

WHAT = "two daemons on one database"
AGAINST = "one"
TARGET = 1.0

READY = "works on"
POLL_S = 0.02
TIMEOUT_S = 300.0


def measure(servers: Servers) -> Round:
    one_s, one_files = _given(servers.postgres(), servers.repositories, 1)
    two_s, two_files = _given(servers.postgres(), servers.repositories, 2)
    assert one_files == two_files, f"{two_files} files were judged by two, {one_files} by one"
    return Round(one_s / two_s, {"one_s": one_s, "two_s": two_s, "files_judged": two_files})


def _given(url: str, repositories: Sequence[Path], count: int) -> tuple[float, int]:
    """Seconds until all is done, and how many files were judged, in sum."""
    with _daemons(url, count) as daemons:
        seconds = asyncio.run(_work_off(url, repositories))
        answers = [_answer(daemon) for daemon in daemons]
    return seconds, sum(answer["files"]["listed"] for answer in answers)


@contextmanager
def _daemons(url: str, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Running, and waiting for work."""
    command = [str(CODELUPE), "daemon", "--no-consumers", "--json", "--store", url]
    running: list[subprocess.Popen[str]] = []
    try:
        for _ in range(count):
            running.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            assert READY in _stream(running[-1].stderr).readline()
        yield running
    finally:
        for one in running:
            one.kill()
            one.wait()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _answer(daemon: subprocess.Popen[str]) -> Any:
    daemon.terminate()
    output, _ = daemon.communicate(timeout=TIMEOUT_S)
    return json.loads(output)


async def _work_off(url: str, repositories: Sequence[Path]) -> float:
    journal = PostgresJournal(url)
    await journal.open(create=False)
    sources = [one for path in repositories for one in named(str(path))]
    started = time.perf_counter()
    for source in sources:
        await journal.register(source)
    while any(row.state != "done" for row in await journal.repositories()):
        assert time.perf_counter() < started + TIMEOUT_S
        await asyncio.sleep(POLL_S)
    seconds = time.perf_counter() - started
    await journal.close()
    return seconds
