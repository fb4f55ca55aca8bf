"""What a listing asks for: which files are known, left out by their path, or wanted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from codelupe_daemon.journal.base import Known, same_listing
from codelupe_daemon.model import (
    LISTING_REASONS,
    PASSING_REASONS,
    Listed,
    Occurrence,
    PathVerdict,
    Wanted,
)

Key = tuple[bytes, str]
"""oid and path_class: what a verdict depends on, under one examiner version."""


class Plan(NamedTuple):
    """A page of a listing, sorted out."""

    decided: list[Occurrence]
    """To be recorded without reading anything."""
    wanted: dict[Key, Wanted]


def plan_page(
    page: Sequence[Listed],
    known: Mapping[str, Known],
    path_verdict: Callable[[str], PathVerdict],
    examiner_version: str,
) -> Plan:
    """Sort out a page; what is recorded under the same verdict appears nowhere in the plan."""
    plan = Plan([], {})
    for listed in page:
        path, oid, reason, measured = listed
        path_class, language, path_reason, path_measured = path_verdict(path)
        before = known.get(path)
        if before is not None and _stands(before, listed, path_class, examiner_version):
            continue
        if reason is None and path_reason is None and oid is not None:
            _want(plan.wanted, oid, path_class, language, path)
            continue
        if reason is None:
            reason, measured = path_reason, path_measured
        plan.decided.append(Occurrence(path, oid, path_class, language, None, reason, measured))
    return plan


def _stands(before: Known, listed: Listed, path_class: str, examiner_version: str) -> bool:
    if before.reason in PASSING_REASONS:
        return False
    if not same_listing(before, listed, path_class, examiner_version):
        return False
    if listed.reason is None:
        return before.reason not in LISTING_REASONS
    return before.reason == listed.reason


def _want(
    wanted: dict[Key, Wanted], oid: bytes, path_class: str, language: str | None, path: str
) -> None:
    same = wanted.get((oid, path_class))
    if same is None:
        wanted[oid, path_class] = Wanted(oid, path_class, language, [path])
    else:
        same.paths.append(path)


def inherit(plan: Plan, verdicts: Mapping[Key, Known]) -> Plan:
    """The plan with verdicts on the same blobs elsewhere taken over instead of reading them."""
    if not verdicts:
        return plan
    decided = list(plan.decided)
    for (oid, path_class), known in verdicts.items():
        same = plan.wanted.get((oid, path_class))
        if same is not None:
            decided += (
                Occurrence(
                    path, oid, path_class, known.language,
                    known.content_hash, known.reason, known.measured,
                )
                for path in same.paths
            )  # fmt: skip
    wanted = {key: same for key, same in plan.wanted.items() if key not in verdicts}
    return Plan(decided, wanted)
