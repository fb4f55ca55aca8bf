"""Two daemons on one database beside one: how long until nothing is due, and who did what."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from benchmarks.command import CODELUPE, codelupe
from benchmarks.served.base import Round, Servers

WHAT = "two daemons on one database"
AGAINST = "one"
TARGET = 1.0


def measure(servers: Servers) -> Round:
    sources = servers.work / "sources"
    sources.write_text("".join(f"{repo}\n" for repo in servers.repositories))
    one_s, one_files = _until_idle(servers.postgres(), sources, 1)
    two_s, two_files = _until_idle(servers.postgres(), sources, 2)
    assert one_files == two_files, f"{two_files} files were judged by two, {one_files} by one"
    return Round(one_s / two_s, {"one_s": one_s, "two_s": two_s, "files_judged": two_files})


def _until_idle(store: str, sources: Path, daemons: int) -> tuple[float, int]:
    """Seconds until nothing is due, and how many files were judged in all."""
    codelupe("ingest", "--later", "--store", store, f"@{sources}")
    command = [
        str(CODELUPE),
        "daemon",
        "--until-idle",
        "--no-consumers",
        "--json",
        "--store",
        store,
    ]
    started = time.perf_counter()
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(daemons)
    ]
    answers = [json.loads(process.communicate(timeout=600)[0]) for process in running]
    seconds = time.perf_counter() - started
    return seconds, sum(answer["files"]["listed"] for answer in answers)
