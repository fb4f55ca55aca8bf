"""Short words for what an ingest does to a journal: repositories as dictionaries of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import (
    Content,
    LiveContent,
    Occurrence,
    Op,
    Part,
    Reason,
    Recorded,
    Repo,
    Standing,
    Visit,
)

COMMIT = bytes(range(20))
EXAMINER = "examiner-1"
ELSEWHERE = "another-machine:boot:1:1"
"""A process of which only the lease tells whether it lives."""
DEAD = this_process().rpartition(":")[0] + ":1"
"""A process of this machine that ended: its pid is in use, but began at another time."""
LEASE_S = 60.0
EXPIRED_S = -1.0

Files = Mapping[str, str | Reason]
"""path -> the text that was accepted, or why the file was left out."""


def text(word: str) -> str:
    """A file's text that no other word gives."""
    return f"def {word}():\n    return {word!r}  # größer\n" * 3


def hash_of(source: str) -> bytes:
    return hashlib.blake2b(source.encode(), digest_size=16).digest()


def oid_of(source: str) -> bytes:
    raw = source.encode()
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).digest()


def content(
    journal: Journal,
    source: str,
    *,
    language: str = "Python",
    score: float = 0.8,
    signals: bytes = b'{"lines": 6}',
) -> Content:
    raw = source.encode()
    [packed] = journal.pack(memoryview(raw), [0], [len(raw)])
    return Content(hash_of(source), packed, len(source), language, score, signals)


def path_class_of(path: str) -> str:
    return PurePosixPath(path).suffix


def occurrence(path: str, what: str | Reason, *, language: str = "Python") -> Occurrence:
    """A listed file; one that was left out has a blob of its own for each path."""
    if isinstance(what, Reason):
        return Occurrence(path, oid_of(path), path_class_of(path), None, None, what, 7.5)
    found = hash_of(what)
    return Occurrence(path, oid_of(what), path_class_of(path), language, found, None, None)


def repo(
    name: str,
    license_id: str | None = None,
    stars: int | None = None,
    forks: int | None = None,
    pushed_at: int | None = None,
) -> Repo:
    standing = Standing(license_id, stars, forks, pushed_at)
    return Repo(name, f"https://host.example/{name}.git", standing)


def part(
    journal: Journal,
    visit: Visit,
    files: Files,
    *,
    examiner: str = EXAMINER,
    language: str = "Python",
) -> Part:
    """A piece of a visit with every content it speaks of."""
    texts = {what for what in files.values() if not isinstance(what, Reason)}
    made = [content(journal, one, language=language) for one in sorted(texts)]
    return Part(
        visit,
        COMMIT,
        examiner,
        [occurrence(path, what, language=language) for path, what in files.items()],
        {one.key: one for one in made},
    )


@dataclass(slots=True)
class Ingest:
    """Visits as the pipeline makes them, in one line each."""

    journal: Journal
    owner: str = this_process()
    examiner: str = EXAMINER

    async def begin(self, what: Repo | str, *, lease_s: float = LEASE_S) -> Visit:
        known = what if isinstance(what, Repo) else repo(what)
        visit = await self.journal.claim(await self.journal.register(known), self.owner, lease_s)
        assert visit is not None
        return visit

    def part(self, visit: Visit, files: Files, *, language: str = "Python") -> Part:
        return part(self.journal, visit, files, examiner=self.examiner, language=language)

    async def record(self, visit: Visit, files: Files) -> Recorded:
        return await self.journal.append([self.part(visit, files)])

    async def end(self, visit: Visit, listed: Files, standing: Standing) -> Recorded:
        """Forget what is no longer listed and finish."""
        recorded = await self.journal.paths(visit.repo_id, "", 100_000)
        gone = [path for path in recorded if path not in listed]
        await self.journal.retire(visit, gone)
        return await self.journal.finish(visit, COMMIT, standing, self.examiner)

    async def complete(self, what: Repo | str, files: Files) -> Recorded:
        """A whole visit: these are now the repository's files."""
        known = what if isinstance(what, Repo) else repo(what)
        visit = await self.begin(known)
        done = await self.record(visit, files)
        done += await self.end(visit, files, known.standing)
        return done

    async def partial(self, what: Repo | str, files: Files) -> Recorded:
        """A visit that ends before everything was read."""
        visit = await self.begin(what)
        done = await self.record(visit, files)
        await self.journal.release(visit, "incomplete", "unreadable")
        return done

    async def live(self) -> dict[str, str]:
        """text -> repo/path of each live content."""
        return {str(one.content): where(one) for one in await all_live(self.journal)}

    async def ops(self, after_id: int = 0) -> list[tuple[Op, str]]:
        """What happened to which content, as (op, repo/path of its place)."""
        entries = await self.journal.read(after_id, 100_000)
        return [(one.op, f"{one.place.repo}/{one.place.path}") for one in entries]


def where(one: LiveContent) -> str:
    return f"{one.place.repo}/{one.place.path}"


async def all_live(journal: Journal) -> list[LiveContent]:
    return await journal.live(0, 100_000)
