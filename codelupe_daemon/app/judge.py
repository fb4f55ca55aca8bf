"""Verdicts on files and folders as they lie on disk, without a store."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from codelupe_daemon.app.parts import examiner, part_of
from codelupe_daemon.app.verdicts import as_json
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import UsageError
from codelupe_daemon.examine import Examined, Examiner, Surroundings, Within
from codelupe_daemon.examine.surroundings import FILES, MAX_BYTES, MAX_FILES, is_surrounding
from codelupe_daemon.fetch import FetchLimits
from codelupe_daemon.fetch.folder import FolderTree
from codelupe_daemon.fetch.tree import Problem
from codelupe_daemon.git import find_git_dir
from codelupe_daemon.model import Content, Listed, Occurrence, Reason, Wanted
from codelupe_daemon.paths import escape_path
from codelupe_daemon.plan import licensed

BATCH_FILES: Final = 1000
_ANY: Final = ("*",)


class _Target(NamedTuple):
    """What is to be judged: the files of `folder`, or only the one of this name.

    Rules, attributes and licences count from `root`, as they do when the whole is ingested.
    """

    root: Path
    folder: Path
    name: str | None

    @property
    def prefix(self) -> str:
        """Of the paths in `folder`, seen from `root`."""
        return _prefix(self.folder, self.root)


class _Judged(NamedTuple):
    at: Occurrence
    content: Content | None


def examine(settings: Settings, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The verdict on every file, in the shape of `codelupe examine --json`.

    Raises `UsageError` before the first verdict where a path cannot be judged, `Rejected` where a
    folder cannot be listed.
    """
    targets = [_target(path) for path in paths]
    return _all(settings, targets)


def _all(settings: Settings, targets: Sequence[_Target]) -> Iterator[dict[str, Any]]:
    judges = examiner(settings, lambda _buffer, offsets, _sizes: [b""] * len(offsets))
    limits = part_of(settings, FetchLimits)
    for target in targets:
        repo = str(target.root)
        for at, content in _judged(target, judges, limits):
            quality, signals = (content.score, content.signals) if content else (None, b"{}")
            yield as_json(repo, at, quality, signals, judges.version, settings)


def _target(path: str) -> _Target:
    if not path:
        raise UsageError("nothing has the empty name: give a PATH")
    place = Path(os.path.abspath(path))
    try:
        mode, is_folder = place.lstat().st_mode, place.is_dir()
        is_bare = is_folder and find_git_dir(place) == place
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or '').lower()}") from error
    if is_bare:
        raise UsageError(f"{path} is a bare repository: `codelupe ingest {path}` reads it")
    if is_folder:
        return _Target(_root(place), place, None)
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise UsageError(f"{path} is neither a file nor a folder")
    return _Target(_root(place.parent), place.parent, place.name)


def _root(folder: Path) -> Path:
    """The git work tree that the folder belongs to, else the folder itself."""
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


def _prefix(folder: Path, root: Path) -> str:
    parts = folder.relative_to(root).parts
    return "".join(f"{escape_path(os.fsencode(part))}/" for part in parts)


# -- listing ------------------------------------------------------------------------------------


def _judged(target: _Target, judges: Examiner, limits: FetchLimits) -> Iterator[_Judged]:
    within = judges.within(Surroundings.of(_surroundings(target, limits)))
    tree = FolderTree(target.folder, limits)
    for page in tree.pages() if target.name is None else [_one_file(target, limits)]:
        for start in range(0, len(page), BATCH_FILES):
            yield from _batch(page[start : start + BATCH_FILES], target, tree, judges, within)


