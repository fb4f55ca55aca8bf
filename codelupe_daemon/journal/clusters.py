"""Where the clusters of near-duplicates lie: in the journal's own database, beside its watermarks.

Who writes is the consumer `near_duplicates`; who reads is whoever shows, exports or trains.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from codelupe_daemon.journal.consumers import ConsumerStore, Holder
from codelupe_daemon.model import Op, PlaceKey, Standing, place_key


class Cluster(NamedTuple):
    """A content that has a near-duplicate. `facts_id`: the journal row that gave its rank."""

    content_hash: bytes
    cluster_id: bytes
    winner: bytes
    facts_id: int


class Clustered(NamedTuple):
    """A live content as it stands in the clusters. `winner_id`: None where that is not live."""

    id: int
    fingerprint: bytes | None
    is_clustered: bool
    winner_id: int | None


class Facts(NamedTuple):
    """What ranks a live content: its newest row. `content` where it was asked for."""

    id: int
    """Of its `add` row."""
    content_hash: bytes
    facts_id: int
    place: PlaceKey
    content: str | None


class Before(NamedTuple):
    """A content before one of its rows: when it was added, and the row that was its newest."""

    add_id: int
    place: PlaceKey
    fingerprint: bytes | None


class WindowRow(NamedTuple):
    """A row of the journal, with what is true of its content now; of a dead one, as of the row.

    `*_before`: of the content's row before this one, where this one is a `revise`. `signals`: only
    where they may tell of a benchmark.
    """

    id: int
    op: Op
    content_hash: bytes
    is_live: bool
    content_chars: int
    language: str | None
    quality: float | None
    """0..100."""
    license: str | None
    repo: str
    path: str
    created_at: int
    """When the content was added."""
    signals: str | None
    cluster_id: bytes | None
    winner: bytes | None
    quality_before: float | None
    language_before: str | None
    license_before: str | None
    signals_before: str | None


class Member(NamedTuple):
    """A live content of a cluster, and the repository it stands in."""

    content_hash: bytes
    repo: str


class ClusterStore(ConsumerStore):
    """Also what the consumer `near_duplicates` keeps, and what the journal says of its contents."""

    @abstractmethod
    async def reset(self, holder: Holder) -> bool:
        """Forget all clusters and dead letters; the watermark is 0."""

    @abstractmethod
    async def put(
        self, holder: Holder, clusters: Sequence[Cluster], removed: Sequence[bytes], watermark: int
    ) -> bool:
        """Replace these contents' rows, drop the others' and move the watermark, all or nothing."""

    @abstractmethod
    async def clusters_of(self, hashes: Sequence[bytes]) -> dict[bytes, Cluster]:
        """Of those of these contents that have a near-duplicate."""

    # -- what the journal says of the contents -------------------------------------------------

    @abstractmethod
    async def clustered(self, after_id: int, last_id: int, limit: int) -> list[Clustered]:
        """Live contents by the id of their add row, up to `last_id`."""

    @abstractmethod
    async def facts(self, ids: Sequence[int], *, content: bool) -> list[Facts]:
        """Of those of these contents, named by their add rows, that are live; in no order."""

    @abstractmethod
    async def window(self, after_id: int, to_id: int, limit: int) -> list[WindowRow]:
        """The next rows of the journal up to `to_id`, without their texts."""

    @abstractmethod
    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        """Of those of these contents that have near-duplicates: all that live of the cluster, the
        one added first before the others."""

    @abstractmethod
    async def before(self, rows: Sequence[tuple[bytes, int]]) -> list[Before]:
        """For each content_hash and row id; the row must not be the content's first."""


def place_of(columns: Sequence[Any]) -> PlaceKey:
    """Of license, stars, forks and pushed_at of a repository, its name, and path and license."""
    *standing, full_name, path, license_id = columns
    return place_key(Standing(*standing), full_name, path, license_id)


def grouped(rows: Iterable[tuple[bytes, bytes, str]]) -> dict[bytes, list[Member]]:
    """Rows of the statement `members`, by the content that was asked for."""
    found: dict[bytes, list[Member]] = {}
    for asked, content_hash, repo in rows:
        found.setdefault(asked, []).append(Member(content_hash, repo))
    return found
