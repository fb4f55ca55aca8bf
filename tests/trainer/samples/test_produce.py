"""Texts to rows on disk and back: nothing lost, whatever is interrupted."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codelupe_daemon.errors import Fatal, Transient
from tests.trainer.samples.build import hash_of, profile, served, taken
from tests.trainer.samples.conftest import sources
from trainer.observe import report
from trainer.profile import Profile
from trainer.samples import blocks, plan
from trainer.samples.look import look
from trainer.samples.makers import PROCESSES
from trainer.samples.produce import Produced, produce
from trainer.samples.rows import BlockReader, PackedRow
from trainer.types import Taken

Texts = Callable[[Sequence[bytes]], Awaitable[dict[bytes, str]]]
SMALL = profile(256, system_prompt="Help")
PLAIN = {"chat": 0.0, "fim": 0.0, "repo": 0.0, "plain": 1.0}
REPO = {"chat": 0.0, "fim": 0.0, "repo": 1.0, "plain": 0.0}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few texts are several blocks of several pages."""
    monkeypatch.setattr(plan, "FIRST_BLOCK_CHARS", 6000)
    monkeypatch.setattr(plan, "BLOCK_CHARS", 20_000)
    monkeypatch.setattr(plan, "PAGE_CHARS", 5000)


def snippets(count: int) -> list[str]:
    """Different stretches of real code."""
    source = "\n\n\n".join(sources())
    dice = random.Random(7)
    starts = [dice.randrange(len(source) - 2000) for _ in range(count)]
    return [
        f"# {n}\n{source[start : start + dice.randrange(60, 1500)]}"
        for n, start in enumerate(starts)
    ]


TEXTS = snippets(120)
TAKEN = [
    taken(text, row=n, repo=f"owner/{n % 7}", path=f"src/{n % 11}.py")
    for n, text in enumerate(TEXTS)
]


