"""A plain folder, listed as git would list it and read under suspicion that it changes.

Symbolic links are never followed, not even where one replaces a folder during the walk: every
folder is opened component by component from the root. Fifos, sockets and devices are not listed,
as git does not know them either; nor is `.git`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import mmap
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from codelupe_daemon.errors import Rejected
from codelupe_daemon.fetch.listing import check_count
from codelupe_daemon.fetch.tree import PADDING_BYTES, Blobs, FetchLimits, Problem
from codelupe_daemon.model import Listed, Reason, Wanted
from codelupe_daemon.paths import escape_path, unescape_path

_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class _Name(NamedTuple):
    """An entry of a folder; sorted by `key`, folders count as if `/` followed, as in git."""

    key: bytes
    name: bytes
    is_folder: bool
    is_link: bool


class _Level(NamedTuple):
    parts: tuple[bytes, ...]
    names: Iterator[list[_Name]]


@dataclass(frozen=True, slots=True)
class FolderTree:
    """The files below a folder. An oid is the id that git would give the bytes."""

    root: Path
    limits: FetchLimits
    commit: None = None

    def named(self, patterns: Sequence[str]) -> Iterator[list[Listed]]:
        translated = "|".join(f"(?:.*/)?{fnmatch.translate(pattern)}" for pattern in patterns)
        for entries in self._walk(re.compile(os.fsencode(translated), re.IGNORECASE)):
            yield [listed for listed in entries if listed.reason is None]

    def pages(self) -> Iterator[list[Listed]]:
        page: list[Listed] = []
        count = 0
        for entries in self._walk():
            page += entries
            if len(page) >= self.limits.page_files:
                count = check_count(count + len(page), self.limits)
                yield page
                page = []
        check_count(count + len(page), self.limits)
        if page:
            yield page

    def changes(self, since: bytes) -> None:  # noqa: ARG002 - a folder has no commits
        return None

    def read(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Sequence[Wanted], Blobs]]:
        start = 0
        while start < len(wanted):
            blobs = self._read_piece(wanted[start : start + self.limits.batch_files])
            yield wanted[start : start + len(blobs.sizes)], blobs
            start += len(blobs.sizes)

    def _walk(self, pattern: re.Pattern[bytes] | None = None) -> Iterator[list[Listed]]:
        """Depth first, with the folders on the way down as an explicit stack; with a pattern,
        only files are read whose names, with or without their folder's, it matches."""
        levels = [_Level((), self._runs(()))]
        buffer = memoryview(bytearray(self.limits.max_file_bytes + 1))
        while levels:
            parts, runs = levels[-1]
            try:
                run = next(runs, None)
            except OSError:
                levels.pop()
                yield [Listed(escape_path(b"/".join(parts)), None, Reason.UNREADABLE)]
                continue
            if run is None:
                levels.pop()
            elif not run[0].is_folder:
                wanted = [name for name in run if _is_wanted(parts, name, pattern)]
                if wanted:
                    yield self._list_files(parts, wanted, buffer)
            elif len(parts) >= self.limits.max_depth:
                yield [_too_deep((*parts, run[0].name))]
            else:
                below = (*parts, run[0].name)
                levels.append(_Level(below, self._runs(below)))

    def _runs(self, parts: tuple[bytes, ...]) -> Iterator[list[_Name]]:
        """The folder's names in order: a folder alone, files together as far as they go."""
        with self._folder(parts) as fd:
            names = _names(fd, self.limits.max_files)
        run: list[_Name] = []
        for name in names:
            if run and (name.is_folder or len(run) >= self.limits.batch_files):
                yield run
                run = []
            if name.is_folder:
                yield [name]
            else:
                run.append(name)
        if run:
            yield run

    def _list_files(
        self, parts: tuple[bytes, ...], run: list[_Name], buffer: memoryview
    ) -> list[Listed]:
        try:
            with self._folder(parts) as fd:
                listed = [self._list_file(fd, parts, name, buffer) for name in run]
        except OSError:
            return [_listed(parts, name, Reason.UNREADABLE) for name in run]
        return [entry for entry in listed if entry is not None]

    def _list_file(
        self, folder: int, parts: tuple[bytes, ...], name: _Name, buffer: memoryview
    ) -> Listed | None:
        """None for what vanished meanwhile."""
        if name.is_link:
            return _listed(parts, name, Reason.SYMLINK)
        try:
            size = _read_file(folder, name.name, buffer)
        except FileNotFoundError:
            return None
        except OSError:
            return _listed(parts, name, Reason.UNREADABLE)
        if size > self.limits.max_file_bytes:
            return _listed(parts, name, Reason.TOO_LARGE, float(size))
        return _listed(parts, name, None)._replace(oid=_oid(buffer[:size]))

    def _read_piece(self, wanted: Sequence[Wanted]) -> Blobs:
        """As many blobs as fit."""
        one_bytes = self.limits.max_file_bytes + 1
        room_bytes = max(self.limits.batch_bytes, one_bytes)
        mapped = mmap.mmap(-1, room_bytes + PADDING_BYTES)
        buffer = memoryview(mapped)
        offsets, sizes, problems, at = [], [], dict[int, Problem](), 0
        for i, blob in enumerate(wanted):
            if at + one_bytes > room_bytes:
                break
            size = self._read_again(blob, buffer[at : at + one_bytes])
            if size < 0:
                problems[i] = (Reason.CHANGED_WHILE_READ, None)
            offsets.append(at)
            sizes.append(size)
            at += max(0, size)
        return Blobs(buffer, np.array(offsets, np.int64), np.array(sizes, np.int64), problems)

    def _read_again(self, blob: Wanted, buffer: memoryview) -> int:
        """The size of what still has the listed id at one of its paths; -1 if nothing has."""
        for path in blob.paths:
            *parts, name = unescape_path(path).split(b"/")
            try:
                with self._folder(tuple(parts)) as fd:
                    size = _read_file(fd, name, buffer)
            except OSError:
                continue
            if size < len(buffer) and _oid(buffer[:size]) == blob.oid:
                return size
        return -1

    @contextmanager
    def _folder(self, parts: tuple[bytes, ...]) -> Iterator[int]:
        """Open a folder below the root without following any link."""
        try:
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Rejected(f"{self.root}: {error.strerror}") from error
        try:
            for part in parts:
                below = os.open(part, _FOLDER_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)


