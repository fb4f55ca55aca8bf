"""Rounds in this process: what they take, how they end, and what they leave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.observe.events import Events
from tests.contract.build import hash_of, text
from tests.trainer.rounds.build import Place, profile
from trainer import app, loop
from trainer.observe.state import Doing
from trainer.profile import load_profile
from trainer.registry.base import Session
from trainer.round import Parts
from trainer.types import Manifest, NotTaken, Origin, SessionStatus, Side

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


async def until(holds: Callable[[], object]) -> None:
    """At most for as long as a test may take."""
    while not holds():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.005)


def after(work: Callable[..., Awaitable[Any]], then: Callable[[], None]) -> Any:
    """The same, and then something else."""

    async def both(*given: Any, **named: Any) -> Any:
        result = await work(*given, **named)
        then()
        return result

    return both


class Away:
    """Raises `Transient`, once."""

    is_over = False

    def __call__(self) -> None:
        if not self.is_over:
            self.is_over = True
            raise Transient("the connection broke off")


async def test_a_round_ends_in_a_version_that_names_its_rows(place: Place, model: Path) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        session = await one(parts)
        assert session.status in {SessionStatus.COMPLETED, SessionStatus.NOT_PROMOTED}
        [version] = await parts.registry.versions("tiny")
        manifest = await parts.registry.manifest(session.id)
        watermark = await parts.registry.watermark("tiny", "journal")
        assert not any(parts.work.iterdir())
        for name in (session.id, "of-another-registry"):  # as a kill would leave it
            (parts.work / name / "rows").mkdir(parents=True)
        assert await loop.once(parts) is None
        assert [path.name for path in parts.work.iterdir()] == ["of-another-registry"]
    assert version.is_active
    assert watermark == await place.journal.last_id() == manifest.to_id
    folder = parts.models_dir / "tiny" / version.version
    assert (parts.models_dir / "tiny" / "active").resolve() == folder
    rows = json.loads((folder / "manifest.json").read_bytes())["rows"]
    assert {row[1] for row in rows} == {hash_of(text(f"word{n}")).hex() for n in range(24)}
    losses = {f"{name} loss": loss for name, loss in parts.state.losses.items()}
    assert losses.keys() >= {"validation loss", "recent loss"}
    assert losses.items() <= version.evaluation_results.items()


async def test_the_next_rounds_take_only_what_is_new(
    place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what a person makes active in the middle of the third one stays so."""
    await written(place)
    async with place.trainer(profile(model)) as parts:
        first = await one(parts)
        assert await loop.once(parts) is None
        await written(place, 100)
        second = await one(parts)
        manifest = await parts.registry.manifest(second.id)
        versions = await parts.registry.versions("tiny")
        await parts.registry.activate("tiny", "v0002")
        begin, activate = parts.registry.begin, parts.registry.activate

        async def begun(*given: Any) -> Any:
            await activate("tiny", "v0001")
            return await begin(*given)

        monkeypatch.setattr(parts.registry, "begin", begun)
        await written(place, 200)
        assert (await one(parts)).status is SessionStatus.NOT_PROMOTED
        newest = (await parts.registry.versions("tiny"))[0]
        assert (newest.version, newest.parent) == ("v0003", "v0002")
        assert (parts.models_dir / "tiny" / "active").readlink() == Path("v0001")
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

        async def marked(*given: Any) -> None:
            await real(*given)
            if given[2] is SessionStatus.TRAINED:
                train = [row for row in manifest.taken if row.side is Side.TRAIN]
                await place.journal.forget_content(train[0].content_hash)

        monkeypatch.setattr(parts.registry, "mark", marked)
        work = asyncio.create_task(one(parts))
        await until(lambda: parts.state.session)
        opened = await parts.registry.open_session("tiny")
        assert opened is not None
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


