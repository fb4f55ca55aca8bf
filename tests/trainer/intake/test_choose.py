"""Which rows of a window are taken, and in what order."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.intake.build import NOW, candidate, profile, taken
from trainer.intake.choose import Budget, Filters, Window
from trainer.types import Candidate, NotTaken, Origin, Side, Taken, Verdict

DAY_S = 86_400
PASSED = Verdict(90.0, "Python", "MIT", is_contaminated=False)


def sifted(rows: list[Candidate], **data: Any) -> tuple[list[int], dict[NotTaken, int]]:
    window = Window(profile(**data).data)
    kept = window.sift(rows)
    assert window.rows == len(rows) == len(kept) + window.not_taken.total()
    return [row.id for row in kept], dict(window.not_taken)


def trained(
    rows: list[Candidate], *, seed: int = 0, **data: Any
) -> tuple[list[Taken], Counter[NotTaken]]:
    section = profile(**data).data
    window = Window(section)
    window.keep(rows)
    budget = Budget(section, seed=seed, now=NOW)
    found, left = budget.train(window, np.arange(len(rows)))
    assert len(found) + left.total() == len(rows)
    return budget.order(found), left


@pytest.mark.parametrize(
    ("facts", "data", "reason"),
    [
        ({}, {}, None),
        ({"quality": 70.0}, {}, None),
        ({"quality": 69.9}, {}, NotTaken.LOW_QUALITY),
        ({"quality": float("nan")}, {}, NotTaken.LOW_QUALITY),
        ({"quality": 57.99999999}, {"min_quality": 58.0}, None),
        ({"chars": 49}, {}, NotTaken.TOO_SHORT),
        ({"chars": 0}, {}, NotTaken.TOO_SHORT),
        ({"chars": 8000}, {}, None),
        ({"chars": 8001}, {}, NotTaken.TOO_LONG),
        ({"chars": 8001}, {"split_long_files": True}, None),
        ({"language": "C++"}, {"languages": ["c++", "Rust"]}, None),
        ({}, {"languages": ["c++", "Rust"]}, NotTaken.LANGUAGE),
        ({"language": None}, {"languages": ["Rust"]}, NotTaken.LANGUAGE),
        ({"license": "GPL-3.0-only"}, {"licenses": "permissive"}, NotTaken.LICENSE),
        ({"license": None}, {"licenses": "MIT"}, NotTaken.LICENSE),
        ({"license": "MIT OR GPL-2.0-only"}, {"licenses": "MIT"}, None),
        ({"is_winner": False}, {}, NotTaken.NEAR_DUPLICATE),
        ({"is_contaminated": True}, {}, NotTaken.CONTAMINATED),
        ({"is_live": False}, {}, NotTaken.NOT_LIVE),
        ({"is_candidate": False}, {}, NotTaken.NOT_A_CANDIDATE),
        ({"is_candidate": False, "is_live": False}, {}, NotTaken.NOT_A_CANDIDATE),
        ({"before": PASSED._replace(quality=69.9)}, {}, None),
        ({"before": PASSED._replace(quality=70.0)}, {}, NotTaken.NOT_A_CANDIDATE),
        ({"before": PASSED._replace(quality=10.0), "quality": 60.0}, {}, NotTaken.LOW_QUALITY),
        ({"before": PASSED._replace(license=None)}, {"licenses": "permissive"}, None),
        ({"before": PASSED._replace(license=None)}, {}, NotTaken.NOT_A_CANDIDATE),
        ({"before": PASSED._replace(language="Text")}, {"languages": ["Python"]}, None),
        ({"before": PASSED._replace(is_contaminated=True)}, {}, None),
        ({"before": PASSED, "is_candidate": False}, {}, NotTaken.NOT_A_CANDIDATE),
    ],
)
def test_why_a_row_is_not_taken(
    facts: dict[str, Any], data: dict[str, Any], reason: NotTaken | None
) -> None:
    kept, counts = sifted([candidate(1, **facts)], **data)
    assert (kept, counts) == (([1], {}) if reason is None else ([], {reason: 1}))


def test_a_content_counts_once_in_a_window() -> None:
    window = Window(profile().data)
    add, revise, move = (
        candidate(1, word="ant"), candidate(2, word="ant", before=PASSED._replace(quality=10.0)),
        candidate(3, word="ant", is_candidate=False),
    )  # fmt: skip
    assert [row.id for row in window.sift([add])] == [1]
    assert window.sift([revise, move]) == []
    assert window.not_taken == {NotTaken.NOT_A_CANDIDATE: 2}


def test_a_dead_row_does_not_hide_what_came_back() -> None:
    rows = [candidate(1, word="ant", is_live=False), candidate(2, word="ant")]
    assert sifted(rows) == ([2], {NotTaken.NOT_LIVE: 1})


def test_facts_come_back_as_they_were() -> None:
    row = candidate(
        1 << 60, word="größe", repo="b/b", language=None, license=None, quality=71.3, chars=77
    )
    [found], _ = trained([row])
    assert found == taken(
        1 << 60, word="größe", repo="b/b", language=None, license=None, quality=71.3, chars=77
    )
    assert (found.side, found.origin) == (Side.TRAIN, Origin.NEW)


def test_the_best_come_first_and_ties_by_id() -> None:
    rows = [candidate(n, quality=90.0 if n % 2 else 80.0) for n in range(1, 9)]
    found, left = trained(rows, max_samples=5)
    assert {row.id for row in found} == {1, 3, 5, 7, 2}
    assert left[NotTaken.OVER_BUDGET] == 3


def test_the_budget_counts_tokens() -> None:
    rows = [candidate(n, chars=3200) for n in range(1, 9)]
    found, left = trained(rows, max_tokens=3000)
    assert sorted(row.id for row in found) == [1, 2, 3]
    assert left[NotTaken.OVER_BUDGET] == 5
    assert len(trained(rows, max_tokens=1)[0]) == 1  # a round of something, whatever it takes
    section = profile(max_tokens=3000).data
    window = Window(section)
    window.keep(rows)
    measured = Budget(section, seed=0, now=NOW, chars_per_token=6.4)
    assert len(measured.train(window, np.arange(8))[0]) == 6


def test_order_is_shuffled_by_seed_or_by_quality() -> None:
    rows = [candidate(n, quality=float(70 + n)) for n in range(1, 30)]
    shuffled = [row.id for row in trained(rows, seed=1)[0]]
    assert shuffled == [row.id for row in trained(rows[::-1], seed=1)[0]]
    assert shuffled != [row.id for row in trained(rows, seed=2)[0]] != sorted(shuffled)
    by_quality = [row.id for row in trained(rows, quality_ordering=True)[0]]
    assert by_quality == list(range(1, 30))


def test_older_rows_need_luck() -> None:
    data: dict[str, Any] = {"recency_half_life_days": 10.0, "recency_floor": 0.2}
    ages_days = {0: 1.0, 10: 0.5, 20: 0.25, 1000: 0.2, -5: 1.0}
    for age_days, share in ages_days.items():
        rows = [candidate(n, created_at=NOW - age_days * DAY_S) for n in range(2000)]
        found, left = trained(rows, **data)
        assert abs(len(found) / 2000 - share) < 0.04
        assert left[NotTaken.RECENCY] == 2000 - len(found)
        assert {row.id for row in found} == {row.id for row in trained(rows, **data)[0]}


def test_replay_is_lucky_and_recent_and_passes_today() -> None:
    section = profile(recency_half_life_days=10.0, recency_floor=0.1).data
    new = [taken(n) for n in range(1000)]
    old = [taken(n, created_at=NOW - 1000 * DAY_S) for n in range(1000, 2000)]
    refused = [taken(2000, license="GPL-3.0-only"), taken(2001, quality=10.0)]
    budget = Budget(section, seed=3, now=NOW)
    filters = Filters(profile(licenses="permissive").data)
    drawn = budget.draw_replay([*new, *old, *refused], filters)
    assert sorted(row.id for row in drawn) == list(range(2000))
    assert {row.origin for row in drawn} == {Origin.REPLAY}
    first = sum(row.id >= 1000 for row in drawn[:500])
    assert 20 < first < 90  # a tenth as likely
    assert drawn == budget.draw_replay([*new, *old], filters)
    assert drawn != Budget(section, seed=4, now=NOW).draw_replay([*new, *old], filters)
    assert budget.draw_replay([], filters) == []


candidates = st.builds(
    candidate,
    st.integers(1, 1 << 62),
    word=st.sampled_from("abcdefgh"),
    is_candidate=st.booleans(),
    is_live=st.booleans(),
    is_winner=st.booleans(),
    chars=st.integers(0, 9000),
    quality=st.floats(0, 100),
    before=st.none()
    | st.builds(
        Verdict, st.floats(0, 100), st.none(), st.sampled_from([None, "MIT"]), st.booleans()
    ),
    repo=st.sampled_from(["a/a", "b/b"]),
    created_at=st.integers(0, 2 * NOW),
)


@given(st.lists(candidates, max_size=40), st.integers(1, 20_000), st.integers(1, 30))
@settings(deadline=None)
def test_nothing_is_lost_or_doubled(
    rows: list[Candidate], max_tokens: int, max_samples: int
) -> None:
    section = profile(
        max_tokens=max_tokens, max_samples=max_samples, recency_half_life_days=100.0
    ).data
    window = Window(section)
    kept = window.sift(rows)
    window.keep(kept)
    found, left = Budget(section, seed=0, now=NOW).train(window, np.arange(len(kept)))
    assert len(found) + left.total() + window.not_taken.total() == len(rows)
    assert len({row.content_hash for row in found}) == len(found) <= max_samples
    assert len(found) == 1 or sum(row.chars for row in found) / 3.2 <= max_tokens


def test_a_row_takes_little_memory() -> None:
    window = Window(profile().data)
    tracemalloc.start()
    for page in range(20):
        rows = [
            candidate(page * 1000 + n, path=f"src/a/rather/long/path/to/a/file/number{page}_{n}.py")
            for n in range(1000)
        ]
        window.keep(window.sift(rows))
        del rows
    window.kept()
    size_bytes, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size_bytes / 20_000 < 360
    assert peak_bytes / 20_000 < 400
