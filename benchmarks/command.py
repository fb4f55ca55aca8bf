"""One run of `codelupe`, with what it cost: time, CPU and the most memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

CODELUPE = Path(sys.executable).with_name("codelupe")


class Run(NamedTuple):
    """`wall_s` is the whole process's; `seconds` the command's own, from the first listing on.

    `peak_mb` is the most that the process, or one of its children, ever held in memory.
    """

    wall_s: float
    seconds: float
    cpu_s: float
    peak_mb: float
    files: int
    answer: dict[str, Any]


def codelupe(*arguments: str) -> Run:
    """Run the command to its end. Raises `SystemExit` with what it said where it failed."""
    # What earlier runs wrote must not reach the disk while this one is measured.
    os.sync()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen([CODELUPE, *arguments], stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        answer, said = _content(output.fileno()), _content(errors.fileno())
    if process.returncode:
        raise SystemExit(f"codelupe {' '.join(arguments)}\n{said or answer}")
    parsed = json.loads(answer) if "--json" in arguments else {}
    seconds = parsed.get("seconds", wall_s)
    files = parsed.get("files", {}).get("listed", 0)
    cpu_s = usage.ru_utime + usage.ru_stime
    return Run(wall_s, seconds, cpu_s, usage.ru_maxrss / 1024, files, parsed)


def _content(fd: int) -> str:
    return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")


def ingest(store: Path, repositories: Sequence[Path], *options: str) -> Run:
    """`codelupe ingest` of all repositories into a store."""
    listed = store.with_suffix(".sources")
    listed.write_text("".join(f"{repo}\n" for repo in repositories))
    return codelupe("ingest", "--json", "--store", str(store), *options, f"@{listed}")
