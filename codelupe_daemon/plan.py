"""What a listing asks for: which files are known, left out by their path, or wanted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from codelupe_daemon.journal.base import Known, same_listing
from codelupe_daemon.model import (
    LISTING_REASONS,
    PASSING_REASONS,
    Listed,
    Occurrence,
    PathVerdict,
    Reason,
    Wanted,
)

Key = tuple[bytes, str]
"""oid and path_class: what a verdict depends on, under one examiner version."""


class Surrounded(Protocol):
    """What a repository says about its files, and what is accepted of it."""

    def path_verdict(self, path: str) -> PathVerdict: ...

    def license_of(self, path: str) -> str | None:
        """Of the nearest folder that has one."""

    def accepts(self, license_id: str | None) -> bool: ...


class Plan(NamedTuple):
    """A page of a listing, sorted out."""

    decided: list[Occurrence]
    """To be recorded without reading anything."""
    wanted: dict[Key, Wanted]


def plan_page(
    page: Sequence[Listed], known: Mapping[str, Known], at: Surrounded, examiner_version: str
) -> Plan:
    """Sort out a page; what is recorded under the same verdict appears nowhere in the plan."""
    plan = Plan([], {})
    for listed in page:
        path, oid, reason, measured = listed
        path_class, language, path_reason, path_measured = at.path_verdict(path)
        before = known.get(path)
        if before is not None and _stands(before, listed, path_class, examiner_version):
            if before.content_hash is None and before.reason is not Reason.LICENSE:
                continue
            now = licensed(_recorded(path, before), before.own_license, at)
            if now.content_hash == before.content_hash and now.license == before.license:
                continue
            if now.content_hash is not None or now.reason is not None:
                plan.decided.append(now)
                continue
        if reason is None and path_reason is None and oid is not None:
            _want(plan.wanted, oid, path_class, language, path)
            continue
        if reason is None:
            reason, measured = path_reason, path_measured
        plan.decided.append(Occurrence(path, oid, path_class, language, None, reason, measured))
    return plan


def licensed(judged: Occurrence, own_license: str | None, at: Surrounded) -> Occurrence:
    """The occurrence with its license; left out where that is not accepted.

    One that was left out for its license and no longer is has neither content nor reason.
    """
    license_id = own_license or at.license_of(judged.path)
    reason: Reason | None = None if judged.reason is Reason.LICENSE else judged.reason
    content_hash = judged.content_hash
    if reason is None and not at.accepts(license_id):
        reason, content_hash = Reason.LICENSE, None
    return Occurrence(
        judged.path, judged.oid, judged.path_class, judged.language, content_hash, reason,
        judged.measured, license_id, own_license,
    )  # fmt: skip


def _recorded(path: str, before: Known) -> Occurrence:
    return Occurrence(
        path, before.oid, before.path_class, before.language,
        before.content_hash, before.reason, before.measured,
    )  # fmt: skip


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


def inherit(plan: Plan, verdicts: Mapping[Key, Known], at: Surrounded) -> Plan:
    """The plan with verdicts on the same blobs elsewhere taken over instead of reading them."""
    if not verdicts:
        return plan
    decided = list(plan.decided)
    for (oid, path_class), known in verdicts.items():
        same = plan.wanted.get((oid, path_class))
        if same is not None:
            decided += (
                licensed(_recorded(path, known), known.own_license, at) for path in same.paths
            )
    wanted = {key: same for key, same in plan.wanted.items() if key not in verdicts}
    return Plan(decided, wanted)
