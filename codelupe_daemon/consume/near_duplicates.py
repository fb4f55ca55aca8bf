"""The consumer `near_duplicates`: which contents are nearly the same, and which of them wins.

Fingerprints find what may be alike, the texts decide. The index of fingerprints is in memory, read
from the journal when the first row comes; the clusters lie in the journal's database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from codelupe_daemon.consume.lsh import NONE, BandIndex
from codelupe_daemon.consume.runner import DeadLetter, Lease, StoredConsumer
from codelupe_daemon.consume.stars import Document, Lookup, Stars, Steps
from codelupe_daemon.examine.fingerprint import FINGERPRINT_BYTES
from codelupe_daemon.journal.clusters import Before, ClusterStore, Facts
from codelupe_daemon.model import Entry, Op, PlaceKey, place_key

THRESHOLD: Final = 0.7
LOAD_ROWS: Final = 20_000
DEAD_SHARE_MAX: Final = 0.25
"""Of the slots of the index, before it is loaded anew without them."""
_NOTHING: Final = np.empty(0, bool)


class _Loaded:
    """The index as of a watermark, and what of it must be placed or written again."""

    def __init__(self, watermark: int) -> None:
        self.index = BandIndex()
        self.watermark = watermark
        self.unplaced: set[int] = set()
        self.doubtful: set[int] = set()
        self.dead = 0


class NearDuplicates(StoredConsumer):
    """`threshold`: the least Jaccard index of near-duplicates."""

    name = "near_duplicates"

    def __init__(self, store: ClusterStore, threshold: float = THRESHOLD) -> None:
        super().__init__(store)
        self._store, self._threshold = store, threshold
        self._loaded: _Loaded | None = None

    @property
    def index_bytes(self) -> int:
        """What the index takes in memory; 0 while it is not loaded."""
        return 0 if self._loaded is None else self._loaded.index.size_bytes

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()

    async def claim(self, owner: str, lease_s: float) -> Lease | None:
        self._loaded = None  # another runner may have written since
        return await super().claim(owner, lease_s)

    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
        loaded = self._loaded or await self._load()
        self._loaded = None  # until all of it is written
        page = _Page([entry for entry in entries if entry.id > loaded.watermark])
        stars = Stars(loaded.index, self._threshold)
        if page.entries:
            await self._take(page, loaded, stars)
            watermark = page.entries[-1].id
            removed = page.removed.union(stars.apart())
            is_held = await self._store.put(
                self._holder(lease), stars.clusters(), sorted(removed), watermark
            )
            self._check(is_held=is_held)
            loaded.watermark = watermark
        if loaded.dead <= DEAD_SHARE_MAX * loaded.index.count:
            self._loaded = loaded

    async def bury(self, letter: DeadLetter, lease: Lease) -> None:
        self._loaded = None
        await super().bury(letter, lease)

    async def reset(self, lease: Lease) -> None:
        self._loaded = None
        self._check(is_held=await self._store.reset(self._holder(lease)))

    # -- a page --------------------------------------------------------------------------------

    async def _take(self, page: _Page, loaded: _Loaded, stars: Stars) -> None:
        before = await self._store.before([(row.content_hash, row.id) for row in page.known_before])
        steps = _steps(page, before, loaded, stars)
        lookup = await asyncio.to_thread(_begin, steps)
        while lookup is not None:
            facts = await self._store.facts(lookup.ids, content=lookup.content)
            lookup = await asyncio.to_thread(_go_on, steps, facts)

    # -- loading -------------------------------------------------------------------------------

    async def _load(self) -> _Loaded:
        """The index as of the watermark; what was removed from the journal since is not in it."""
        loaded = _Loaded(await self.watermark())
        rows: list[_Row] = []
        after = 0
        while page := await self._store.clustered(after, loaded.watermark, LOAD_ROWS):
            after = page[-1].id
            prints = [_usable(row.fingerprint) for row in page]
            loaded.index.append([row.id for row in page], prints)
            rows += [
                (row.is_clustered, row.winner_id or NONE, one is not None)
                for row, one in zip(page, prints, strict=True)
            ]
        await asyncio.to_thread(_restore, loaded, rows)
        return loaded


_Row = tuple[bool, int, bool]
"""Whether a content is clustered, the id of its winner, and whether it has a fingerprint."""


def _restore(loaded: _Loaded, rows: Sequence[_Row]) -> None:
    """Link what the store says; what it says of winners that are gone is to be found anew."""
    index = loaded.index
    clustered, winner_ids, usable = (
        map(np.array, zip(*rows, strict=True)) if rows else [_NOTHING] * 3
    )
    slots = np.arange(len(rows), dtype=np.int32)
    named = np.where(clustered, index.slots_of(winner_ids), slots)
    winners = np.where(usable & (named == slots), slots, NONE)
    loses = usable & (named != slots)
    finds = loses & (named != NONE) & (winners[named] == named)
    winners[finds] = named[finds]
    index.link_all(winners)
    loaded.unplaced = set(np.flatnonzero(loses & ~finds).tolist())
    alone = np.ones(len(rows), bool)
    alone[named[finds]] = False
    loaded.doubtful = set(np.flatnonzero(clustered & ~finds & alone).tolist())


class _Page:
    """Rows, sorted out by content: its first row tells what was before, its last one what is."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        first: dict[bytes, Entry] = {}
        self.last: dict[bytes, Entry] = {}
        for entry in entries:
            first.setdefault(entry.content_hash, entry)
            self.last[entry.content_hash] = entry
        self.known_before = [entry for entry in first.values() if entry.op is not Op.ADD]
        self.removed = {one.content_hash for one in entries if one.op is Op.REMOVE}
        """Also those that came back since."""
        self.added = {one.content_hash: one for one in entries if one.op is Op.ADD}


