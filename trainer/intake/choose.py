"""Which rows of a window are taken, and why the others are not. Pure.

A window of a million rows stays in compact columns: a row takes some 300 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np

from codelupe_daemon import spdx
from trainer.profile import DataSection
from trainer.types import Candidate, NotTaken, Origin, Side, Taken

CHARS_PER_TOKEN: Final = 3.2
"""Of code, until a tokenizer has measured it."""
MEASURED_MAX: Final = 5000
"""Files of a side that are measured on in a round."""
_TOLERANCE: Final = 1e-6  # a hundredfold decimal is not the decimal
_DAY_S: Final = 86_400
_COLUMNS: Final = np.dtype([
    ("id", "i8"), ("quality", "f8"), ("chars", "i8"), ("created_at", "i8"),
    ("repo", "i4"), ("language", "i4"), ("license", "i4"),
])  # fmt: skip
Array = np.ndarray[Any, np.dtype[Any]]
Positions = Array
"""Of rows in a window, int64."""


class Filters:
    """What a profile's data section wants of every row."""

    def __init__(self, data: DataSection) -> None:
        self._data = data
        self._min_quality = data.min_quality - _TOLERANCE
        self._languages = {name.lower() for name in data.languages}
        self._accepts = spdx.accepts(data.licenses)

    def is_new(self, row: Candidate) -> bool:
        """An `add`, or a `revise` of what did not pass before."""
        if row.before is None or row.before.is_contaminated:
            return row.is_candidate
        quality, language, license_, _ = row.before
        earlier = row._replace(quality=quality, language=language, license=license_)
        return row.is_candidate and self.refuse(earlier) is not None

    def refuse(self, row: Candidate | Taken) -> NotTaken | None:
        if not row.quality >= self._min_quality:  # also what is no number
            return NotTaken.LOW_QUALITY
        if row.chars < self._data.min_chars:
            return NotTaken.TOO_SHORT
        if row.chars > self._data.max_chars and not self._data.split_long_files:
            return NotTaken.TOO_LONG
        if self._languages and (row.language or "").lower() not in self._languages:
            return NotTaken.LANGUAGE
        return None if self._accepts(row.license) else NotTaken.LICENSE


class Window:
    """The rows of a window: those that pass, and how many do not, by reason."""

    def __init__(self, data: DataSection) -> None:
        self.rows = 0
        self.not_taken: Counter[NotTaken] = Counter()
        self.hashes: list[bytes] = []
        self.clusters: dict[int, bytes] = {}
        """Position -> its cluster of near-duplicates."""
        self._filters = Filters(data)
        self._seen: set[bytes] = set()
        self._paths: list[str] = []
        self._pages: list[Array] = []
        self._names: dict[str | None, int] = {}

    def sift(self, page: Sequence[Candidate]) -> list[Candidate]:
        """Those that may be kept; the others are counted. A content counts once in a window."""
        passing = []
        for row in page:
            reason = self._refuse(row)
            if reason is None:
                passing.append(row)
            else:
                self.not_taken[reason] += 1
        self.rows += len(page)
        return passing

    def _refuse(self, row: Candidate) -> NotTaken | None:
        if not self._filters.is_new(row) or row.content_hash in self._seen:
            return NotTaken.NOT_A_CANDIDATE
        if not row.is_live:
            return NotTaken.NOT_LIVE
        self._seen.add(row.content_hash)
        if (reason := self._filters.refuse(row)) is not None:
            return reason
        if not row.is_winner:
            return NotTaken.NEAR_DUPLICATE
        return NotTaken.CONTAMINATED if row.is_contaminated else None

    def keep(self, rows: Sequence[Candidate]) -> None:
        """What passed and was not trained before."""
        for position, row in enumerate(rows, len(self.hashes)):
            if row.cluster is not None:
                self.clusters[position] = row.cluster
        self.hashes += (row.content_hash for row in rows)
        self._paths += (row.path for row in rows)
        packed = [
            (
                row.id, row.quality, row.chars, row.created_at,
                self._named(row.repo), self._named(row.language), self._named(row.license),
            )
            for row in rows
        ]  # fmt: skip
        self._pages.append(np.array(packed, _COLUMNS))

    def _named(self, name: str | None) -> int:
        return self._names.setdefault(name, len(self._names))

    def kept(self) -> Array:
        if len(self._pages) != 1:
            self._pages = [np.concatenate([np.empty(0, _COLUMNS), *self._pages])]
        return self._pages[0]

    def repos(self) -> list[str]:
        """Of what was kept, by position."""
        names = list(self._names)
        return [str(names[index]) for index in self.kept()["repo"].tolist()]

    def taken(self, positions: Iterable[int], side: Side) -> list[Taken]:
        rows, names = self.kept(), list(self._names)
        found = []
        for at in positions:
            row_id, quality, chars, created_at, repo, language, license_ = rows[at].item()
            found.append(
                Taken(
                    row_id, self.hashes[at], str(names[repo]), self._paths[at], names[language],
                    names[license_], quality, chars, created_at, side, Origin.NEW,
                )
            )  # fmt: skip
        return found


