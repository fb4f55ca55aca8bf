"""On which side a repository stands, and its near-duplicates with it. Pure.

What was decided is stored, and never decided again: so no repository is ever on two sides. The
rule of the hold-out is frozen, not the list: repositories that come later join it by their hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from trainer.profile import DataSection
from trainer.types import NotTaken, Side


def repo_key(name: str) -> str:
    """As the registry stores it."""
    return f"repo:{name}"


def cluster_key(cluster: bytes) -> str:
    return f"cluster:{cluster.hex()}"


def of_repositories(
    known: Mapping[str, Side], names: Iterable[str], data: DataSection
) -> dict[str, Side]:
    """Sides of those of these repositories that have none yet, by name.

    `known`: of every repository so far, by name. There is no hold-out before `min_holdout_repos`
    are known, these included.
    """
    names = set(names)
    undecided = sorted(names - known.keys(), key=lambda name: _hash("validation", name))
    has_holdout = len(known.keys() | names) >= data.min_holdout_repos
    decided: dict[str, Side] = {}
    for name in undecided:
        if has_holdout and _hash("holdout", name) < data.holdout_share:
            decided[name] = Side.HOLDOUT
        elif _hash("validation", name) < data.validation_share:
            decided[name] = Side.VALIDATION
        else:
            decided[name] = Side.TRAIN
    there = [*known.values(), *decided.values()].count(Side.VALIDATION)
    lacking = data.min_validation_repos - there
    if lacking > 0 and len(names) > data.min_validation_repos:
        least = [name for name in undecided if decided[name] is Side.TRAIN]
        decided |= dict.fromkeys(least[:lacking], Side.VALIDATION)
    return decided


class Judged(NamedTuple):
    """A row in the light of its near-duplicates. `reason`: why it is not taken, if so."""

    cluster: Side
    reason: NotTaken | None
    is_leak: bool
    """A file of the hold-out of which a near-duplicate was trained on."""


def judge(side: Side, members: Sequence[Side], stored: Side | None, *, was_trained: bool) -> Judged:
    """`side`: of the row's repository; `members`: of its cluster, the first one first.

    What touches the hold-out is never trained; what was trained is never measured.
    """
    touches = Side.HOLDOUT in members
    if stored is not None:
        cluster = stored
    elif was_trained:
        cluster = Side.TRAIN
    else:
        cluster = Side.HOLDOUT if touches else members[0]
    if side is Side.HOLDOUT:
        is_apart = was_trained or cluster is not Side.HOLDOUT
        return Judged(cluster, NotTaken.OTHER_SIDE if is_apart else None, was_trained)
    if touches or cluster is Side.HOLDOUT:
        return Judged(cluster, NotTaken.HOLDOUT, False)
    is_leak = side is Side.VALIDATION and was_trained
    reason = NotTaken.OTHER_SIDE if is_leak or cluster is not side else None
    return Judged(cluster, reason, False)


def _hash(purpose: str, name: str) -> float:
    """A number of [0, 1) that is always the same."""
    digest = blake2b(f"{purpose}\0{name}".encode("utf-8", "backslashreplace"), digest_size=8)
    return int.from_bytes(digest.digest()) / 2**64
