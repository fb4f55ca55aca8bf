"""The crawler's filter, on names, descriptions and topics as well-known repositories have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelupe_daemon.discover.kinds import RepositoryReason as R
from codelupe_daemon.discover.kinds import kinds
from codelupe_daemon.discover.score import WEIGHTS, Filter, RepositoryFacts, judge

NOW = 1_750_000_000
DAY = 86_400
GOOD = RepositoryFacts(
    "owner/parser",
    "A fast parser for large files",
    license="MIT",
    language="Rust",
    stars=250,
    forks=30,
    pushed_at=NOW - 10 * DAY,
    created_at=NOW - 900 * DAY,
    size_kb=500,
)


def rows() -> list[list[str]]:
    """Kind, name, description and topics of each."""
    text = Path(__file__).with_name("repositories.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row + [""] * (4 - len(row)) for row in cells]


@pytest.mark.parametrize(("kind", "name", "description", "topics"), rows())
def test_the_kind_of_a_repository(kind: str, name: str, description: str, topics: str) -> None:
    listed = [topic.strip() for topic in topics.split(",") if topic.strip()]
    told = kinds(name.rpartition("/")[2], description or None, listed, has_code=True)
    reasons = [reason.value for reason, _ in told]
    assert reasons == [] if kind == "-" else kind in reasons


def test_there_are_enough_of_both() -> None:
    projects = [row for row in rows() if row[0] == "-"]
    assert min(len(projects), len(rows()) - len(projects)) >= 75


def test_a_good_repository_is_kept_with_its_signals() -> None:
    verdict = judge(GOOD, Filter(), NOW)
    assert (verdict.kept, verdict.reason, verdict.measured) == (True, None, None)
    assert verdict.score > 70
    assert set(verdict.signals) == WEIGHTS.keys() - {"tests", "integration", "code"}


@pytest.mark.parametrize(
    ("change", "reason", "measured"),
    [
        ({"is_archived": True}, R.ARCHIVED, None),
        ({"is_fork": True}, R.FORK, None),
        ({"size_kb": 0}, R.EMPTY, 0.0),
        ({"code_files": 0}, R.EMPTY, 0.0),
        ({"full_name": "owner/parser-tutorial"}, R.TUTORIAL, "tutorial"),
        ({"is_template": True}, R.DEMO, "template"),
        ({"stars": 9}, R.FEW_STARS, 9.0),
        ({"forks": 2}, R.FEW_FORKS, 2.0),
        ({"language": "PHP"}, R.OTHER_LANGUAGE, "PHP"),
        ({"pushed_at": NOW - 400 * DAY}, R.INACTIVE, 400.0),
        ({"license": "NONE"}, R.NO_LICENSE, None),
        ({"license": None}, R.NO_LICENSE, None),
    ],
)
def test_every_drop_has_its_reason(
    change: dict[str, object], reason: R, measured: float | str | None
) -> None:
    strict = Filter(languages=frozenset({"rust"}), max_inactive_days=365, licensed_only=True)
    assert judge(GOOD, strict, NOW).kept
    verdict = judge(replace(GOOD, **change), strict, NOW)  # type: ignore[arg-type]
    assert verdict[:3] == (False, reason, measured)


def test_a_low_score_drops() -> None:
    poor = replace(
        GOOD, stars=10, forks=3, license="NONE", description="", pushed_at=NOW - 2000 * DAY
    )
    verdict = judge(poor, Filter(), NOW)
    assert verdict[:3] == (False, R.LOW_SCORE, verdict.score)
    assert verdict.score < 50
    assert judge(poor, Filter(min_score=0), NOW).kept


def test_the_least_that_the_filter_asks_for_is_enough_for_a_live_licensed_project() -> None:
    assert judge(replace(GOOD, stars=10, forks=3, created_at=NOW - 200 * DAY), Filter(), NOW).kept


def test_an_old_finished_project_is_kept() -> None:
    old = replace(GOOD, stars=3000, forks=400, pushed_at=NOW - 2500 * DAY)
    assert judge(old, Filter(), NOW).kept


@pytest.mark.parametrize("allowed", ["archived", "forks", "tutorials"])
def test_what_a_filter_allows(allowed: str) -> None:
    change = {
        "archived": {"is_archived": True},
        "forks": {"is_fork": True},
        "tutorials": {"full_name": "owner/tutorial"},
    }[allowed]
    facts = replace(GOOD, **change)  # type: ignore[arg-type]
    assert not judge(facts, Filter(), NOW).kept
    assert judge(facts, replace(Filter(), **{allowed: True}), NOW).kept  # type: ignore[arg-type]


def test_what_is_unknown_breaks_no_limit() -> None:
    verdict = judge(RepositoryFacts("owner/name"), Filter(languages=frozenset({"Rust"})), NOW)
    assert verdict == (True, None, None, 50.0, {})


def test_the_weights_are_a_hundred() -> None:
    assert sum(WEIGHTS.values()) == 100


COUNTS = st.none() | st.integers(-5, 10**7)
TIMES = st.none() | st.integers(-(10**10), 10**11)


@given(
    st.builds(
        RepositoryFacts,
        full_name=st.text(max_size=60),
        description=st.none() | st.text(max_size=400),
        topics=st.lists(st.text(max_size=20), max_size=3).map(tuple),
        license=st.none() | st.text(max_size=30),
        stars=COUNTS,
        forks=COUNTS,
        pushed_at=TIMES,
        created_at=TIMES,
        size_kb=COUNTS,
        has_tests=st.none() | st.booleans(),
        code_files=COUNTS,
    ),
    st.integers(0, 10**7),
)
def test_anything_is_judged_and_more_stars_never_cost(facts: RepositoryFacts, more: int) -> None:
    verdict = judge(facts, Filter(), NOW)
    assert 0 <= verdict.score <= 100
    assert all(0 <= value <= 1 for value in verdict.signals.values())
    assert verdict.kept == (verdict.reason is None)
    starred = judge(replace(facts, stars=max(0, facts.stars or 0) + more), Filter(), NOW)
    if facts.stars is not None:
        assert starred.score >= verdict.score


def test_long_descriptions_cost_little() -> None:
    text = "the a an of " * 100_000 + "(" * 100_000
    assert list(kinds("name" * 10_000, text, [], has_code=True)) == []
