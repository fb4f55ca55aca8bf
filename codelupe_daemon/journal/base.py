"""What every store of the journal does; `tests/contract` holds each of them to it.

The rules are those of ARCHITECTURE.md: the order of rows is the order of commits; everything that
decides is decided inside the write transaction; a removal is decided only at the end of a complete
visit; the best place wins; a takedown holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from codelupe_daemon.model import (
    Content,
    Entry,
    Listed,
    LiveContent,
    Occurrence,
    Part,
    Reason,
    Recorded,
    Repo,
    Standing,
    Visit,
)


class Known(NamedTuple):
    """What is recorded about a listed file: its verdict holds while the first three are equal."""

    oid: bytes | None
    path_class: str
    examiner_version: str
    content_hash: bytes | None
    reason: Reason | None
    measured: float | None
    language: str | None
    license: str | None = None
    own_license: str | None = None


class RepositoryRow(NamedTuple):
    """A repository as the store knows it. `state`: due, visiting, done, incomplete, failed.

    Times are seconds since 1970 by the database's clock; `changed_at`: of anything but a lease.
    """

    id: int
    full_name: str
    location: str
    is_local: bool
    state: str
    reason: str | None
    attempts: int
    file_count: int
    standing: Standing
    head: bytes | None = None
    visited_at: int | None = None
    due_at: float | None = None
    changed_at: float = 0.0


class OccurrenceRow(NamedTuple):
    """A listed file with the repository it is listed in."""

    repo_id: int
    repo: str
    occurrence: Occurrence
    examiner_version: str


class Judged(NamedTuple):
    """A recorded text that another examiner version judged, with the places that ask for it."""

    content: LiveContent
    path_classes: Mapping[str, str]
    """path_class -> one path of that class."""


class Rejudged(NamedTuple):
    """The new verdicts of one recorded text, one for each path_class.

    A text in which something is redacted now is another content: its places go over to that,
    and what is recorded of the old one is blanked.
    """

    content_hash: bytes
    kept: Mapping[str, Content]
    left_out: Mapping[str, Occurrence]


@dataclass(slots=True)
class Forgotten:
    """What a takedown did."""

    occurrences: int = 0
    removed_ids: list[int] = field(default_factory=list)
    """Of contents that lived until now."""
    blanked_ids: list[int] = field(default_factory=list)
    """Every `add` row whose text is gone, also of contents that died before: exports hold them."""
    moved: int = 0


class Counts(NamedTuple):
    """The figures of `codelupe status`."""

    repositories: Mapping[str, int]
    listed: int
    accepted: int
    distinct: int
    left_out: int
    reasons: Mapping[str, int]
    last_id: int


class ExportRow(NamedTuple):
    """An export to a file. `options` are those that `export --update` runs again."""

    path: str
    format: str
    watermark: int
    options: Mapping[str, Any]
    written_at: int


class Journal(ABC):
    """The source of truth. Methods may be called from several tasks at once.

    Every method raises `Transient` where the store is busy beyond its time limit and `Fatal`
    where it cannot be used (read-only, disk full, written by a newer version, damaged).
    """

    location: str
    """What `--store` was given, without secrets."""

    appends_at_once: int = 1
    """From how many on one process's appends only wait for each other."""

    @abstractmethod
    async def open(self, *, create: bool) -> None:
        """Open the store and bring its schema up to date; without `create` it must exist."""

    @abstractmethod
    async def close(self) -> None: ...

    # -- repositories, and whose they are ---------------------------------------------------

    @abstractmethod
    async def register(self, repo: Repo) -> int:
        """Make the repository known and due; its id. A known one keeps what was recorded.

        The standing counts at once only while no complete visit has ended (see `finish`).
        """

    @abstractmethod
    async def claim(self, repo_id: int, owner: str, lease_s: float) -> Visit | None:
        """Take the repository for `lease_s`; None while a living owner holds it.

        Raises `attempts` by one in the same transaction, so that a visit that ends with the
        process leaves its trace.
        """

    @abstractmethod
    async def claim_next(
        self, owner: str, lease_s: float, ids: Sequence[int] | None = None
    ) -> tuple[RepositoryRow, Visit] | None:
        """Take whichever repository has been due longest (of `ids`); None where none is due.

        Several that ask at once never wait for each other, and never get the same one.
        """

    @abstractmethod
    async def due(self, limit: int) -> list[int]:
        """Ids of repositories that `claim_next` would take now, in its order."""

    @abstractmethod
    async def renew(self, visit: Visit, lease_s: float) -> None:
        """Hold on to a claim. Raises `StaleVisit`."""

    @abstractmethod
    async def release(
        self, visit: Visit, state: str, reason: str | None, *, due_in_s: float | None = None
    ) -> None:
        """End a visit that did not complete: nothing is removed, `attempts` is cleared.

        Due again after `due_in_s`, at once in the state `due`, else when somebody asks. Raises
        `StaleVisit`. To end an ended visit again changes nothing: its answer may have been lost.
        """

    @abstractmethod
    async def repositories(self, *, due_only: bool = False) -> list[RepositoryRow]: ...

    @abstractmethod
    async def repositories_since(
        self, changed_at: float, after_id: int, limit: int
    ) -> list[RepositoryRow]:
        """Those changed at or after a time, by (changed_at, id), from after that pair on.

        Changes of transactions that ended late may lie before a time that was read already:
        whoever follows looks again at the last minute, or at everything.
        """

    # -- the way of a file ------------------------------------------------------------------

    @abstractmethod
    async def known_paths(self, repo_id: int, paths: Sequence[str]) -> dict[str, Known]:
        """What is recorded for these paths of the repository."""

    @abstractmethod
    async def known_oids(
        self, oids: Sequence[bytes], examiner_version: str
    ) -> dict[tuple[bytes, str], Known]:
        """Verdicts of this examiner version on these blobs in any repository, by (oid, path_class).

        Only verdicts that the bytes and the path class decide: no passing reasons, no takedowns,
        nothing that a listing decided.
        """

    @abstractmethod
    def pack(self, buffer: memoryview, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Turn UTF-8 texts (slices of `buffer`) into what `Content.packed` carries.

        Pure, outside the GIL, called from the examining threads.
        """

    @abstractmethod
    async def append(self, parts: Sequence[Part]) -> Recorded:
        """Record pieces of visits in one transaction. Raises `StaleVisit` and then writes nothing.

        An occurrence with a content_hash must find its content in the part (under its language),
        live, or in an older row; a content without `packed` its text in one of the latter two,
        else this raises `TextsMissing` and writes nothing. What a takedown names is recorded as
        left out, whatever the part says.
        """

    @abstractmethod
    async def paths(self, repo_id: int, after: str, limit: int) -> list[str]:
        """Recorded paths of a repository in byte order, after `after`."""

    @abstractmethod
    async def reason_counts(self, repo_id: int) -> dict[Reason | None, int]:
        """Recorded files of the repository by the reason against them; None is accepted."""

    @abstractmethod
    async def retire(self, visit: Visit, paths: Sequence[str]) -> None:
        """Forget paths that a complete listing no longer shows; `finish` decides on their texts."""

    @abstractmethod
    async def finish(
        self,
        visit: Visit,
        commit: bytes | None,
        standing: Standing,
        examiner_version: str,
        *,
        due_in_s: float | None = None,
    ) -> Recorded:
        """End a complete visit, all of it judged by `examiner_version`: its standing counts from
        now on, places that changed are moved, contents that stand nowhere are removed.

        The next visit, due after `due_in_s` or when somebody asks, is told `commit` and version,
        and may list only what changed since. An ended visit is as with `release`.
        """

    # -- readers ----------------------------------------------------------------------------

    @abstractmethod
    async def last_id(self) -> int: ...

    @abstractmethod
    async def read(self, after_id: int, limit: int) -> list[Entry]:
        """The next rows in commit order, none of them ever missed or seen twice.

        Long texts make a page shorter than `limit`; an empty one is the end.
        """

    @abstractmethod
    async def live(self, after_id: int, limit: int, *, content: bool = True) -> list[LiveContent]:
        """Live contents by the id of their add row."""

    @abstractmethod
    async def live_by_id(self, ids: Sequence[int], *, content: bool) -> list[LiveContent]:
        """Those of these contents that are live, in no order."""

    @abstractmethod
    async def live_by_hashes(self, hashes: Sequence[bytes], *, content: bool) -> list[LiveContent]:
        """Those of these contents that are live, in no order."""

    @abstractmethod
    async def blanked(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Those of these contents whose text was taken out of the journal: a takedown, a secret."""

    @abstractmethod
    async def live_by_hash(self, prefix: str) -> list[LiveContent]:
        """Live contents whose hash begins with these hex digits, at most 10, with their text."""

    @abstractmethod
    async def hashes(self, ids: Sequence[int]) -> set[bytes]:
        """Of the contents that these rows of the journal tell of."""

    @abstractmethod
    async def find(self, repo: str, path: str) -> OccurrenceRow | None:
        """The listed file at a place."""

    @abstractmethod
    async def occurrences(self, content_hash: bytes, limit: int = 100) -> list[OccurrenceRow]:
        """Where a content stands."""

    @abstractmethod
    async def counts(self) -> Counts: ...

    @abstractmethod
    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """While the body runs, `wake` is called when other processes may have added rows.

        A help, not a promise: whoever follows the journal polls as well.
        """

    # -- takedowns, new verdicts, exports, fsck -----------------------------------------------

    @abstractmethod
    async def forget_places(self, repo: str, pattern: str | None) -> Forgotten:
        """Take down a repository, or its paths that match a glob pattern, for good."""

    @abstractmethod
    async def forget_content(self, content_hash: bytes) -> Forgotten:
        """Take down a content wherever it stands, for good."""

    @abstractmethod
    async def erase(self) -> None:
        """Leave no byte of what was taken down in the store's files."""

    @abstractmethod
    async def judged_by_others(
        self, examiner_version: str, after: bytes, limit: int
    ) -> list[Judged]:
        """Live contents by hash that another examiner version judged."""

    @abstractmethod
    async def rejudge(
        self,
        rejudged: Sequence[Rejudged],
        examiner_version: str,
        accepts: Callable[[str | None], bool],
    ) -> Recorded:
        """Record new verdicts of recorded texts: revise, move, add or remove.

        Places with a license that `accepts` refuses are left out.

        What another version judged whole is so no longer: its next visit lists everything.
        """

    @abstractmethod
    async def mark_due(self, examiner_version: str) -> dict[RepositoryRow, int]:
        """Make repositories due whose left-out files another examiner version judged; how many."""

    @abstractmethod
    async def record_export(self, export: ExportRow) -> None: ...

    @abstractmethod
    async def exports(self) -> list[ExportRow]: ...

    @abstractmethod
    async def verify(self) -> tuple[dict[str, int], list[str]]:
        """Recompute and resolve everything; what was counted, and what is wrong."""


def same_listing(known: Known, listed: Listed, path_class: str, examiner_version: str) -> bool:
    """Whether nothing that a verdict depends on has changed since it was recorded."""
    return (
        known.oid == listed.oid
        and known.oid is not None
        and known.path_class == path_class
        and known.examiner_version == examiner_version
    )
