"""Who holds a lease: names of processes that can be told dead from alive on the same machine."""

from __future__ import annotations

import os
import socket
import time
from functools import cache
from pathlib import Path


@cache
def this_process() -> str:
    """host:boot:pid:start, different for every process that ever ran."""
    return f"{_machine()}:{os.getpid()}:{_start_ticks(os.getpid())}"


def is_held(owner: str | None, until: float | None) -> bool:
    """Whether a lease still keeps others out."""
    return owner is not None and until is not None and until > time.time() and is_alive(owner)


def is_alive(owner: str) -> bool:
    """Whether the owner may still act; of another machine's processes only the lease tells."""
    machine, _, process = owner.rpartition(":")[0].rpartition(":")
    if machine != _machine():
        return True
    start = owner.rpartition(":")[2]
    return _start_ticks(int(process)) == start


@cache
def _machine() -> str:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}:{boot_id}"


def _start_ticks(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat (proc(5)); a zombie no longer acts."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else fields[19]
