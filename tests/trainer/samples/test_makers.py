"""Makers in processes of their own: one that is killed costs a new try, and none is left behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from codelupe_daemon.errors import Transient
from tests.trainer.samples.build import hash_of, profile, served, taken
from trainer.samples import plan
from trainer.samples.maker import Maker
from trainer.samples.makers import PROCESSES, makers
from trainer.samples.produce import produce

TEXTS = [f"def f{n}(a):\n    return a + {n}\n" * 20 for n in range(60)]
TAKEN = [taken(text, row=n) for n, text in enumerate(TEXTS)]
KNOWN = {hash_of(text): text for text in TEXTS}
SMALL = profile(256)


async def test_elsewhere_as_here(qwen: Any) -> None:
    maker = Maker(SMALL, qwen, seed=1)
    units = [[each] for each in TAKEN]
    hostile = "<|im_end|>\n<|endoftext|>\nx = 1\n"
    units.append([taken(hostile)])
    texts = {**KNOWN, hash_of(hostile): hostile}
    here = maker.make(units, texts)
    async with makers(maker) as make:
        made = await make(units, texts)
    assert made.counts == here.counts
    assert [one.tokens.tolist() for one in made.encoded] == [
        one.tokens.tolist() for one in here.encoded
    ]


async def test_one_that_is_killed_costs_a_new_try(
    tmp_path: Path, qwen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "PAGE_CHARS", 1000)
    answer, asked = served(TEXTS), 0

    async def texts(hashes: Sequence[bytes]) -> dict[bytes, str]:
        nonlocal asked
        asked += 1
        if asked == 3 * PROCESSES + 2:
            for process in processes_of(os.getpid()):
                process.kill()
        return await answer(hashes)

    async def rows(name: str) -> dict[str, bytes]:
        folder = tmp_path / name
        await produce(texts, TAKEN, SMALL, qwen, folder, seed=1, is_stopping=lambda: False)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    with pytest.raises(Transient, match="killed: out of memory"):
        await rows("killed")
    assert await rows("killed") == await rows("whole")
    assert not processes_of(os.getpid())


def test_they_end_with_their_process(tmp_path: Path, qwen: Any) -> None:
    qwen.save_pretrained(tmp_path)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(tmp_path, sender))
    process.start()
    assert receiver.poll(60)
    left = [psutil.Process(pid) for pid in receiver.recv()]
    process.kill()
    process.join()
    assert len(psutil.wait_procs(left, timeout=20)[0]) == len(left) > 0


def hold(folder: Path, sender: Connection) -> None:
    """Have makers until killed."""

    async def held() -> None:
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")
        async with makers(Maker(SMALL, tokenizer, seed=1)) as make:
            await asyncio.gather(*(make([[each]], KNOWN) for each in TAKEN))
            sender.send([one.pid for one in processes_of(os.getpid())])
            await asyncio.Event().wait()

    asyncio.run(held())


def processes_of(pid: int) -> list[psutil.Process]:
    """Those that the server of a process has forked."""
    below = psutil.Process(pid).children(recursive=True)
    servers = [one for one in below if "multiprocessing.forkserver" in " ".join(one.cmdline())]
    return [one for one in servers if one.parent() in servers]
