"""Which contents may be near-duplicates: an index in memory of the bands of their fingerprints.

Every content has a slot, in the order of its id. It is linked as a winner (with or without losers)
or as the loser of one, and each kind has chains of its own: a content that loses against a winner
never looks at the losers, of which a family of copies has many.

A slot costs 132 bytes, 12% of reserve and, for the heads of the chains, 19 to 37 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from codelupe_daemon.examine.fingerprint import BAND_BYTES, BANDS, FINGERPRINT_BYTES
from codelupe_daemon.kernels import JIT

Slots = npt.NDArray[np.int32]
Ids = npt.NDArray[np.int64]

ALIKE_BYTES = 30
"""Of pairs with a Jaccard index of 0.7, 0.003 have fewer equal bytes; with 0.4, 0.97 have."""
NONE = -1
_FIRST_SLOTS, _FIRST_BITS = 1024, 8
_CHAIN_MAX = 6  # slots for each head, before the heads are doubled
_RESERVE = 0.125
_SPREAD = np.uint32(0x9E3779B1)


class Role(IntEnum):
    """Which chains a slot is linked in."""

    WINNER = 0
    LOSER = 1


@njit(**JIT)
def _head(bands: Any, slot: np.int64, band: np.int64, shift: np.uint32) -> np.uint32:
    return np.uint32(bands[slot, band] * _SPREAD) >> shift  # the product of two is uint64


@njit(**JIT)
def _link(bands: Any, chains: Any, heads: Any, shift: np.uint32, slot: np.int64) -> None:
    for band in range(BANDS):
        at = _head(bands, slot, band, shift)
        chains[slot, band] = heads[band, at]
        heads[band, at] = slot


@njit(**JIT)
def _unlink(bands: Any, chains: Any, heads: Any, shift: np.uint32, slot: np.int64) -> None:
    for band in range(BANDS):
        at = _head(bands, slot, band, shift)
        if heads[band, at] == slot:
            heads[band, at] = chains[slot, band]
            continue
        before = heads[band, at]
        while chains[before, band] != slot:
            before = chains[before, band]
        chains[before, band] = chains[slot, band]


@njit(**JIT)
def _link_all(
    bands: Any, chains: Any, heads: Any, shift: np.uint32, winners: Any, losers: Any
) -> None:
    heads[:] = NONE
    for slot in range(winners.shape[0]):
        winner = winners[slot]
        if winner == NONE:
            continue
        _link(bands, chains, heads[0 if winner == slot else 1], shift, slot)
        if winner != slot:
            losers[slot, 1] = losers[winner, 0]
            losers[winner, 0] = slot


@njit(**JIT)
def _alike(
    bands: Any, chains: Any, heads: Any, shift: np.uint32, slot: np.int64, into: Any
) -> np.int64:
    """Write the slots that share a band and enough bytes; how many they are, may be too many."""
    found = np.int64(0)
    for band in range(BANDS):
        other = np.int64(heads[band, _head(bands, slot, band, shift)])
        while other != NONE:
            if bands[other, band] == bands[slot, band] and other != slot:
                equal = np.int64(0)
                is_new = True
                for k in range(BANDS):
                    differing = bands[other, k] ^ bands[slot, k]
                    is_new &= differing != 0 or k >= band
                    for byte in range(BAND_BYTES):
                        equal += (differing >> np.uint32(8 * byte)) & np.uint32(255) == 0
                if is_new and equal >= ALIKE_BYTES:
                    if found < into.shape[0]:
                        into[found] = other
                    found += 1
            other = np.int64(chains[other, band])
    return found


@njit(**JIT)
def _alike_at_all(
    bands: Any, chains: Any, heads: Any, shift: np.uint32, slots: Any, into: Any
) -> np.int64:
    """Write the slots to which others are alike, and those; how many, may be too many."""
    count = np.int64(0)
    for slot in slots:
        found = _alike(bands, chains, heads, shift, slot, into[count + 1 :])
        if found > 0:
            if count < into.shape[0]:
                into[count] = slot
            count += found + 1
    return count


class BandIndex:
    """Slots by the bands of their fingerprints, and who wins over whom."""

    def __init__(self) -> None:
        self.count = 0
        self._ids = np.empty(_FIRST_SLOTS, np.int64)
        self._bands = np.empty((_FIRST_SLOTS, BANDS), np.uint32)
        self._chains = np.empty((_FIRST_SLOTS, BANDS), np.int32)
        self._winners = np.empty(_FIRST_SLOTS, np.int32)
        self._losers = np.empty((_FIRST_SLOTS, 2), np.int32)  # the first one; the one beside
        self._found = np.empty(4096, np.int32)
        self._set_heads(_FIRST_BITS)

    @property
    def size_bytes(self) -> int:
        arrays = (self._ids, self._bands, self._chains, self._winners, self._losers, self._heads)
        return sum(array.nbytes for array in arrays)

    def append(self, ids: Sequence[int], fingerprints: Sequence[bytes | None]) -> range:
        """Slots for ids above all earlier ones, not yet linked."""
        slots = range(self.count, self.count + len(ids))
        self._reserve(slots.stop)
        self.count = slots.stop
        self._ids[slots.start : slots.stop] = ids
        empty = bytes(FINGERPRINT_BYTES)
        joined = b"".join(one or empty for one in fingerprints)
        bands = np.frombuffer(joined, "<u4").reshape(len(ids), BANDS)
        self._bands[slots.start : slots.stop] = bands
        self._winners[slots.start : slots.stop] = NONE
        self._losers[slots.start : slots.stop] = NONE
        return slots

    def _reserve(self, slots: int) -> None:
        if slots <= len(self._ids):
            return
        size = slots + int(slots * _RESERVE)
        for name in ("_ids", "_bands", "_chains", "_winners", "_losers"):
            old = getattr(self, name)
            new = np.empty((size, *old.shape[1:]), old.dtype)
            new[: self.count] = old[: self.count]
            setattr(self, name, new)
        bits = self._bits
        while slots > _CHAIN_MAX << bits:
            bits += 1
        if bits != self._bits:
            self._set_heads(bits)

    def _set_heads(self, bits: int) -> None:
        self._bits, self._shift = bits, np.uint32(32 - bits)
        self._heads = np.empty((len(Role), BANDS, 1 << bits), np.int32)
        self.link_all(self._winners[: self.count])

    def link_all(self, winners: Slots) -> None:
        """Forget every link and make these: the winner of each slot, NONE for one of no part."""
        self._winners[: self.count] = winners
        self._losers[: self.count] = NONE
        arrays = self._bands, self._chains, self._heads
        _link_all(*arrays, self._shift, self._winners[: self.count], self._losers)

    def set_fingerprint(self, slot: int, fingerprint: bytes) -> None:
        """Of a slot that is not linked."""
        self._bands[slot] = np.frombuffer(fingerprint, "<u4")

    def id_of(self, slot: int) -> int:
        return int(self._ids[slot])

    def slots_of(self, ids: Sequence[int] | Ids) -> Ids:
        """NONE for ids without a slot."""
        wanted = np.array(ids, np.int64)
        slots = np.searchsorted(self._ids[: self.count], wanted)
        slots[slots == self.count] = 0
        found = (self._ids[slots] == wanted) & (self.count > 0)
        return np.where(found, slots, NONE)

    def winner_of(self, slot: int) -> int:
        """The slot itself if it wins, NONE if it is not linked."""
        return int(self._winners[slot])

    def has_losers(self, slot: int) -> bool:
        return bool(self._losers[slot, 0] != NONE)

    def losers_of(self, slot: int) -> list[int]:
        losers = []
        loser = int(self._losers[slot, 0])
        while loser != NONE:
            losers.append(loser)
            loser = int(self._losers[loser, 1])
        return losers

    def link(self, slot: int, winner: int) -> None:
        """Make the slot a winner (its own) or a loser."""
        self._winners[slot] = winner
        role = Role.WINNER if winner == slot else Role.LOSER
        _link(self._bands, self._chains, self._heads[role], self._shift, slot)
        if role is Role.LOSER:
            self._losers[slot, 1] = self._losers[winner, 0]
            self._losers[winner, 0] = slot

    def unlink(self, slot: int) -> None:
        """A winner must have no losers left."""
        winner = int(self._winners[slot])
        role = Role.WINNER if winner == slot else Role.LOSER
        _unlink(self._bands, self._chains, self._heads[role], self._shift, slot)
        if role is Role.LOSER:
            self._forget_loser(winner, slot)
        self._winners[slot] = NONE

    def _forget_loser(self, winner: int, slot: int) -> None:
        after = self._losers[slot, 1]
        self._losers[slot, 1] = NONE
        if self._losers[winner, 0] == slot:
            self._losers[winner, 0] = after
            return
        before = int(self._losers[winner, 0])
        while self._losers[before, 1] != slot:
            before = int(self._losers[before, 1])
        self._losers[before, 1] = after

    def alike(self, slot: int, role: Role) -> list[int]:
        """The linked slots in this role that are probably near-duplicates of a slot."""
        return self._found_by(_alike, role, slot)

    def alike_at_all(self, slots: Iterable[int]) -> set[int]:
        """Of these slots those to which winners are alike, and these winners."""
        return set(self._found_by(_alike_at_all, Role.WINNER, np.fromiter(slots, np.int64)))

    def _found_by(self, kernel: Any, role: Role, what: Any) -> list[int]:
        arguments = (self._bands, self._chains, self._heads[role], self._shift, what)
        count = kernel(*arguments, self._found)
        if count > len(self._found):
            self._found = np.empty(2 * count, np.int32)
            count = kernel(*arguments, self._found)
        found: list[int] = self._found[:count].tolist()
        return found