async def test_an_answer_that_is_lost_begins_no_other_round(
    place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for again, at every moment of a round that writes."""
    await written(place)
    async with place.trainer(profile(model)) as parts:
        claim, away = parts.registry.claim, Away()

        async def claimed(*given: Any) -> Any:
            away()
            return await claim(*given)

        monkeypatch.setattr(parts.registry, "claim", claimed)
        for name in ("begin", "mark", "finish", "versions", "sessions"):
            monkeypatch.setattr(parts.registry, name, after(getattr(parts.registry, name), Away()))
        session = await one(parts)
        assert session.status in {SessionStatus.COMPLETED, SessionStatus.NOT_PROMOTED}
        assert [it.id for it in await parts.registry.sessions("tiny", 9)] == [session.id]


async def test_a_folder_that_cannot_be_written(place: Place, model: Path, tmp_path: Path) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        (tmp_path / "models").write_text("")
        with pytest.raises(Fatal, match=r"models/tiny/active cannot be written .*--models-dir"):
            await one(parts)


async def test_a_stop_before_the_first_step_loads_no_model(
    place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        monkeypatch.setattr(parts.registry, "begin", after(parts.registry.begin, parts.stop.set))
        assert (await one(parts)).status is SessionStatus.FROZEN


async def test_a_card_that_fails_ends_the_process_and_not_the_round(
    place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test can break a real one."""

    def finetune(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with ...")

    await written(place)
    async with place.trainer(profile(model)) as parts:
        monkeypatch.setattr("trainer.finetune.finetune", finetune)
        with pytest.raises(Fatal, match=r"CPU failed \(CUDA error: unspecified launch failure\)"):
            await one(parts)
        opened = await parts.registry.open_session("tiny")
        assert opened is not None
        assert opened.status is SessionStatus.TRAINING


async def test_a_stopped_round_is_gone_on_with(place: Place, model: Path) -> None:
    await written(place)
    async with place.trainer(profile(model)) as parts:
        work = asyncio.create_task(loop.once(parts))
        await until(lambda: parts.state.progress.step)
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


async def test_a_stop_while_another_trains_is_told(
    place: Place, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await written(place)
    path = tmp_path / "mine.toml"
    path.write_text(f"[model]\nname = {json.dumps(str(model))}\n")
    named = {"profile": str(path), "device": "cpu"}
    said = ""
    async with place.trainer(load_profile(str(path))) as parts, loop.holding(parts):
        settings = place.settings.model_copy(update=named)
        waiting = asyncio.create_task(app.once(settings, [], Events(), anew=False))
        while "waits: another process trains mine" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)
        assert await waiting == {"session": None, "version": None, "is_stopped": True}


async def test_how_far_rows_have_come_is_told_during_a_round(place: Place, model: Path) -> None:
    await written(place)
    long = profile(model, data={"poll_s": 0.05}, training={"target_tokens": 50_000})
    async with place.trainer(long) as parts:
        serving = asyncio.create_task(loop.for_ever(parts))
        await until(lambda: parts.state.progress.step)
        head = parts.state.head
        await place.write("owner/more", "more")
        await until(lambda: parts.state.head > head)
        assert (parts.state.watermark, parts.state.doing) == (0, Doing.TRAINING)
        parts.stop.set()
        await serving


SCRATCH: dict[str, Any] = {
    "name": "ours", "from_scratch": True, "vocab_size": 300,
    "config": {
        "model_type": "qwen2", "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "tie_word_embeddings": True,
    },
}  # fmt: skip


async def test_the_folder_of_models_may_be_moved(place: Place, model: Path, tmp_path: Path) -> None:
    """Also where versions rest on one of our own."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    formats = {"formats": {"chat": 0, "fim": 0, "repo": 0, "plain": 1}}
    from_scratch = {"model": SCRATCH, "data": formats, "model_saving": {"merged": True}}
    scratch = profile(model, **from_scratch)
    moved = tmp_path / "elsewhere"
    async with place.trainer(scratch) as parts:
        await written(place)
        await one(parts)
        parts.models_dir.rename(moved)
        await written(place, 100)
        with pytest.raises(Fatal, match=r"models/tiny/v0001 is missing, .*--models-dir"):
            await one(parts)
        parts.models_dir = moved
        await one(parts)
        moved = moved.rename(tmp_path / "again")
    folder = moved / "tiny" / "v0002"
    base = AutoModelForCausalLM.from_pretrained(moved / "tiny" / "v0001")
    row = torch.arange(24)[None]
    by_hand = PeftModel.from_pretrained(base, folder)(row).logits
    merged = AutoModelForCausalLM.from_pretrained(folder / "merged")(row).logits
    torch.testing.assert_close(by_hand, merged, atol=1e-4, rtol=0)


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
    trained = [
        (row.content_hash, row.repo, row.side)
        for manifest in rounds
        for row in manifest.taken
        if row.origin is Origin.NEW
    ]
    texts = [content_hash for content_hash, _, side in trained if side is Side.TRAIN]
    assert len(texts) == len(set(texts))
    assert len({repo for _, repo, _ in trained}) == len({(repo, side) for _, repo, side in trained})
    reasons = set().union(*(manifest.not_taken for manifest in rounds))
    assert {NotTaken.NOT_A_CANDIDATE, NotTaken.NOT_LIVE} <= reasons  # it did move and remove
