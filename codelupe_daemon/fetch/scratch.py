"""Temporary folders that outlive no process for long."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codelupe_daemon.errors import Fatal

_OWNED = re.compile(r"fetch-(\d+)-(\d+)-")


@contextmanager
def temporary_folder(scratch: Path) -> Iterator[Path]:
    """A folder below `scratch` whose name tells which process owns it; removed at the end.

    Raises `Fatal` where there is no room or no right to write, also while the folder is used.
    """
    prefix = f"fetch-{os.getpid()}-{_started_at(os.getpid())}-"
    with _explained(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=scratch))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _explained(scratch: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Fatal(f"the disk is full: no room for temporary files in {scratch}") from error
        if error.errno in {errno.EROFS, errno.EACCES}:
            raise Fatal(
                f"cannot write temporary files in {scratch} ({error.strerror}):"
                " name another folder with CODELUPE_SCRATCH"
            ) from error
        raise


def sweep(scratch: Path) -> int:
    """Remove what dead processes left behind; how many folders that were."""
    if not scratch.is_dir():
        return 0
    stale = [folder for folder in scratch.iterdir() if _is_stale(folder.name)]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return len(stale)


def _is_stale(name: str) -> bool:
    owned = _OWNED.match(name)
    return owned is not None and _started_at(int(owned[1])) != int(owned[2])


def _started_at(pid: int) -> int:
    """Ticks after boot; with it a process id is unique. -1 for a dead process."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return -1
    return int(state.rpartition(b")")[2].split()[19])
