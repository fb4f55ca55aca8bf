"""A git repository's HEAD: the listing and the blobs, read through git."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from codelupe_daemon.fetch import listing
from codelupe_daemon.fetch.batch import MISSING, OTHER_TYPE, Batch, map_batch
from codelupe_daemon.fetch.tree import Blobs, Changes, FetchLimits, Problem, no_blobs
from codelupe_daemon.git import Git, GitFailed
from codelupe_daemon.model import Listed, Reason, Wanted

_HEADER_BYTES = 100
_EMPTY_TREES = {  # git knows them without their being stored; by the size of an id
    20: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    32: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_UNREADABLE: Problem = (Reason.UNREADABLE, None)


class _Piece(NamedTuple):
    """Blobs to be read by one process, but for those whose problem is already known."""

    wanted: Sequence[Wanted]
    problems: dict[int, Problem]
    is_measured: bool


@dataclass(slots=True)
class GitTree:
    """The tree of a commit. `missing` is what a blob that the store lacks means."""

    git: Git
    limits: FetchLimits
    commit: bytes | None
    missing: Problem = _UNREADABLE
    _measure_first: bool = field(default=False, init=False)

    def pages(self) -> Iterator[list[Listed]]:
        if self.commit is None:
            return
        blocks = self.git.stream("ls-tree", "-r", "-z", "--full-tree", self.commit.hex())
        yield from listing.pages(blocks, self.limits)

    def named(self, patterns: Sequence[str]) -> Iterator[list[Listed]]:
        if self.commit is None:
            return
        trees = (_EMPTY_TREES[len(self.commit)], f"{self.commit.hex()}^{{tree}}")
        specs = [f":(icase,glob)**/{pattern}" for pattern in patterns]
        blocks = self.git.stream(
            "diff-tree", "-r", "-z", "--raw", "--no-renames", *trees, "--", *specs
        )
        for change in listing.changes(blocks, self.limits):
            yield [listed for listed in change.listed if listed.reason is None]

    def changes(self, since: bytes) -> Iterator[Changes] | None:
        if self.commit is None:
            return None
        trees = (f"{since.hex()}^{{tree}}", f"{self.commit.hex()}^{{tree}}")
        try:
            self.git.capture("rev-parse", "--verify", "-q", trees[0])
        except GitFailed:
            return None  # a shallow clone, or history that was rewritten and collected
        blocks = self.git.stream("diff-tree", "-r", "-z", "--raw", "--no-renames", *trees)
        return listing.changes(blocks, self.limits)

    def read(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Sequence[Wanted], Blobs]]:
        for start in range(0, len(wanted), self.limits.batch_files):
            yield from self._read_chunk(wanted[start : start + self.limits.batch_files])

    def _read_chunk(self, chunk: Sequence[Wanted]) -> Iterator[tuple[Sequence[Wanted], Blobs]]:
        """Read optimistically; sizes are asked for only where the output outgrows its limit."""
        measured = self._measure_first
        todo = deque(self._by_size(chunk) if measured else [_Piece(chunk, {}, False)])
        while todo:
            piece = todo.popleft()
            done, blobs, is_cut = self._read_piece(piece)
            if done:
                yield piece.wanted[:done], blobs
            if done < len(piece.wanted):
                rest = _Piece(piece.wanted[done:], _from(piece.problems, done), piece.is_measured)
                again = is_cut and not piece.is_measured
                parts = self._by_size(rest.wanted) if again else _first_alone(rest)
                todo.extendleft(reversed(parts))

    def _read_piece(self, piece: _Piece) -> tuple[int, Blobs, bool]:
        """How many blobs are settled, these blobs, and whether the output was cut off."""
        asked = [i for i in range(len(piece.wanted)) if i not in piece.problems]
        if not asked:
            return len(piece.wanted), no_blobs(piece.problems), False
        ids = "".join([f"{piece.wanted[i].oid.hex()}\n" for i in asked]).encode()
        filled = self.git.fill(("cat-file", "--batch", "--buffer"), ids, self._cap_bytes())
        try:
            batch = map_batch(filled.fd, filled.size_bytes, len(asked))
        finally:
            os.close(filled.fd)
        if batch.complete == 0 and len(piece.wanted) == 1:
            return 1, no_blobs({0: self._verdict(int(batch.sizes[0]))}), False
        settled = asked[batch.complete] if batch.complete < len(asked) else len(piece.wanted)
        return settled, self._blobs(piece, asked, batch, settled), filled.is_cut

    def _blobs(self, piece: _Piece, asked: list[int], batch: Batch, settled: int) -> Blobs:
        sizes = batch.sizes[: batch.complete]
        states = batch.states[: batch.complete]
        problems = {i: problem for i, problem in piece.problems.items() if i < settled}
        for k in np.flatnonzero(states == MISSING).tolist():
            problems[asked[k]] = self.missing
        for k in np.flatnonzero(states == OTHER_TYPE).tolist():
            problems[asked[k]] = _UNREADABLE
        for k in np.flatnonzero((sizes > self.limits.max_file_bytes) & (states == 0)).tolist():
            problems[asked[k]] = (Reason.TOO_LARGE, float(sizes[k]))
        all_offsets = np.zeros(settled, np.int64)
        all_sizes = np.full(settled, -1, np.int64)
        places = np.array(asked[: batch.complete], np.int64)
        all_offsets[places] = batch.offsets[: batch.complete]
        all_sizes[places] = sizes
        all_sizes[list(problems)] = -1
        return Blobs(batch.buffer, all_offsets, all_sizes, problems)

    def _by_size(self, wanted: Sequence[Wanted]) -> list[_Piece]:
        """Leave out what is too large and cut the rest so that every piece fits."""
        problems, sizes = self._measure(wanted)
        self._measure_first = any(reason is Reason.TOO_LARGE for reason, _ in problems.values())
        pieces, start, size_bytes = [], 0, 0
        for i, size in enumerate(sizes):
            if size_bytes + size > self._cap_bytes() and i > start:
                pieces.append(_cut(wanted, problems, start, i))
                start, size_bytes = i, 0
            size_bytes += size
        return [*pieces, _cut(wanted, problems, start, len(wanted))]

    def _measure(self, wanted: Sequence[Wanted]) -> tuple[dict[int, Problem], list[int]]:
        """The problems that sizes show, and what each blob takes in the output."""
        ids = "".join([f"{blob.oid.hex()}\n" for blob in wanted]).encode()
        check = ("cat-file", "--batch-check=%(objecttype) %(objectsize)", "--buffer")
        filled = self.git.fill(check, ids, self._cap_bytes())
        try:
            lines = os.pread(filled.fd, filled.size_bytes, 0).split(b"\n")[:-1]
        finally:
            os.close(filled.fd)
        problems: dict[int, Problem] = {}
        sizes = [_HEADER_BYTES] * len(wanted)
        for i, line in enumerate(lines[: len(wanted)]):
            kind, _, size = line.partition(b" ")
            if kind == b"blob" and int(size) > self.limits.max_file_bytes:
                problems[i] = (Reason.TOO_LARGE, float(size))
            elif kind == b"blob":
                sizes[i] += int(size)
        return problems, sizes

    def _verdict(self, announced_bytes: int) -> Problem:
        if announced_bytes > self.limits.max_file_bytes:
            return (Reason.TOO_LARGE, float(announced_bytes))
        return _UNREADABLE

    def _cap_bytes(self) -> int:
        return max(self.limits.batch_bytes, self.limits.max_file_bytes + 2 * _HEADER_BYTES)


def _first_alone(piece: _Piece) -> list[_Piece]:
    """Git died at the first blob, or shortly after: give it a process of its own."""
    if len(piece.wanted) == 1:
        return [piece]
    wanted, problems, is_measured = piece
    first = _Piece(wanted[:1], {0: problems[0]} if 0 in problems else {}, True)
    return [first, _Piece(wanted[1:], _from(problems, 1), is_measured)]


def _from(problems: dict[int, Problem], start: int) -> dict[int, Problem]:
    return {i - start: problem for i, problem in problems.items() if i >= start}


def _cut(wanted: Sequence[Wanted], problems: dict[int, Problem], start: int, end: int) -> _Piece:
    inside = {i: problem for i, problem in problems.items() if i < end}
    return _Piece(wanted[start:end], _from(inside, start), True)
