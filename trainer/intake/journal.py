"""Rows of CodeLupe's own journal, on SQLite or Postgres."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import orjson

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore, Member, WindowRow
from codelupe_daemon.model import Op
from trainer.intake.base import Source, blocks, patiently
from trainer.types import Candidate, Verdict

PAGE_ROWS: Final = 10_000
TEXTS_AT_ONCE: Final = 64
"""The daemon records no texts of more than 1 MiB, unless it is told to."""
CLUSTERS: Final = "near_duplicates"


class JournalSource(Source):
    """Both are opened and closed here."""

    name = "journal"

    def __init__(self, journal: Journal, clusters: ClusterStore) -> None:
        self._journal, self._clusters = journal, clusters

    async def open(self) -> None:
        await self._journal.open(create=False)
        await self._clusters.open()

    async def close(self) -> None:
        await self._clusters.close()
        await self._journal.close()

    async def head(self) -> int:
        """As far as near-duplicates are known."""
        last_id = await patiently(self._journal.last_id)
        return min(last_id, await patiently(self._clusters.watermark, CLUSTERS))

    async def rows(self, after_id: int, to_id: int) -> AsyncGenerator[list[Candidate], None]:
        while page := await patiently(self._clusters.window, after_id, to_id, PAGE_ROWS):
            yield list(map(_candidate, page))
            after_id = page[-1].id

    async def texts(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        for block in blocks(hashes, TEXTS_AT_ONCE):
            live = await patiently(self._journal.live_by_hashes, block, content=True)
            found |= {one.content_hash: one.content for one in live if one.content is not None}
        return found

    async def alive(self, hashes: Sequence[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for block in blocks(hashes, PAGE_ROWS):
            live = await patiently(self._journal.live_by_hashes, block, content=False)
            found |= {one.content_hash for one in live}
        return found

    async def taken_down(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Not what came back since: its text may be seen again."""
        blanked = await patiently(self._journal.blanked, hashes)
        return blanked - await self.alive(list(blanked))

    async def members(self, hashes: Sequence[bytes]) -> dict[bytes, list[Member]]:
        return await patiently(self._clusters.members, hashes)


def _candidate(row: WindowRow) -> Candidate:
    before = None
    if row.op is Op.REVISE:
        before = Verdict(
            row.quality_before or 0.0, row.language_before, row.license_before,
            _is_contaminated(row.signals_before),
        )  # fmt: skip
    return Candidate(
        row.id, row.content_hash, row.op in {Op.ADD, Op.REVISE}, row.is_live, row.content_chars,
        row.language, row.quality or 0.0, row.license, row.repo, row.path, row.created_at,
        row.cluster_id, row.winner in {None, row.content_hash}, _is_contaminated(row.signals),
        before,
    )  # fmt: skip


def _is_contaminated(signals: str | None) -> bool:
    return signals is not None and "benchmark" in orjson.loads(signals)