class Budget:
    """How much of a round's rows is taken. `now`: seconds since 1970."""

    def __init__(
        self, data: DataSection, *, seed: int, now: int, chars_per_token: float = CHARS_PER_TOKEN
    ) -> None:
        self._data, self._seed, self._now = data, seed, now
        self._chars_per_token = chars_per_token

    def train(self, window: Window, positions: Positions) -> tuple[list[Taken], Counter[NotTaken]]:
        """The best quality first, ties by id, as far as the budget goes, of what is not too old for
        its luck."""
        rows, data = window.kept(), self._data
        lucky = positions
        if data.recency_half_life_days is not None:
            weights = self.weights(rows["created_at"][positions])
            luck = [draw(self._seed, "recency", window.hashes[at]) for at in positions.tolist()]
            lucky = positions[np.array(luck, float) < weights]
        best = lucky[np.lexsort((rows["id"][lucky], -rows["quality"][lucky]))]
        count = self.fitting(rows["chars"][best], data.max_samples, data.max_tokens)
        left = {
            NotTaken.RECENCY: len(positions) - len(lucky),
            NotTaken.OVER_BUDGET: len(lucky) - count,
        }
        return window.taken(best[:count].tolist(), Side.TRAIN), Counter(left)

    def measure(
        self,
        window: Window,
        positions: Positions,
        side: Side,
        tokens_max: int,
        earlier: Sequence[Taken],
    ) -> tuple[list[Taken], Counter[NotTaken]]:
        """Whatever their quality: in the order of their hashes, and as far as there is room with
        what earlier rounds measured on. The hold-out stays as it is, elsewhere new rows go first.
        """
        ordered = sorted(positions.tolist(), key=window.hashes.__getitem__)
        new = window.taken(ordered[:MEASURED_MAX], side)
        rows = [*earlier, *new] if side is Side.HOLDOUT else [*new, *earlier]
        rows = rows[: self.fitting([row.chars for row in rows], MEASURED_MAX, tokens_max)]
        taken = sum(row.origin is Origin.NEW for row in rows)
        return rows, Counter({NotTaken.OVER_BUDGET: len(ordered) - taken})

    def fitting(self, chars: Sequence[int] | Array, rows_max: int, tokens_max: int | None) -> int:
        """How many of these rows, in this order, are within the limits; never none of some."""
        count = min(len(chars), rows_max)
        if tokens_max is None or not count:
            return count
        tokens = np.cumsum(np.asarray(chars[:count], float)) / self._chars_per_token
        return max(1, int(np.searchsorted(tokens, tokens_max, side="right")))

    def weights(self, created_at: Sequence[int] | Array) -> Array:
        """2^(-age / half-life), and no less than the floor; 1 where there is no half-life."""
        half_life_days = self._data.recency_half_life_days
        age_s = np.maximum(0.0, self._now - np.asarray(created_at, float))
        if half_life_days is None:
            return np.ones_like(age_s)
        weights: Array = 0.5 ** (age_s / (half_life_days * _DAY_S))
        return np.maximum(self._data.recency_floor, weights)

    def draw_replay(self, pool: Sequence[Taken], filters: Filters) -> list[Taken]:
        """Rows of earlier rounds that pass today, by weighted luck: the luckiest first.

        Efraimidis and Spirakis (2006): the greatest u^(1/w) are a sample without replacement.
        """
        passing = [row for row in pool if filters.refuse(row) is None]
        weights = self.weights([row.created_at for row in passing])
        luck = [draw(self._seed, "replay", row.content_hash) for row in passing]
        keys = np.array(luck, float) ** (1 / np.maximum(weights, 1e-9))
        order = np.lexsort((np.array([row.id for row in passing]), -keys))
        return [passing[at]._replace(origin=Origin.REPLAY) for at in order.tolist()]

    def order(self, rows: Iterable[Taken]) -> list[Taken]:
        """As a round reads them: better texts later, or shuffled."""
        if self._data.quality_ordering:
            return sorted(rows, key=lambda row: (row.quality, row.id, row.content_hash))
        return sorted(rows, key=lambda row: draw(self._seed, "order", row.content_hash))


def draw(seed: int, purpose: str, content_hash: bytes) -> float:
    """A number of [0, 1) that is always the same."""
    digest = blake2b(b"%d\0%b\0%b" % (seed, purpose.encode(), content_hash), digest_size=8)
    return int.from_bytes(digest.digest()) / 2**64
