"""What a row gives: a ratio in each round, and the figures it was made of."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Servers:
    """URLs of running servers, all of them durable as they come, and the corpus."""

    postgres: Callable[[], str]
    """A fresh database."""
    redis: str
    elasticsearch: str
    repositories: list[Path]
    work: Path


class Round(NamedTuple):
    """`ratio` is what has a target; `figures` by name, with units in the names."""

    ratio: float
    figures: Mapping[str, float]


class Row(NamedTuple):
    """One line of the table."""

    what: str
    against: str
    target: float
    rounds: list[Round]

    @property
    def ratio(self) -> float:
        return statistics.median(one.ratio for one in self.rounds)

    @property
    def is_met(self) -> bool:
        return self.ratio >= self.target

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "against": self.against,
            "target": self.target,
            "ratio": self.ratio,
            "met": self.is_met,
            "rounds": [{"ratio": one.ratio, **one.figures} for one in self.rounds],
        }
