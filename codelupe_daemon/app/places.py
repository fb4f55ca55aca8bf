"""What a person types to name a repository or a file in it: REPO, REPO/PATH, a path as for cat."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from codelupe_daemon.discover.named import named
from codelupe_daemon.errors import CodeLupeError
from codelupe_daemon.paths import escape_path, unescape_path


def places(target: str, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Known repositories, the longest name first, and what follows the name, as it is stored.

    What follows is empty where the target is the repository itself.
    """
    names = set(known)
    for whole in (target.rstrip("/"), full_name(target), os.path.abspath(target)):
        parts = whole.split("/")
        for cut in range(len(parts), 0, -1):
            repo = "/".join(parts[:cut])
            if repo in names:
                yield repo, _as_stored("/".join(parts[cut:]))


def full_name(target: str) -> str:
    """What a source would be called if it were read now: a URL or folder; anything else stays."""
    trimmed = target.rstrip("/")
    if target.startswith(("/", "./", "../")) or os.path.lexists(target):
        return os.path.abspath(target)
    try:
        return named(trimmed)[0].full_name if not target.startswith("@") else trimmed
    except CodeLupeError:  # no source could be called so
        return trimmed


def _as_stored(path: str) -> str:
    """Escaped, unless it is already: as `codelupe` prints it, or as it is typed for cat."""
    escaped = escape_path(os.fsencode(path))  # nothing is left in it that is not UTF-8
    is_stored = escape_path(unescape_path(path.encode("utf-8", "replace").decode())) == path
    return path if is_stored else escaped