async def made(
    folder: Path,
    tokenizer: Any,
    *,
    texts: Texts | None = None,
    rows: Sequence[Taken] = TAKEN,
    of: Profile = SMALL,
    seed: int = 1,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Produced:
    return await produce(
        texts or served(TEXTS), rows, of, tokenizer, folder, seed=seed, is_stopping=is_stopping
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def read(folder: Path, seed: int = 1, epoch: int = 0, skip: int = 0) -> list[PackedRow]:
    return list(BlockReader(folder, wait_s=0).rows(seed, epoch, skip=skip))


def documents(rows: Sequence[PackedRow], tokenizer: Any) -> Counter[str]:
    """All documents of the rows as text."""
    found: Counter[str] = Counter()
    for row in rows:
        parts = np.split(row.input_ids, np.cumsum(row.lengths)[:-1])
        found.update(tokenizer.decode(part.tolist()) for part in parts)
    return found


async def test_every_text_is_in_the_rows(tmp_path: Path, qwen: Any) -> None:
    produced = await made(tmp_path, qwen, of=profile(2048, formats=PLAIN))
    rows = read(tmp_path)
    assert documents(rows, qwen) == Counter(f"{text}<|endoftext|>" for text in TEXTS)
    assert produced.facts.counts == {"plain": 120}
    assert all(row.supervised.all() for row in rows)


async def test_facts_are_those_of_the_rows(tmp_path: Path, qwen: Any) -> None:
    produced = await made(tmp_path, qwen)
    rows, facts = read(tmp_path), produced.facts
    assert produced.is_whole
    assert facts == BlockReader(tmp_path).facts
    assert facts.rows == len(rows) == BlockReader(tmp_path).estimated_rows()
    assert facts.tokens == sum(len(row.input_ids) for row in rows)
    assert facts.supervised == sum(int(row.supervised.sum()) for row in rows)
    assert facts.documents == sum(len(row.lengths) for row in rows)
    assert facts.fill == pytest.approx(facts.tokens / (256 * len(rows)))
    assert facts.documents == sum(facts.counts[name] for name in ("chat", "fim", "repo", "plain"))
    assert all(len(row.input_ids) == sum(row.lengths) <= 256 for row in rows)
    assert {row.input_ids.dtype.name for row in rows} == {"uint32"}
    assert len(list(tmp_path.glob("*.safetensors"))) > 3


async def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, qwen: Any) -> None:
    for name in ("one", "two"):
        await made(tmp_path / name, qwen)
    await made(tmp_path / "other", qwen, seed=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert files(tmp_path / "one") != files(tmp_path / "other")


@pytest.mark.parametrize("after", range(1, 20, 3))
async def test_interrupted_anywhere_and_gone_on_with(tmp_path: Path, qwen: Any, after: int) -> None:
    asked = 0

    def is_stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    await made(tmp_path / "whole", qwen)
    stopped = await made(tmp_path / "stopped", qwen, is_stopping=is_stopping)
    assert not stopped.is_whole
    assert not (tmp_path / "stopped" / "done.json").exists()
    with pytest.raises(Transient, match="was stopped"):
        read(tmp_path / "stopped")
    seen = {path: path.stat().st_ino for path in (tmp_path / "stopped").glob("*.safetensors")}
    assert (await made(tmp_path / "stopped", qwen)).is_whole
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    assert {path: path.stat().st_ino for path in seen} == seen


def hurt_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit": hurt_in_the_middle,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "another file": lambda path: path.write_bytes(b"x" * 5000),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("hurt", DAMAGE.values(), ids=list(DAMAGE))
async def test_a_damaged_block_is_told_and_made_again(
    tmp_path: Path, qwen: Any, hurt: Callable[[Path], object]
) -> None:
    await made(tmp_path, qwen)
    before = files(tmp_path)
    hurt(tmp_path / "00001.safetensors")
    with pytest.raises((Fatal, Transient), match=r"00001\.safetensors is damaged|no rows came"):
        read(tmp_path)
    await made(tmp_path, qwen)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["plan.json", "done.json"])
async def test_what_is_said_of_the_rows_may_be_damaged_too(
    tmp_path: Path, qwen: Any, name: str
) -> None:
    await made(tmp_path, qwen)
    (tmp_path / name).write_text("{")
    with pytest.raises(Fatal, match=f"{name} is damaged"):
        BlockReader(tmp_path).estimated_rows()
    if name == "done.json":  # only says again what the blocks say
        assert (await made(tmp_path, qwen)).facts == BlockReader(tmp_path).facts
    else:
        with pytest.raises(Fatal, match=f"{name} is damaged: remove"):
            await made(tmp_path, qwen)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"rows": TAKEN[1:]},
        {"of": profile(256, system_prompt="Help more")},
        {"of": profile(128, system_prompt="Help")},
    ],
    ids=["seed", "manifest", "data", "length"],
)
async def test_rows_of_something_else_are_refused(
    tmp_path: Path, qwen: Any, other: dict[str, Any]
) -> None:
    await made(tmp_path, qwen)
    before = {name: data for name, data in files(tmp_path).items() if name != "ended.json"}
    with pytest.raises(Fatal, match="another manifest, tokenizer or `data` section"):
        await made(tmp_path, qwen, **other)
    assert before.items() <= files(tmp_path).items()


async def test_vanished_texts_are_named(tmp_path: Path, qwen: Any) -> None:
    gone = [hash_of(text).hex() for text in TEXTS[::5]]
    produced = await made(tmp_path, qwen, texts=served([t for t in TEXTS if t not in TEXTS[::5]]))
    assert sorted(produced.facts.missing) == sorted(gone)
    assert len(documents(read(tmp_path), qwen)) > 90


async def test_all_texts_may_vanish(tmp_path: Path, qwen: Any) -> None:
    produced = await made(tmp_path, qwen, texts=served([]))
    assert (produced.is_whole, produced.facts.rows, len(produced.facts.missing)) == (True, 0, 120)
    assert read(tmp_path) == []
    assert BlockReader(tmp_path).estimated_rows() == 0


async def test_a_manifest_may_be_empty(tmp_path: Path, qwen: Any) -> None:
    produced = await made(tmp_path, qwen, rows=[])
    assert (produced.is_whole, produced.facts.rows, produced.facts.fill) == (True, 0, 0.0)
    assert read(tmp_path) == []


ODD = {
    "empty": "",
    "blank": " \n\t\n",
    "binary": "int a;\0\n",
    "a surrogate": "x = '\ud800'\n" * 3,
    "a pair of surrogates": "x = '\ud83d\ude00'\n" * 3,
    "one line of megabytes": "x" * 300_000,
    "one character": "x",
    "control tokens": "<|im_end|><|endoftext|>" * 50,
    "no spaces": "漢字" * 2000,
}


