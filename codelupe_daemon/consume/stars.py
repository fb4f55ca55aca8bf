"""Who wins among near-duplicates, kept right while contents come, change and go. Pure.

Each content, in the order of rank, either loses against the best winner that it is a near-duplicate
of, or becomes a winner. So a loser is always a near-duplicate of the winner that is named for it,
which chains of versions would break if whatever hangs together were one cluster. The result follows
from the contents and their ranks alone, so it does not matter in which order or pages they came.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from codelupe_daemon.consume.lsh import NONE, BandIndex, Role
from codelupe_daemon.examine.fingerprint import Shingles, jaccard, shingle_set
from codelupe_daemon.journal.clusters import Cluster, Facts
from codelupe_daemon.model import PlaceKey

Rank = tuple[PlaceKey, bytes]
"""The least wins."""


class Lookup(NamedTuple):
    """What must be known of contents, by their ids, before a step can go on."""

    ids: list[int]
    content: bool


Steps = Generator[Lookup, Sequence[Facts], None]


class Document:
    """What was learned of a content while its page is taken."""

    __slots__ = ("content", "content_hash", "facts_id", "rank", "shingles")

    def __init__(
        self, content_hash: bytes, facts_id: int, place: PlaceKey, content: str | None = None
    ) -> None:
        self.content_hash, self.facts_id = content_hash, facts_id
        self.rank: Rank = (place, content_hash)
        self.content = content
        self.shingles: Shingles | None = None


class Stars:
    """One page of changes to an index: `take_out` and `know`, then `update` once, then read."""

    def __init__(self, index: BandIndex, threshold: float) -> None:
        self._index, self._threshold = index, threshold
        self._documents: dict[int, Document] = {}
        self._waiting: list[tuple[Rank, int]] = []
        self._changed: set[int] = set()
        self._parted: set[int] = set()
        self._homeless: set[int] = set()

    def know(self, slot: int, document: Document) -> None:
        """What the page itself says of a content: it counts before what is looked up."""
        self._documents[slot] = document

    def take_out(self, slot: int) -> None:
        """Unlink a slot; losers that lose their winner with it will be placed anew."""
        self._homeless |= self._take_out(slot)
        self._homeless.discard(slot)

    def update(self, placed: Iterable[int], restated: Iterable[int]) -> Steps:
        """Place slots that are not linked; write others again, whose rank is the same."""
        self._part(restated)
        placed = {*placed, *self._homeless}
        yield from self._prepare(placed)
        self._wait(placed)
        while self._waiting or self._unwritable():
            if self._waiting:
                _, slot = heappop(self._waiting)
                if self._index.winner_of(slot) == NONE:
                    yield from self._place(slot)
            else:
                yield from self._look_up(self._unwritable(), content=False)

    def clusters(self) -> list[Cluster]:
        """The rows of the contents that changed and have a near-duplicate."""
        return [self._row(slot) for slot in self._changed if self._is_clustered(slot)]

    def apart(self) -> list[bytes]:
        """The hashes of those that had one and have none any more."""
        slots = [slot for slot in self._parted if not self._is_clustered(slot)]
        return [self._documents[slot].content_hash for slot in slots if slot in self._documents]

    def _unwritable(self) -> set[int]:
        """Contents whose rows cannot be written before more is known of them."""
        changed = {slot for slot in self._changed if self._index.winner_of(slot) != NONE}
        changed |= {self._index.winner_of(slot) for slot in changed}
        return changed - self._documents.keys()

    def _is_clustered(self, slot: int) -> bool:
        winner = self._index.winner_of(slot)
        return winner != NONE and (winner != slot or self._index.has_losers(slot))

    def _row(self, slot: int) -> Cluster:
        document = self._documents[slot]
        winner = self._documents[self._index.winner_of(slot)].content_hash
        return Cluster(document.content_hash, winner, winner, document.facts_id)

    # -- taking out --------------------------------------------------------------------------

    def _take_out(self, slot: int) -> set[int]:
        """Unlink a slot; the losers that have lost their winner with it are unlinked too."""
        winner = self._index.winner_of(slot)
        if winner == NONE:
            return set()
        losers = self._index.losers_of(slot)
        self._part((slot, winner, *losers))
        for one in (*losers, slot):
            self._index.unlink(one)
        return set(losers)

    def _part(self, slots: Iterable[int]) -> None:
        """These had rows, or may have had."""
        self._changed.update(slots)
        self._parted.update(slots)

    # -- placing -----------------------------------------------------------------------------

    def _wait(self, slots: Iterable[int]) -> None:
        for slot in slots:
            if slot in self._documents:  # else it is no longer live
                heappush(self._waiting, (self._documents[slot].rank, slot))

    def _place(self, slot: int) -> Steps:
        winners = yield from self._alike(slot, Role.WINNER)
        worse = [winner for winner in winners if self._rank(winner) > self._rank(slot)]
        for winner in winners[: len(winners) - len(worse)]:
            if self._are_near(slot, winner):
                self._link(slot, winner)
                return
        self._link(slot, slot)
        for winner in worse:
            if self._are_near(slot, winner):
                yield from self._defeat(winner, slot)
        yield from self._attract(slot)

    def _defeat(self, winner: int, slot: int) -> Steps:
        """A worse winner loses against a new one; its losers are placed anew."""
        losers = self._take_out(winner)
        self._link(winner, slot)
        yield from self._look_up(losers, content=True)
        self._wait(losers)

    def _attract(self, slot: int) -> Steps:
        """Losers of worse winners go over to a new one."""
        losers = yield from self._alike(slot, Role.LOSER)
        for loser in losers:
            if self._are_near(slot, loser):
                self._take_out(loser)
                self._link(loser, slot)

    def _alike(self, slot: int, role: Role) -> Generator[Lookup, Sequence[Facts], list[int]]:
        """What a slot must be compared with, best first, all texts at hand."""
        found = self._index.alike(slot, role)
        if role is Role.LOSER and found:
            winners = [self._index.winner_of(one) for one in found]
            yield from self._look_up([slot, *found, *winners], content=False)
            found = [one for one in found if self._would_leave(one, slot)]
        if found:
            yield from self._look_up([slot, *found], content=True)
        if slot not in self._documents:
            return []
        return sorted(filter(self._is_linked, found), key=self._rank)

    def _would_leave(self, loser: int, slot: int) -> bool:
        winner = self._index.winner_of(loser)
        if not (self._is_linked(loser) and self._is_linked(winner) and slot in self._documents):
            return False
        return min(self._rank(winner), self._rank(loser)) > self._rank(slot)

    def _is_linked(self, slot: int) -> bool:
        return slot in self._documents and self._index.winner_of(slot) != NONE

    def _link(self, slot: int, winner: int) -> None:
        self._index.link(slot, winner)
        self._changed.update((slot, winner))

    def _rank(self, slot: int) -> Rank:
        return self._documents[slot].rank

    def _are_near(self, slot: int, other: int) -> bool:
        return jaccard(self._shingles(slot), self._shingles(other)) >= self._threshold

    def _shingles(self, slot: int) -> Shingles:
        document = self._documents[slot]
        if document.shingles is None:
            document.shingles = shingle_set((document.content or "").encode())
            document.content = None
        return document.shingles

    # -- looking up --------------------------------------------------------------------------

    def _prepare(self, slots: set[int]) -> Steps:
        """Learn in one step what most of the page will ask for."""
        yield from self._look_up(slots | self._changed, content=False)
        yield from self._look_up(self._index.alike_at_all(slots), content=True)

    def _look_up(self, slots: Iterable[int], *, content: bool) -> Steps:
        """Learn what is not known yet; take out what is no longer live: its `remove` follows."""
        unknown = [slot for slot in set(slots) if not self._knows(slot, content=content)]
        if not unknown:
            return
        ids = {self._index.id_of(slot): slot for slot in unknown}
        for facts in (yield Lookup(sorted(ids), content)):
            slot = ids.pop(facts.id)
            known = self._documents.get(slot)
            if known is None:
                self._documents[slot] = Document(
                    facts.content_hash, facts.facts_id, facts.place, facts.content
                )
            else:
                known.content = facts.content
        orphans: set[int] = set()
        for slot in ids.values():
            orphans |= self._take_out(slot)
            self._documents.pop(slot, None)
        if orphans:
            yield from self._look_up(orphans, content=True)
            self._wait(orphans)

    def _knows(self, slot: int, *, content: bool) -> bool:
        document = self._documents.get(slot)
        if document is None:
            return False
        return not content or document.content is not None or document.shingles is not None
