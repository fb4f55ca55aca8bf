"""The types that flow from discovery to the journal and out again.

What exists once a file is a `NamedTuple`: making a frozen dataclass takes three times as long, and
there are tens of thousands a second. What exists once a repository is a frozen dataclass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self, TypeVar

from codelupe_daemon.spdx import license_class

T = TypeVar("T")


class Reason(StrEnum):
    """Why a listed file is not in the journal; `docs/reasons.md` explains each to its author."""

    SUBMODULE = "submodule"
    SYMLINK = "symlink"
    LFS_POINTER = "lfs pointer"
    TOO_DEEP = "too deep"
    UNREADABLE = "unreadable"
    CHANGED_WHILE_READ = "changed while read"
    TOO_LARGE = "too large"
    TOO_SMALL = "too small"
    BINARY = "binary"
    NOT_TEXT = "not text"
    NOT_CODE = "not code"
    VENDORED = "vendored"
    GENERATED = "generated"
    TEST_FIXTURE = "test fixture"
    CONFIGURATION = "configuration"
    DOCUMENTATION = "documentation"
    MINIFIED = "minified"
    DATA = "data"
    TOO_FEW_LINES = "too few lines"
    TOO_MANY_LINES = "too many lines"
    SHORT_LINES = "short lines"
    FEW_LETTERS = "few letters"
    MANY_DIGITS = "many digits"
    MOSTLY_BLANK = "mostly blank"
    MOSTLY_COMMENTS = "mostly comments"
    MOSTLY_STUBS = "mostly stubs"
    MOSTLY_IMPORTS = "mostly imports"
    MOSTLY_PRINTS = "mostly prints"
    REPETITIVE = "repetitive"
    UNFINISHED = "unfinished"
    SECRET = "secret"  # noqa: S105 - a reason, not one
    LICENSE = "license"
    EXAMINER_FAILED = "examiner failed"
    EXAMINER_CRASHED = "examiner crashed"
    TAKEN_DOWN = "taken down"

    @classmethod
    def failed(cls, rule: str) -> Reason:
        """`examiner failed: RULE`: the rule raised an exception at this file."""
        return cls(f"{cls.EXAMINER_FAILED}: {rule}")

    @classmethod
    def _missing_(cls, value: object) -> Reason | None:
        """Reasons that name the rule; members otherwise, but not listed."""
        text = str(value)
        if not text.startswith(f"{cls.EXAMINER_FAILED.value}: "):
            return None
        member = str.__new__(cls, text)
        member._name_, member._value_ = text, text
        return member


# Nothing was learned about the bytes: tried again at the next visit, and this one is incomplete.
PASSING_REASONS = frozenset({Reason.UNREADABLE, Reason.CHANGED_WHILE_READ})

# What the listing alone decides: true of one entry, and of no other with the same object id.
LISTING_REASONS = frozenset({Reason.SUBMODULE, Reason.SYMLINK, Reason.TOO_DEEP})


class Op(StrEnum):
    """What happened to a content in the journal."""

    ADD = "add"
    MOVE = "move"
    REVISE = "revise"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a repository's reputation; None is unknown, and ranks least."""

    license: str | None = None
    stars: int | None = None
    forks: int | None = None
    pushed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository as discovery names it.

    `full_name`: owner/name on GitHub, host/path for other URLs, the absolute path for local ones.
    `location`: what git or the folder reader opens.
    """

    full_name: str
    location: str
    standing: Standing = field(default_factory=Standing)
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """The right to record one repository, until its lease ends or another process takes over."""

    repo_id: int
    full_name: str
    epoch: int
    attempts: int
    is_first: bool
    """No occurrence of the repository was recorded before."""
    last_commit: bytes | None = None
    """The commit that is recorded, whole and under `last_version`; None if that is not sure."""
    last_version: str | None = None
    last_license: str | None = None
    """Of the repository, as of its last complete visit."""


class Listed(NamedTuple):
    """One entry of a tree. `reason` is set where the listing alone decides."""

    path: str
    oid: bytes | None
    reason: Reason | None = None
    measured: float | None = None


class PathVerdict(NamedTuple):
    """What the path alone decides. Equal `path_class` means: the path makes no difference."""

    path_class: str
    language: str | None
    reason: Reason | None
    measured: float | None = None


class Wanted(NamedTuple):
    """A blob that must be read, and every place in the repository that asks for it."""

    oid: bytes
    path_class: str
    language: str | None
    paths: list[str]


class Verdict(NamedTuple):
    """The judgement of one text. `score` is 0..1 in steps of 0.001; `signals` is a JSON object."""

    reason: Reason | None
    measured: float | None
    language: str | None
    score: float = 0.0
    signals: bytes = b"{}"


class Content(NamedTuple):
    """An accepted text as the journal stores it. `packed` is made by the journal's own `pack`.

    `fingerprint` finds near-duplicates; None for a text too short to have any. `license`: the
    SPDX expression of the text's own header.
    """

    content_hash: bytes
    packed: bytes | None
    chars: int
    language: str
    score: float
    signals: bytes
    fingerprint: bytes | None = None
    license: str | None = None

    @property
    def key(self) -> ContentKey:
        return self.content_hash, self.language


class Occurrence(NamedTuple):
    """One listed file: either the content that it holds or the reason it was left out.

    `license`: of this place, an SPDX expression: `own_license`, that of the file's own header,
    else that of the nearest folder with a licence file.
    """

    path: str
    oid: bytes | None
    path_class: str
    language: str | None
    content_hash: bytes | None
    reason: Reason | None
    measured: float | None
    license: str | None = None
    own_license: str | None = None


ContentKey = tuple[bytes, str]
"""content_hash and language: the same text is judged once in each language it is taken for."""


class Part(NamedTuple):
    """A piece of a visit, ready to be recorded. Contents already live need no entry here."""

    visit: Visit
    commit: bytes | None
    examiner_version: str
    occurrences: Sequence[Occurrence]
    contents: Mapping[ContentKey, Content]


class Place(NamedTuple):
    """Where a content stands."""

    repo_id: int
    repo: str
    path: str
    commit: bytes | None
    oid: bytes | None


class Entry(NamedTuple):
    """A row of the journal. `content` is text in `add` rows that no takedown blanked."""

    id: int
    op: Op
    content_hash: bytes
    content: str | None
    content_chars: int
    language: str | None
    quality: float | None
    """0..100 with one decimal."""
    signals: bytes | None
    license: str | None
    place: Place
    standing: Standing
    examiner_version: str
    created_at: int
    fingerprint: bytes | None = None


class LiveContent(NamedTuple):
    """A content that stands somewhere now, under the verdict of its newest op."""

    id: int
    """The id of its `add` row: unchanged while the content lives."""
    newest_id: int
    content_hash: bytes
    content: str | None
    content_chars: int
    language: str
    quality: float
    signals: bytes
    license: str | None
    place: Place
    examiner_version: str
    created_at: int
    fingerprint: bytes | None = None


@dataclass(slots=True)
class Recorded:
    """How many rows of the journal were written, by op."""

    ops: dict[Op, int] = field(default_factory=dict)

    def count(self, op: Op, rows: int = 1) -> None:
        self.ops[op] = self.ops.get(op, 0) + rows

    def __iadd__(self, other: Recorded) -> Self:
        for op, rows in other.ops.items():
            self.count(op, rows)
        return self


def by_chars(
    items: Iterable[T], chars_of: Callable[[T], int], chars_max: int, items_max: int = sys.maxsize
) -> Iterator[list[T]]:
    """Groups of items, in their order, whose texts fit into memory together; a longer one alone."""
    group: list[T] = []
    chars = 0
    for item in items:
        if group and (chars + chars_of(item) > chars_max or len(group) == items_max):
            yield group
            group, chars = [], 0
        group.append(item)
        chars += chars_of(item)
    if group:
        yield group


PlaceKey = tuple[int, int, int, int, bytes, bytes]


def place_key(
    standing: Standing, full_name: str, path: str, license_id: str | None = None
) -> PlaceKey:
    """The least key is the best place: licence, stars, forks, newest push, bytes of the name.

    `license_id`: of the place itself, where it is known; else the repository's counts.
    """
    return (
        license_class(license_id or standing.license),
        -(-1 if standing.stars is None else standing.stars),
        -(-1 if standing.forks is None else standing.forks),
        -(-1 if standing.pushed_at is None else standing.pushed_at),
        full_name.encode(),
        path.encode(),
    )