def _is_wanted(parts: tuple[bytes, ...], name: _Name, pattern: re.Pattern[bytes] | None) -> bool:
    return pattern is None or pattern.match(b"/".join((*parts[-1:], name.name))) is not None


def _names(fd: int, max_files: int) -> list[_Name]:
    names = []
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            is_link = entry.is_symlink()
            is_listed = is_folder or is_link or entry.is_file(follow_symlinks=False)
            if is_listed and name != b".git":
                names.append(_Name(name + b"/" * is_folder, name, is_folder, is_link))
            if len(names) > max_files:
                raise Rejected(f"more than {max_files} files")
    return sorted(names)


def _read_file(folder: int, name: bytes, buffer: memoryview) -> int:
    """Fill the buffer; the size of the file, or more than fits where it is too large."""
    fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{name!r} is no regular file any more")
        if state.st_size >= len(buffer):
            return state.st_size
        size = 0
        while size < len(buffer) and (count := os.readv(fd, [buffer[size:]])):
            size += count
        return size
    finally:
        os.close(fd)


def _oid(content: memoryview) -> bytes:
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.digest()


def _listed(
    parts: tuple[bytes, ...], name: _Name, reason: Reason | None, measured: float | None = None
) -> Listed:
    return Listed(escape_path(b"/".join((*parts, name.name))), None, reason, measured)


def _too_deep(parts: tuple[bytes, ...]) -> Listed:
    return Listed(escape_path(b"/".join(parts)), None, Reason.TOO_DEEP, float(len(parts)))
