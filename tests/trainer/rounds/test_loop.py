"""Rounds in this process: what they take, how they end, and what they leave."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.contract.build import hash_of, text
from tests.trainer.rounds.build import Place, profile
from trainer import loop
from trainer.registry.base import Session
from trainer.round import Parts
from trainer.types import Manifest, Origin, SessionStatus, Side

pytestmark = pytest.mark.timeout(300)  # a round takes a second or two; many at once take turns
REPOS = [f"owner/r{n}" for n in range(6)]


async def written(place: Place, first: int = 0) -> None:
    """Six repositories of four texts each."""
    for number, repo in enumerate(REPOS):
        names = [f"word{first + number * 4 + n}" for n in range(4)]
        await place.write(f"{repo}_{first}", *names)


async def one(parts: Parts) -> Session:
    session = await loop.once(parts)
    assert session is not None
    return session


async def test_a_round_ends_in_a_version_that_names_its_rows(place: Place, model: Path) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        session = await one(parts)
        assert session.status in {SessionStatus.COMPLETED, SessionStatus.NOT_PROMOTED}
        [version] = await parts.registry.versions("tiny")
        manifest = await parts.registry.manifest(session.id)
        watermark = await parts.registry.watermark("tiny", "journal")
    assert version.is_active
    assert watermark == await place.journal.last_id() == manifest.to_id
    folder = parts.models_dir / "tiny" / version.version
    assert (parts.models_dir / "tiny" / "active").resolve() == folder
    rows = json.loads((folder / "manifest.json").read_bytes())["rows"]
    assert {row[1] for row in rows} == {hash_of(text(f"word{n}")).hex() for n in range(24)}
    assert not any((parts.models_dir / "tiny" / ".work").iterdir())


async def test_the_second_round_takes_only_what_is_new(place: Place, model: Path) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        first = await one(parts)
        assert await loop.once(parts) is None
        await written(place, 100)
        second = await one(parts)
        manifest = await parts.registry.manifest(second.id)
        versions = await parts.registry.versions("tiny")
    new = [row for row in manifest.taken if row.origin is Origin.NEW]
    assert {row.content_hash for row in new} == {hash_of(text(f"word{100 + n}")) for n in range(24)}
    assert (manifest.from_id, manifest.base.version) == (first.to_id, versions[1].version)
    assert versions[0].parent == versions[1].version


async def test_a_text_that_is_taken_down_meanwhile_withdraws_the_round(
    place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        real = parts.registry.mark

        async def marked(*given: object) -> None:
            await real(*given)  # type: ignore[arg-type]  # as it was called
            if given[2] is SessionStatus.TRAINED:
                train = [row for row in manifest.taken if row.side is Side.TRAIN]
                await place.journal.forget_content(train[0].content_hash)

        monkeypatch.setattr(parts.registry, "mark", marked)
        work = asyncio.create_task(one(parts))
        while (opened := await parts.registry.open_session("tiny")) is None:  # noqa: ASYNC110 - a table tells nobody
            await asyncio.sleep(0.01)
        manifest = await parts.registry.manifest(opened.id)
        session = await work
        assert session.status is SessionStatus.WITHDRAWN
        assert await parts.registry.versions("tiny") == []
        assert await parts.registry.watermark("tiny", "journal") == 0
        monkeypatch.undo()
        await place.caught_up()
        again = await one(parts)
        taken = {row.content_hash for row in (await parts.registry.manifest(again.id)).taken}
        assert len(taken) == 23


async def test_a_window_without_anything_to_train_on_is_only_counted(
    place: Place, model: Path
) -> None:
    await written(place)
    strict = profile(model, data={"min_quality": 99, "min_new_rows": 1})
    async with place.trainer(strict) as parts:
        assert await loop.once(parts) is None
    full = profile(model, data={"min_quality": 99, "max_window_rows": 10})
    async with place.trainer(full) as parts:
        session = await one(parts)
        assert session.status is SessionStatus.EMPTY
        assert await parts.registry.watermark("tiny", "journal") == 10
        assert sum((await parts.registry.manifest(session.id)).not_taken.values()) == 10


async def test_a_stopped_round_is_gone_on_with(place: Place, model: Path) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        work = asyncio.create_task(loop.once(parts))
        while not parts.state.progress.step:  # noqa: ASYNC110 - a thread counts it
            await asyncio.sleep(0.005)
        parts.stop.set()
        stopped = await work
        assert stopped is not None
        assert stopped.status is SessionStatus.TRAINING
    async with place.trainer(profile(model)) as parts:
        session = await one(parts)
        assert session.id == stopped.id
        assert session.status in {SessionStatus.COMPLETED, SessionStatus.NOT_PROMOTED}


async def test_a_second_trainer_of_the_profile_waits(place: Place, model: Path) -> None:
    await written(place)
    async with (
        place.trainer(profile(model)) as parts,
        place.trainer(profile(model)) as other,
        loop.holding(parts) as holder,
    ):
        assert holder is not None
        waiting = asyncio.create_task(loop.once(other))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        assert await other.registry.open_session("tiny") is None
        other.stop.set()
        assert await waiting is None


async def test_over_twenty_rounds_every_row_is_considered_once(place: Place, model: Path) -> None:
    """While another task adds, moves, removes and takes down."""
    ended = asyncio.Event()

    async def write() -> None:
        for number in range(10_000):
            if ended.is_set():
                return
            repo = f"owner/r{number % 12}"
            kept = [
                f"word{n}" for n in range(max(0, number - 24), number + 2) if n % 12 == number % 12
            ]
            await place.write(repo, *kept, f"shared{number % 5}", f"new{number}")
            if number % 9 == 8:
                await place.journal.forget_content(hash_of(text(f"new{number - 3}")))
                await place.caught_up()
            await asyncio.sleep(0.02)

    writing = asyncio.create_task(write())
    rounds: list[Manifest] = []
    async with place.trainer(profile(model, data={"replay_share": 0.2})) as parts:
        while len(rounds) < 20:
            session = await loop.once(parts)
            if session is None:
                await asyncio.sleep(0.05)
            elif session.status is not SessionStatus.WITHDRAWN:
                rounds.append(await parts.registry.manifest(session.id))
        ended.set()
        await writing
        watermark = await parts.registry.watermark("tiny", "journal")
    assert [one.from_id for one in rounds] == [0, *(one.to_id for one in rounds[:-1])]
    assert rounds[-1].to_id == watermark
    seen: list[int] = []
    for manifest in rounds:
        new = [row.id for row in manifest.taken if row.origin is Origin.NEW]
        assert all(manifest.from_id < row <= manifest.to_id for row in new)
        assert len(new) + sum(manifest.not_taken.values()) == manifest.to_id - manifest.from_id
        seen += new
    assert len(seen) == len(set(seen))