async def test_odd_texts_are_counted_and_end_nothing(tmp_path: Path, qwen: Any) -> None:
    texts = [*ODD.values(), *TEXTS[:5]]
    rows = [taken(text, row=n) for n, text in enumerate(texts)]
    produced = await made(tmp_path, qwen, texts=served(texts), rows=rows)
    counts = dict(produced.facts.counts)
    assert (counts["empty"], counts["binary"], counts["repaired"]) == (2, 1, 2)
    assert counts["cut again"] > 0
    assert "too long" not in counts
    text = "".join(documents(read(tmp_path), qwen).elements())
    assert "x = '\ufffd'" in text
    assert "x = '😀'" in text
    assert text.count("x") >= 300_000


@pytest.mark.parametrize("formats", [PLAIN, REPO], ids=["plain", "repo"])
async def test_nothing_of_long_texts_is_lost(
    tmp_path: Path, qwen: Any, formats: dict[str, float]
) -> None:
    text = "漢字かな交じり文\n" * 400
    of = profile(64, system_prompt="", formats=formats)
    await made(tmp_path, qwen, texts=served([text]), rows=[taken(text)], of=of)
    found = documents(read(tmp_path), qwen)
    assert sum((name.count("漢字かな") * n) for name, n in found.items()) == 400
    assert sum(name.endswith("<|endoftext|>") * n for name, n in found.items()) == 1
    assert sum(name.count("<|file_sep|>") * n for name, n in found.items()) == (formats is REPO)


async def test_what_cannot_fit_a_row_is_counted(tmp_path: Path, qwen: Any) -> None:
    chat = {"chat": 1.0, "fim": 0.0, "repo": 0.0, "plain": 0.0}
    produced = await made(tmp_path, qwen, of=profile(24, formats=chat), rows=TAKEN[:3])
    assert produced.facts.rows == 0
    assert produced.facts.counts["too long"] > 0


async def test_files_of_one_repository_stand_together(tmp_path: Path, qwen: Any) -> None:
    await made(tmp_path, qwen, of=profile(2048, formats=REPO))
    found = documents(read(tmp_path), qwen)
    assert sum(found.values()) < 60
    for text in found:
        paths = [part.split("\n", 1)[0] for part in text.split("<|file_sep|>")[1:]]
        assert paths == sorted(paths)
        assert text.startswith("<|repo_name|>owner/")
        assert text.count("<|repo_name|>") == 1


# -- reading ----------------------------------------------------------------------------------


def key(row: PackedRow) -> bytes:
    return row.input_ids.tobytes()


async def test_rows_are_shuffled_within_blocks(tmp_path: Path, qwen: Any) -> None:
    await made(tmp_path, qwen)
    first, again, later = read(tmp_path), read(tmp_path), read(tmp_path, epoch=1)
    assert list(map(key, first)) == list(map(key, again))
    assert list(map(key, first)) != list(map(key, later))
    assert list(map(key, first)) != list(map(key, read(tmp_path, seed=2)))
    start = 0
    for path in sorted(tmp_path.glob("*.safetensors")):
        part = slice(start, start + blocks.facts_of(tmp_path, int(path.stem)).rows)
        assert sorted(map(key, first[part])) == sorted(map(key, later[part]))
        start = part.stop


async def test_rows_can_be_left_out(tmp_path: Path, qwen: Any) -> None:
    await made(tmp_path, qwen)
    whole = list(map(key, read(tmp_path)))
    for skip in (0, 1, 7, len(whole) - 1, len(whole), len(whole) + 9):
        assert list(map(key, read(tmp_path, skip=skip))) == whole[skip:]


async def test_rows_are_read_while_others_are_made(tmp_path: Path, qwen: Any) -> None:
    reached = threading.Event()
    answer = served(TEXTS)

    async def texts(hashes: Sequence[bytes]) -> dict[bytes, str]:
        if hash_of(TEXTS[-1]) in hashes:  # the last page waits until the first row was read
            assert await asyncio.to_thread(reached.wait, 30)
        return await answer(hashes)

    estimates: list[int] = []

    def reading() -> list[PackedRow]:
        reader = BlockReader(tmp_path / "rows", wait_s=30)
        estimates.append(reader.estimated_rows())
        got = []
        for row in reader.rows(1, 0):
            reached.set()
            got.append(row)
        return got

    rows, produced = await asyncio.gather(
        asyncio.to_thread(reading), made(tmp_path / "rows", qwen, texts=texts)
    )
    assert list(map(key, rows)) == list(map(key, read(tmp_path / "rows")))
    assert estimates == [pytest.approx(produced.facts.rows, rel=0.15)]


