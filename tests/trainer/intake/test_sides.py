"""No repository is ever on two sides, and what near-duplicates forbid."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.intake.build import profile
from trainer.intake.sides import judge, of_repositories
from trainer.profile import DataSection
from trainer.types import NotTaken, Side

TRAIN, VALIDATION, HOLDOUT = Side.TRAIN, Side.VALIDATION, Side.HOLDOUT
MANY = [f"owner{n % 7}/repo{n}" for n in range(2000)]

windows = st.lists(st.sets(st.sampled_from(MANY[:60])), max_size=8)
data_sections = st.builds(
    lambda validation, holdout, least, enough: shares(
        validation, holdout, min_validation_repos=least, min_holdout_repos=enough
    ),
    st.sampled_from([0.0, 0.05, 0.5]), st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    st.integers(1, 4), st.integers(1, 40),
)  # fmt: skip


def shares(validation: float, holdout: float, **more: int) -> DataSection:
    return profile(validation_share=validation, holdout_share=holdout, **more).data


@given(windows, data_sections)
@settings(max_examples=200, deadline=None)
def test_what_was_decided_stays(repos: list[set[str]], data: DataSection) -> None:
    known: dict[str, Side] = {}
    for names in repos:
        decided = of_repositories(known, names, data)
        assert decided.keys() == names - known.keys()
        assert decided == of_repositories(known, sorted(names, reverse=True), data)
        all_known = known | decided
        assert {name: all_known[name] for name in known} == known
        if len(all_known) < data.min_holdout_repos:
            assert HOLDOUT not in decided.values()
        validation = list(all_known.values()).count(VALIDATION)
        left = list(decided.values()).count(TRAIN)
        if len(names) > data.min_validation_repos:
            assert validation >= data.min_validation_repos or not left
        known = all_known


def test_shares_are_kept_and_by_name_alone() -> None:
    data = shares(0.05, 0.02, min_holdout_repos=20)
    sides = of_repositories({}, MANY, data)
    assert 60 < list(sides.values()).count(VALIDATION) < 140
    assert 20 < list(sides.values()).count(HOLDOUT) < 65
    among_others = of_repositories({}, [*MANY, *(f"other/{n}" for n in range(500))], data)
    assert {name: among_others[name] for name in MANY} == sides


def test_too_few_for_a_hold_out() -> None:
    data = shares(0.0, 1.0, min_holdout_repos=20)
    early = of_repositories({}, MANY[:19], data)
    assert HOLDOUT not in early.values()
    later = of_repositories(early, MANY[19:21], data)
    assert list(later.values()) == [HOLDOUT] * 2


@pytest.mark.parametrize(("repos", "validation"), [(2, 0), (3, 2), (30, 2)])
def test_some_validation_where_there_are_enough(repos: int, validation: int) -> None:
    data = shares(0.0, 0.0, min_validation_repos=2)
    sides = of_repositories({}, MANY[:repos], data)
    assert list(sides.values()).count(VALIDATION) == validation
    later = of_repositories(sides, MANY[100:110], data)
    assert list(later.values()).count(VALIDATION) == 2 - validation


NEW = (None, False)


@pytest.mark.parametrize(
    ("side", "members", "stored", "was_trained", "cluster", "reason", "is_leak"),
    [
        (TRAIN, [TRAIN, VALIDATION], *NEW, TRAIN, None, False),
        (TRAIN, [VALIDATION, TRAIN], *NEW, VALIDATION, NotTaken.OTHER_SIDE, False),
        (VALIDATION, [VALIDATION, TRAIN], *NEW, VALIDATION, None, False),
        (VALIDATION, [TRAIN, VALIDATION], *NEW, TRAIN, NotTaken.OTHER_SIDE, False),
        (TRAIN, [TRAIN, HOLDOUT], *NEW, HOLDOUT, NotTaken.HOLDOUT, False),
        (VALIDATION, [HOLDOUT, VALIDATION], *NEW, HOLDOUT, NotTaken.HOLDOUT, False),
        (HOLDOUT, [HOLDOUT], *NEW, HOLDOUT, None, False),
        (HOLDOUT, [TRAIN, HOLDOUT], *NEW, HOLDOUT, None, False),
        (HOLDOUT, [TRAIN, HOLDOUT], None, True, TRAIN, NotTaken.OTHER_SIDE, True),
        (HOLDOUT, [TRAIN, HOLDOUT], TRAIN, False, TRAIN, NotTaken.OTHER_SIDE, False),
        (HOLDOUT, [HOLDOUT, TRAIN], HOLDOUT, True, HOLDOUT, NotTaken.OTHER_SIDE, True),
        (TRAIN, [TRAIN, HOLDOUT], TRAIN, True, TRAIN, NotTaken.HOLDOUT, False),
        (TRAIN, [TRAIN], HOLDOUT, False, HOLDOUT, NotTaken.HOLDOUT, False),
        (TRAIN, [TRAIN], TRAIN, True, TRAIN, None, False),
        (VALIDATION, [VALIDATION], VALIDATION, True, VALIDATION, NotTaken.OTHER_SIDE, False),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_a_row_stands_with_its_near_duplicates(
    side: Side, members: list[Side], stored: Side | None, was_trained: bool, cluster: Side,
    reason: NotTaken | None, is_leak: bool,
) -> None:  # fmt: skip
    judged = judge(side, members, stored, was_trained=was_trained)
    assert judged == (cluster, reason, is_leak)


@given(
    st.lists(st.sampled_from(list(Side)), min_size=1, max_size=5),
    st.sampled_from([None, *Side]),
    st.booleans(),
)
def test_a_cluster_is_taken_on_one_side_only(
    members: list[Side], stored: Side | None, was_trained: bool
) -> None:
    taken = {
        side
        for side in members
        if judge(side, members, stored, was_trained=was_trained).reason is None
    }
    assert len(taken) <= 1
    if HOLDOUT in members or stored is HOLDOUT:
        assert TRAIN not in taken
    if was_trained:
        assert not taken & {VALIDATION, HOLDOUT}
