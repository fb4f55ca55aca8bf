"""How much a discovered repository promises, 0..100, and whether the crawler takes it at all.

Only what a crawler found is judged here; what a person names is ingested whatever it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from codelupe_daemon.discover.kinds import RepositoryReason, kinds
from codelupe_daemon.spdx import NONE, PERMISSIVE, license_class

_DAY_S = 86_400
_Against = tuple[RepositoryReason, float | str | None]


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """What is known of a repository; None is unknown: it breaks no limit and counts half.

    `license`: an SPDX id, `NONE` where somebody looked and found none. Times are Unix seconds.
    """

    full_name: str
    description: str | None = None
    topics: tuple[str, ...] = ()
    language: str | None = None
    license: str | None = None
    stars: int | None = None
    forks: int | None = None
    pushed_at: int | None = None
    created_at: int | None = None
    size_kb: int | None = None
    is_archived: bool = False
    is_fork: bool = False
    is_template: bool = False
    has_tests: bool | None = None
    has_integration: bool | None = None
    """Whether tests run by themselves: a workflow, a `.travis.yml`, a `Jenkinsfile`."""
    code_files: int | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What a repository must reach. Old code is as good as new code: no limit of activity."""

    min_stars: int = 10
    min_forks: int = 3
    min_score: float = 50.0
    languages: frozenset[str] = frozenset()
    """Linguist's names, compared without case; empty: all."""
    max_inactive_days: int | None = None
    licensed_only: bool = False
    archived: bool = False
    forks: bool = False
    tutorials: bool = False
    """With demos, exercises, lists and dotfiles."""


class RepositoryVerdict(NamedTuple):
    """`measured`: the number or the words that decided. `signals` are 0..1, `score` 0..100."""

    kept: bool
    reason: RepositoryReason | None
    measured: float | str | None
    score: float
    signals: dict[str, float]


def judge(facts: RepositoryFacts, filter_: Filter, now: int) -> RepositoryVerdict:
    """Whether the crawler takes the repository. The first reason against it is named."""
    signals = _signals(facts, now)
    score = _score(signals)
    for reason, measured in _against(facts, filter_, score, now):
        return RepositoryVerdict(False, reason, measured, score, signals)
    return RepositoryVerdict(True, None, None, score, signals)


def _against(facts: RepositoryFacts, filter_: Filter, score: float, now: int) -> Iterator[_Against]:
    yield from _by_nature(facts, filter_)
    yield from _by_count(facts, filter_, now)
    languages = {name.casefold() for name in filter_.languages}
    if languages and facts.language and facts.language.casefold() not in languages:
        yield RepositoryReason.OTHER_LANGUAGE, facts.language
    if filter_.licensed_only and license_class(facts.license) == NONE:
        yield RepositoryReason.NO_LICENSE, None
    if score < filter_.min_score:
        yield RepositoryReason.LOW_SCORE, score


def _by_nature(facts: RepositoryFacts, filter_: Filter) -> Iterator[_Against]:
    if facts.is_archived and not filter_.archived:
        yield RepositoryReason.ARCHIVED, None
    if facts.is_fork and not filter_.forks:
        yield RepositoryReason.FORK, None
    if facts.size_kb == 0 or facts.code_files == 0:
        yield RepositoryReason.EMPTY, 0.0
    if not filter_.tutorials:
        name = facts.full_name.rpartition("/")[2]
        yield from kinds(name, facts.description, facts.topics, has_code=facts.language is not None)
        if facts.is_template:
            yield RepositoryReason.DEMO, "template"


def _by_count(facts: RepositoryFacts, filter_: Filter, now: int) -> Iterator[_Against]:
    if facts.stars is not None and facts.stars < filter_.min_stars:
        yield RepositoryReason.FEW_STARS, float(facts.stars)
    if facts.forks is not None and facts.forks < filter_.min_forks:
        yield RepositoryReason.FEW_FORKS, float(facts.forks)
    days, limit = _days(facts.pushed_at, now), filter_.max_inactive_days
    if days is not None and limit is not None and days > limit:
        yield RepositoryReason.INACTIVE, days


# -- the score ----------------------------------------------------------------------------------

WEIGHTS: Final = {
    "stars": 25, "forks": 10, "activity": 15, "age": 5, "license": 15, "description": 10,
    "tests": 10, "integration": 5, "code": 5,
}  # fmt: skip
_UNKNOWN = 0.5


def _score(signals: dict[str, float]) -> float:
    total = sum(weight * signals.get(name, _UNKNOWN) for name, weight in WEIGHTS.items())
    return round(total, 1)


def _signals(facts: RepositoryFacts, now: int) -> dict[str, float]:
    """Those that are known, 0..1."""
    idle, age = _days(facts.pushed_at, now), _days(facts.created_at, now)
    values = {
        "stars": _growth(facts.stars, 10_000),
        "forks": _growth(facts.forks, 1000),
        "activity": None if idle is None else _falling(idle, 180, 1460),
        "age": None if age is None else 1 - _falling(age, 30, 730),
        "license": _license(facts.license),
        "description": _description(facts),
        "tests": facts.has_tests,
        "integration": facts.has_integration,
        "code": _growth(facts.code_files, 30),
    }
    return {name: round(value, 3) for name, value in values.items() if value is not None}


def _days(then: int | None, now: int) -> float | None:
    return None if then is None else round(max(0, now - then) / _DAY_S, 1)


def _growth(count: int | None, enough: int) -> float | None:
    """0 at none, 1 at `enough`; ten times as many add as much everywhere."""
    return None if count is None else min(1.0, math.log1p(max(0, count)) / math.log1p(enough))


def _falling(value: float, good: float, bad: float) -> float:
    return min(1.0, max(0.0, (bad - value) / (bad - good)))


def _license(license_id: str | None) -> float | None:
    if license_id is None:
        return None
    rank = license_class(license_id)
    return 0.0 if rank == NONE else 1.0 if rank == PERMISSIVE else 0.6


def _description(facts: RepositoryFacts) -> float | None:
    if facts.description is None:
        return None
    return min(1.0, len(facts.description.split()) / 5)