def _one_file(target: _Target, limits: FetchLimits) -> list[Listed]:
    name = target.name or ""
    path = escape_path(os.fsencode(name))
    pages = _flat(target.folder, limits).named([glob.escape(name)])
    found = [one for page in pages for one in page if one.path == path]
    if found:
        return found
    state = (target.folder / name).lstat()
    if stat.S_ISLNK(state.st_mode):
        return [Listed(path, None, Reason.SYMLINK)]
    if state.st_size > limits.max_file_bytes:
        return [Listed(path, None, Reason.TOO_LARGE, float(state.st_size))]
    return [Listed(path, None, Reason.UNREADABLE)]


def _flat(folder: Path, limits: FetchLimits) -> FolderTree:
    """The files of a folder without those of the folders in it."""
    return FolderTree(folder, replace(limits, max_depth=0))


def _surroundings(target: _Target, limits: FetchLimits) -> list[tuple[str, bytes]]:
    """The files that decide about those of the target: in it, and in the folders above it."""
    files: list[tuple[str, bytes]] = []
    for tree, patterns in _trees(target, limits):
        prefix = _prefix(tree.root, target.root)
        pages = tree.named(patterns)
        listed = (one for page in pages for one in page if is_surrounding(prefix + one.path))
        files += _read(tree, prefix, listed, MAX_FILES - len(files))
    return files


def _trees(target: _Target, limits: FetchLimits) -> Iterator[tuple[FolderTree, Sequence[str]]]:
    """From the root down to the target."""
    is_file = target.name is not None
    above = [target.folder] * is_file + list(target.folder.parents)
    for folder in reversed([one for one in above if one.is_relative_to(target.root)]):
        yield _flat(folder, limits), FILES
        if (folder / "LICENSES").is_dir():
            yield _flat(folder / "LICENSES", limits), _ANY
    if not is_file:
        yield FolderTree(target.folder, limits), FILES


def _read(
    tree: FolderTree, prefix: str, listed: Iterable[Listed], max_files: int
) -> Iterator[tuple[str, bytes]]:
    wanted = [
        Wanted(one.oid, "", None, [one.path])
        for one in islice(listed, max_files)
        if one.oid is not None
    ]
    for some, blobs in tree.read(wanted):
        for one, at, size in zip(some, blobs.offsets, blobs.sizes, strict=True):
            if 0 <= size <= MAX_BYTES:
                yield prefix + one.paths[0], bytes(blobs.buffer[at : at + size])


# -- judging ------------------------------------------------------------------------------------


def _batch(
    page: Sequence[Listed], target: _Target, tree: FolderTree, judges: Examiner, within: Within
) -> Iterator[_Judged]:
    """What was listed, judged, in the same order."""
    judged: dict[str, _Judged] = {}
    wanted: list[Wanted] = []
    for path, oid, reason, measured in page:
        place = target.prefix + path
        at = within.path_verdict(place)
        left_out = Occurrence(place, oid, at.path_class, at.language, None, reason, measured)
        if reason is None:
            left_out = left_out._replace(reason=at.reason, measured=at.measured)
        judged[path] = _Judged(left_out, None)
        if oid is not None and (at.reason is None or at.language is None):
            path_class = at.path_class if at.reason is None else ""  # read for its language alone
            wanted.append(Wanted(oid, path_class, at.language, [path]))
    for some, blobs in tree.read(wanted):
        verdicts = judges.examine(some, blobs.buffer, blobs.offsets, blobs.sizes)
        for i, (one, examined) in enumerate(zip(some, verdicts, strict=True)):
            (path,) = one.paths
            judged[path] = _with_text(judged[path].at, examined, blobs.problems.get(i), within)
    yield from judged.values()


def _with_text(
    at: Occurrence, examined: Examined, problem: Problem | None, within: Within
) -> _Judged:
    verdict, content = examined
    at = at._replace(language=verdict.language)
    if at.reason is not None:
        return _Judged(at, None)
    reason, measured = problem or (verdict.reason, verdict.measured)
    at = at._replace(
        content_hash=content and content.content_hash, reason=reason, measured=measured
    )
    at = licensed(at, content and content.license, within)
    return _Judged(at, content if at.reason is None else None)