@pytest.mark.parametrize("error", [Transient("the database is away"), Fatal("no such store")])
async def test_readers_hear_what_the_producer_failed_with(
    tmp_path: Path, qwen: Any, error: Exception
) -> None:
    async def texts(_: Sequence[bytes]) -> dict[bytes, str]:
        raise error

    with pytest.raises(type(error), match=str(error)):
        await made(tmp_path, qwen, texts=texts)
    with pytest.raises(type(error), match=str(error)):
        read(tmp_path)
    await made(tmp_path, qwen)
    assert len(read(tmp_path)) > 0


async def test_readers_hear_of_a_cancelled_producer(tmp_path: Path, qwen: Any) -> None:
    asked = asyncio.Event()

    async def texts(_: Sequence[bytes]) -> dict[bytes, str]:
        asked.set()
        await asyncio.Event().wait()
        return {}

    task = asyncio.create_task(made(tmp_path, qwen, texts=texts))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(Transient, match="was stopped"):
        read(tmp_path)


def test_a_reader_does_not_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="no rows came to"):
        BlockReader(tmp_path / "nowhere", wait_s=0.01).estimated_rows()


async def test_a_full_disk_says_what_to_do(tmp_path: Path, qwen: Any) -> None:
    (tmp_path / "00001.part").symlink_to("/dev/full")
    with pytest.raises(Fatal, match=r"No space left on device.*make room"):
        await made(tmp_path, qwen)
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(Fatal, match=r"No space left on device.*make room"):
        read(tmp_path)
    assert (await made(tmp_path, qwen)).is_whole


async def test_few_pages_are_read_ahead(tmp_path: Path, qwen: Any) -> None:
    answer, going, most = served(TEXTS), 0, 0

    async def texts(hashes: Sequence[bytes]) -> dict[bytes, str]:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0)
        going -= 1
        return await answer(hashes)

    await made(tmp_path, qwen, texts=texts)
    assert most <= 3 * PROCESSES


# -- looking ----------------------------------------------------------------------------------


async def test_samples_are_shown(qwen: Any) -> None:
    shown = await look(served(TEXTS), TAKEN, SMALL, qwen, seed=1, limit=30)
    assert len(shown) == 30
    assert {sample["format"] for sample in shown} == {"chat", "fim", "repo", "plain"}
    assert json.loads(json.dumps(shown)) == shown
    for sample in shown:
        text = "".join(part["text"] for part in sample["parts"])
        assert len(qwen.encode(text, add_special_tokens=False)) == pytest.approx(
            sample["tokens"], rel=0.1
        )
        assert 0 < sample["supervised_tokens"] < sample["tokens"] or sample["format"] == "plain"


async def test_what_is_shown_fits_a_row_as_in_a_round(tmp_path: Path, qwen: Any) -> None:
    text = "漢字かな交じり文\n" * 100
    given = (served([text]), [taken(text)], profile(64, system_prompt="", formats=PLAIN), qwen)
    shown = await look(*given, seed=1, limit=1000)
    produced = await produce(*given, tmp_path, seed=1, is_stopping=lambda: False)
    assert produced.facts.counts["cut again"] > 0
    assert len(shown) == produced.facts.documents
    assert sum(sample["tokens"] for sample in shown) == produced.facts.tokens
    assert "".join(sample["parts"][0]["text"] for sample in shown) == text
    assert not any(sample["is_too_long"] for sample in shown)


async def test_what_fits_no_row_is_shown_as_that(qwen: Any) -> None:
    chat = {"chat": 1.0, "fim": 0.0, "repo": 0.0, "plain": 0.0}
    shown = await look(served(TEXTS), TAKEN, profile(24, formats=chat), qwen, seed=1, limit=3)
    assert [sample["is_too_long"] for sample in shown] == [True] * 3


def test_what_is_shown_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [
        {"text": "given\r\x1b[31m", "supervised": False, "control": False},
        {"text": "learned\x07\n", "supervised": True, "control": False},
    ]
    told = {"format": "plain", "tokens": 9, "repo": "a", "path": "b\x1b]0;", "parts": parts}
    report.samples([told])
    shown = capsys.readouterr().out
    assert "given␍␛[31m«learned␇\n»" in shown
    assert set(filter(str.isprintable, shown)) | {"\n"} == set(shown)


async def test_fewer_samples_than_asked_for(qwen: Any) -> None:
    several = partial(look, served(TEXTS[:2]), TAKEN[:2], profile(2048), qwen, seed=1)
    assert len(await several(limit=30)) == 2
    assert await several(limit=0) == []