def _steps(page: _Page, before: Sequence[Before], loaded: _Loaded, stars: Stars) -> Steps:
    """Bring the index to the state after a page."""
    placed, restated = set(loaded.unplaced), set(loaded.doubtful)
    loaded.unplaced, loaded.doubtful = set(), set()
    slots = loaded.index.slots_of([one.add_id for one in before]).tolist()
    for slot, old, row in zip(slots, before, page.known_before, strict=True):
        if slot == NONE:
            continue  # removed before the index was loaded: its `remove` will come
        last = page.last[row.content_hash]
        fingerprint = _usable(last.fingerprint)
        if last.op is Op.REMOVE or last.content_hash in page.added:
            stars.take_out(slot)
            loaded.dead += 1
            continue
        stars.know(slot, Document(last.content_hash, last.id, _place_of(last)))
        if old.place == _place_of(last) and _usable(old.fingerprint) == fingerprint:
            restated.add(slot)
            continue
        stars.take_out(slot)
        if fingerprint is not None:
            loaded.index.set_fingerprint(slot, fingerprint)
            placed.add(slot)
    placed |= _append(page, loaded, stars)
    yield from stars.update(placed, restated)


def _append(page: _Page, loaded: _Loaded, stars: Stars) -> set[int]:
    """Slots for what is new at the end of the page; those that can be compared."""
    added = [one for one in page.added.values() if page.last[one.content_hash].op is not Op.REMOVE]
    added.sort(key=lambda entry: entry.id)
    last = [page.last[one.content_hash] for one in added]
    prints = [_usable(one.fingerprint) for one in last]
    slots = loaded.index.append([one.id for one in added], prints)
    placed = set()
    for slot, entry, newest, fingerprint in zip(slots, added, last, prints, strict=True):
        if fingerprint is not None and entry.content is not None:
            place = _place_of(newest)
            stars.know(slot, Document(entry.content_hash, newest.id, place, entry.content))
            placed.add(slot)
    return placed


def _usable(fingerprint: bytes | None) -> bytes | None:
    """None also for one that another version made otherwise: its `revise` will come."""
    return fingerprint if fingerprint and len(fingerprint) == FINGERPRINT_BYTES else None


def _place_of(entry: Entry) -> PlaceKey:
    return place_key(entry.standing, entry.place.repo, entry.place.path, entry.license)


def _begin(steps: Steps) -> Lookup | None:
    return next(steps, None)


def _go_on(steps: Steps, facts: Sequence[Facts]) -> Lookup | None:
    try:
        return steps.send(facts)
    except StopIteration:
        return None
