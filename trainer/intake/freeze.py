"""From a watermark to a frozen manifest: read the window, decide sides, choose, add replay.

A window is of at most `max_window_rows` rows; where ids have gaps it is longer in ids. Its rows are
in `taken` as NEW, or counted in `not_taken`. On top of them come, as REPLAY: rows of earlier
rounds to train on again, and what earlier rounds measured on, as far as it still may be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

import numpy as np

from codelupe_daemon.errors import Fatal
from trainer.intake.base import Pending, Source, blocks
from trainer.intake.choose import CHARS_PER_TOKEN, MEASURED_MAX, Budget, Filters, Positions, Window
from trainer.intake.sides import Judged, cluster_key, judge, of_repositories, repo_key
from trainer.profile import Profile
from trainer.registry.base import Registry
from trainer.types import Base, Candidate, Manifest, NotTaken, Origin, Side, Taken

REPLAY_POOL: Final = 50_000
"""The newest rows of earlier rounds, of which a round's replay is drawn."""
_AT_ONCE: Final = 500
_SIDES: Final = (Side.TRAIN, Side.VALIDATION, Side.HOLDOUT)


async def pending(
    source: Source, registry: Registry, profile: Profile, *, enough: int | None = None
) -> Pending:
    """What a round would find now.

    With `enough` it goes no further than until so many rows pass, and counts those it has counted
    before again only where there are enough: they may have changed since.
    """
    from_id, head = await _bounds(source, registry, profile)
    nothing = Pending(from_id, head, from_id, 0, 0, is_full=False)
    counted_for, before = source.counted or (None, nothing)
    is_same = counted_for == profile and before.watermark == from_id and before.to_id <= head
    if enough is not None and is_same and not before.is_full:
        found = await _counted(source, registry, profile, before._replace(head=head), enough)
        if not found.is_full and found.passing < enough:
            source.counted = profile, found
            return found
    found = await _counted(source, registry, profile, nothing, enough)
    source.counted = profile, found
    return found


async def _counted(
    source: Source, registry: Registry, profile: Profile, before: Pending, enough: int | None
) -> Pending:
    """With the rows that lie behind those counted before."""
    rows_max = profile.data.max_window_rows
    read = await _read(
        source, registry, profile, before.to_id, before.head, rows_max - before.rows,
        is_kept=False, enough=None if enough is None else enough - before.passing,
    )  # fmt: skip
    rows = before.rows + read.window.rows
    return before._replace(
        to_id=read.to_id, rows=rows, passing=before.passing + read.passing, is_full=rows >= rows_max
    )


async def freeze(
    source: Source,
    registry: Registry,
    profile: Profile,
    *,
    session_id: str,
    base: Base,
    seed: int,
    now: int,
    chars_per_token: float = CHARS_PER_TOKEN,
) -> tuple[Manifest, dict[str, Side]]:
    """The manifest of the next window, and the sides that were decided for it.

    `now`: seconds since 1970. The budgets are those of new rows; replay comes on top.
    """
    from_id, head = await _bounds(source, registry, profile)
    read = await _read(source, registry, profile, from_id, head, profile.data.max_window_rows)
    window, not_taken = read.window, read.window.not_taken
    sorting = _Sorting(source, registry, profile)
    positions = await sorting.sort(window)
    not_taken += sorting.not_taken

    draws = seed + from_id  # so that no round replays what another did because of its luck
    budget = Budget(profile.data, seed=draws, now=now, chars_per_token=chars_per_token)
    train, left = budget.train(window, positions[Side.TRAIN])
    not_taken += left
    replay = await _replay(source, registry, profile, budget, len(train))
    measured, tokens_max = [], profile.evaluation.validation_rows_max * profile.model.max_length
    train_hashes = {row.content_hash for row in train}
    for side in (Side.VALIDATION, Side.HOLDOUT):
        new = {window.hashes[at] for at in positions[side].tolist()}
        earlier = await sorting.measured_before(side, train_hashes)
        known = [row for row in earlier if row.content_hash not in new]
        rows, left = budget.measure(window, positions[side], side, tokens_max, known)
        not_taken += left
        measured += rows
    manifest = Manifest(
        session_id, profile.name, source.name, from_id, read.to_id, seed, base,
        profile.model_dump(mode="json"), [*budget.order([*train, *replay]), *measured],
        {reason: not_taken[reason] for reason in NotTaken if not_taken[reason]}, now,
        sorting.leaked,
    )  # fmt: skip
    return manifest, sorting.decided


def measured_sets(manifest: Manifest, recent_files: int) -> dict[str, list[Taken]]:
    """What a round measures on: `validation`, `holdout`, and of the former the newest, `recent`."""
    sets = {
        str(side): [row for row in manifest.taken if row.side is side]
        for side in (Side.VALIDATION, Side.HOLDOUT)
    }
    newest = sorted(sets["validation"], key=lambda row: (row.created_at, row.id), reverse=True)
    return sets | {"recent": newest[:recent_files]}


# -- the window ---------------------------------------------------------------------------------


class _Read(NamedTuple):
    window: Window
    to_id: int
    passing: int


async def _bounds(source: Source, registry: Registry, profile: Profile) -> tuple[int, int]:
    """Watermark and head. Below the watermark a head (clusters are made anew) has nothing.

    Raises `Fatal` where the rows below the watermark are not those that were considered.
    """
    from_id = await registry.watermark(profile.name, source.name)
    row_id, content_hash = await registry.last_taken(profile.name, source.name) or (0, None)
    if content_hash is not None and await source.told(row_id) not in {None, content_hash}:
        raise Fatal(
            f"row {row_id} of {source.name} is not the one that {profile.name} was trained on: rows"
            " are counted on from there, so bring the old ones back, or begin anew under another"
            " name, of the file or of the profile"
        )
    return from_id, max(from_id, await source.head())


