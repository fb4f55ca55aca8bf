"""A bare, shallow clone of HEAD, without blobs over the size limit where the server can do that."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from codelupe_daemon.errors import Fatal, Rejected, Transient
from codelupe_daemon.fetch.tree import FetchLimits
from codelupe_daemon.git import Ended, Git, last_words

_TRANSIENT = re.compile(
    r"Could not resolve host|Connection (refused|reset|timed out)|Operation too slow|early EOF"
    r"|unexpected disconnect|hung up unexpectedly|Empty reply|error: (429|5\d\d)"
    r"|Temporary failure in name resolution|temporarily unavailable|Failed to connect"
)
_PASSWORD = re.compile(
    r"could not read (Username|Password)|Authentication failed|Permission denied \(|error: 40[13]"
)


def clone(
    url: str, target: Path, home: Path, limits: FetchLimits, is_stopping: Callable[[], bool]
) -> None:
    """Clone HEAD of `url` into `target`. Raises `Transient`, `Rejected` and `Fatal`."""
    git = replace(_git(url, home, limits), is_stopping=is_stopping)
    ended = git.transfer(
        *("clone", "--bare", "--depth=1", "--no-tags", "--single-branch", "--progress"),
        f"--filter=blob:limit={limits.max_file_bytes + 1}",
        *("--", url, str(target)),
        output_bytes=limits.max_repo_bytes,
        stall_s=limits.stall_timeout_s,
    )
    if ended.code != 0:
        raise _failure(ended, limits)


def has_refs(url: str, home: Path, limits: FetchLimits) -> bool:
    """Whether the server shows anything at all: what clones as empty may have lost its HEAD."""
    return bool(_git(url, home, limits).capture("ls-remote", "--", url, output_bytes=64 << 20))


def _git(url: str, home: Path, limits: FetchLimits) -> Git:
    protocol = url.split("://", 1)[0] if "://" in url else "ssh"
    return Git(home, limits.clone_timeout_s, limits.memory_bytes, protocol=protocol)


def _failure(ended: Ended, limits: FetchLimits) -> Rejected | Transient | Fatal:
    reason = last_words(ended.errors) or f"git clone ended with {ended.code}"
    if "File too large" in ended.errors:
        return Rejected(f"larger than {limits.max_repo_bytes} bytes")
    if "No space left on device" in ended.errors:
        return Fatal("the disk is full: no room to clone into the folder for temporary files")
    if _PASSWORD.search(ended.errors):
        return Rejected(f"wants a password or key: {reason}")
    if _TRANSIENT.search(ended.errors):
        return Transient(reason)
    return Rejected(reason)
