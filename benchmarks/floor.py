"""The floor: what git alone needs to hand over every file, read to its end and hashed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import xxhash


class Floor(NamedTuple):
    """One pass over all repositories, one after the other."""

    seconds: float
    files: int
    size_bytes: int


def floor(repositories: Sequence[Path]) -> Floor:
    """`git ls-tree -r -z` and one `git cat-file --batch --buffer` for each repository."""
    started = time.perf_counter()
    files = size_bytes = 0
    for repo in repositories:
        oids = blobs_at_head(repo)
        files += len(oids)
        size_bytes += _read_all(repo, oids)
    return Floor(time.perf_counter() - started, files, size_bytes)


def blobs_at_head(repo: Path) -> list[bytes]:
    """The object ids of the files at HEAD, in hex, in the order of the tree."""
    listing = git(repo, "ls-tree", "-r", "-z", "HEAD")
    # "100644 blob 40-hex-digits<TAB>path"
    return [entry[12:52] for entry in listing.split(b"\0") if entry[7:11] == b"blob"]


def git(repo: Path, *arguments: str) -> bytes:
    """What the command prints; raises `CalledProcessError`."""
    command = ["git", "-C", str(repo), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def _read_all(repo: Path, oids: Sequence[bytes]) -> int:
    # Wanted ids in a file: through a pipe, git would block on its output while we still write.
    wanted = os.memfd_create("wanted")
    try:
        with os.fdopen(os.dup(wanted), "wb") as file:
            file.write(b"\n".join(oids) + b"\n")
        os.lseek(wanted, 0, os.SEEK_SET)
        command = ["git", "-C", str(repo), "cat-file", "--batch", "--buffer"]
        with subprocess.Popen(
            command, stdin=wanted, stdout=subprocess.PIPE, bufsize=1 << 20
        ) as process:
            assert process.stdout is not None
            return _hash_all(process.stdout)
    finally:
        os.close(wanted)


def _hash_all(objects: IO[bytes]) -> int:
    """Read the answers of `cat-file --batch` to their end and hash them; their bytes."""
    digest = xxhash.xxh3_128()
    size_bytes = 0
    while header := objects.readline():
        if header.endswith(b"missing\n"):
            continue
        size = int(header.rsplit(b" ", 1)[1])
        digest.update(objects.read(size + 1))
        size_bytes += size
    return size_bytes