async def _read(
    source: Source,
    registry: Registry,
    profile: Profile,
    from_id: int,
    head: int,
    rows_max: int,
    *,
    is_kept: bool = True,
    enough: int | None = None,
) -> _Read:
    """Every row of (from_id, head], sifted, or the first `rows_max` of them."""
    window, passing, to_id = Window(profile.data), 0, head
    async with aclosing(source.rows(from_id, head)) as pages:
        async for whole in pages:
            page = whole[: rows_max - window.rows]
            kept = await _untrained(registry, profile, window, window.sift(page))
            passing += len(kept)
            if is_kept:
                window.keep(kept)
            if window.rows >= rows_max or (enough is not None and passing >= enough):
                to_id = page[-1].id
                break
    return _Read(window, to_id, passing)


async def _untrained(
    registry: Registry, profile: Profile, window: Window, rows: list[Candidate]
) -> list[Candidate]:
    hashes = [row.content_hash for row in rows]
    trained = await registry.trained(profile.name, hashes) if hashes else set()
    window.not_taken[NotTaken.TRAINED_BEFORE] += len(trained)
    return [row for row in rows if row.content_hash not in trained]


# -- sides --------------------------------------------------------------------------------------


class _Sorting:
    """Puts rows on their sides. `decided`: sides that are to be stored, by the registry's keys."""

    def __init__(self, source: Source, registry: Registry, profile: Profile) -> None:
        self._source, self._registry, self._profile = source, registry, profile
        self._repos: dict[str, Side] = {}
        self.decided: dict[str, Side] = {}
        self.not_taken: Counter[NotTaken] = Counter()
        self.leaked = 0

    async def sort(self, window: Window) -> Mapping[Side, Positions]:
        """Positions of the window's rows by side, without what near-duplicates forbid."""
        known = await self._registry.all_sides(self._profile.name)
        self._repos = {key.removeprefix("repo:"): side for key, side in known.items()}
        repos = window.repos()
        self._decide(repos)
        sides = np.array([_SIDES.index(self._repos[repo]) for repo in repos], np.int8)
        for block in blocks(list(window.clusters), _AT_ONCE):
            judged = await self._judge({at: self._repos[repos[at]] for at in block}, window)
            for at, one in judged.items():
                self.leaked += one.is_leak
                if one.reason is not None:
                    self.not_taken[one.reason] += 1
                    sides[at] = -1
        return {side: np.flatnonzero(sides == at) for at, side in enumerate(_SIDES)}

    def _decide(self, repos: Sequence[str]) -> None:
        new = of_repositories(self._repos, repos, self._profile.data)
        self._repos |= new
        self.decided |= {repo_key(name): side for name, side in sorted(new.items())}

    async def _judge(self, sides: Mapping[int, Side], window: Window) -> dict[int, Judged]:
        name = self._profile.name
        members = await self._source.members([window.hashes[at] for at in sides])
        self._decide([one.repo for group in members.values() for one in group])
        hashes = {one.content_hash for group in members.values() for one in group}
        trained = await self._registry.trained(name, sorted(hashes))
        keys = {at: cluster_key(window.clusters[at]) for at in sides}
        known = self.decided | await self._registry.sides(name, list(keys.values()))
        judged = {}
        for at, side in sides.items():
            if group := members.get(window.hashes[at]):
                judged[at] = judge(
                    side,
                    [self._repos[one.repo] for one in group],
                    known.get(keys[at]),
                    was_trained=any(one.content_hash in trained for one in group),
                )
                if keys[at] not in known:
                    known[keys[at]] = self.decided[keys[at]] = judged[at].cluster
        return judged

    async def measured_before(self, side: Side, train: set[bytes]) -> list[Taken]:
        """What earlier rounds measured on, newest first, as far as it lives and nothing near it
        was trained, or will be now. What is no longer measured of the hold-out is counted."""
        name = self._profile.name
        found: list[Taken] = []
        rows = await self._registry.measured(name, side, MEASURED_MAX)
        for block in blocks(rows, _AT_ONCE):
            hashes = [row.content_hash for row in block]
            alive = await self._source.alive(hashes)
            members = await self._source.members(hashes)
            near = {one: {one, *(it.content_hash for it in members.get(one, ()))} for one in hashes}
            every = set().union(*near.values())
            trained = train | await self._registry.trained(name, sorted(every))
            clean = {one for one in alive if near[one].isdisjoint(trained)}
            found += (row for row in block if row.content_hash in clean)
            if side is Side.HOLDOUT:
                self.leaked += len(alive) - len(clean)
        return [row._replace(side=side, origin=Origin.REPLAY) for row in found]


# -- what comes on top --------------------------------------------------------------------------


async def _replay(
    source: Source, registry: Registry, profile: Profile, budget: Budget, new_rows: int
) -> list[Taken]:
    """So many that they are `replay_share` of all; fewer where not so many live."""
    share = profile.data.replay_share
    wanted = round(new_rows * share / (1 - share))
    if not wanted:
        return []
    pool = await registry.replay(profile.name, REPLAY_POOL)
    found: list[Taken] = []
    for block in blocks(budget.draw_replay(pool, Filters(profile.data)), _AT_ONCE):
        alive = await source.alive([row.content_hash for row in block])
        found += (row for row in block if row.content_hash in alive)
        if len(found) >= wanted:
            break
    return found[:wanted]
