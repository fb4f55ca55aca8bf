"""Rows of a journal to packed rows of tokens, beside what `tokenizers` alone needs for the texts.

    python -m benchmarks.train_intake [--rows 1000000] [--json]

The corpus is repeated with changes until there are enough rows, in a real SQLite journal. Then
round follows round of 100,000 rows: ours reads the window and the texts, makes samples, encodes,
packs and writes them; then the tokenizer's own `encode_batch_fast` gets the texts, in a process
of its own and without the time to read them. Ratios are of sums, so that a slow minute meets both.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import count, islice
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple, TypeVar

import psutil
import typer
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from benchmarks import corpus
from benchmarks.blobs import blobs_of
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import Content, Occurrence, Part, Repo
from trainer.intake.journal import JournalSource
from trainer.profile import Profile
from trainer.samples.blocks import path_of
from trainer.samples.produce import Produced, produce
from trainer.samples.tokenizer import train_tokenizer
from trainer.types import Side, Taken

ROUND_ROWS = 100_000
CHARS = range(50, 8001)
VOCABULARY = 32_000
TARGET, MEMORY_MB = 0.85, 1000.0
_LANGUAGES = {
    ".py": "Python", ".rs": "Rust", ".go": "Go", ".js": "JavaScript", ".ts": "TypeScript",
    ".java": "Java", ".c": "C", ".h": "C", ".cc": "C++", ".ex": "Elixir", ".dart": "Dart",
}  # fmt: skip
_PART_ROWS = 1000
_THEIR_BATCH = 2000
_WARM_ROWS = 200
_LOOK_S, _MEMORY_LOOKS = 0.5, 4


A = TypeVar("A")
T = TypeVar("T")


class Text(NamedTuple):
    repo: str
    path: str
    raw: bytes


# -- the journal ------------------------------------------------------------------------------


def fill(work: Path, rows: int) -> int:
    """Make the journal and a tokenizer of the corpus; how many rows there are."""
    texts = list(_corpus())
    train_tokenizer((text.raw.decode() for text in texts[::3]), VOCABULARY, work / "tokenizer")
    return asyncio.run(_fill(work / "journal.db", texts, rows))


def _corpus() -> Iterator[Text]:
    seen = set()
    for repo in corpus.build(corpus.default_cache()):
        blobs = blobs_of(repo)
        for n, path in enumerate(blobs.paths):
            raw = blobs.text(n) if len(blobs.text(n)) in CHARS else b""
            if PurePosixPath(path).suffix in _LANGUAGES and _is_text(raw) and raw not in seen:
                seen.add(raw)
                yield Text(f"{repo.parent.name}/{path.split('/')[0]}", path, raw)


def _is_text(raw: bytes) -> bool:
    try:
        return len(raw.decode()) in CHARS and b"\0" not in raw
    except UnicodeDecodeError:
        return False


async def _fill(path: Path, texts: Sequence[Text], rows: int) -> int:
    journal = SqliteJournal(path)
    await journal.open(create=True)
    visits: dict[str, Any] = {}
    copies = -(-rows // len(texts))
    every = ((text, copy) for copy in range(1, copies + 1) for text in texts)
    for done in range(0, rows, _PART_ROWS):
        part = list(islice(every, min(_PART_ROWS, rows - done)))
        for name in {f"{text.repo}-{copy}" for text, copy in part} - visits.keys():
            repo = await journal.register(Repo(name, f"/{name}"))
            visits[name] = await journal.claim(repo, "b:b:1:1", 1e6)
        await journal.append(list(_parts(journal, part, visits)))
        print(f"\rjournal {done:,}/{rows:,}", end="", file=sys.stderr)
    last_id = await journal.last_id()
    await journal.close()
    return last_id


def _parts(
    journal: SqliteJournal, part: Sequence[tuple[Text, int]], visits: dict[str, Any]
) -> Iterator[Part]:
    for text, copy in part:
        raw = corpus.varied(text.path, text.raw, copy)
        (packed,) = journal.pack(memoryview(raw), [0], [len(raw)])
        name, language = hashlib.blake2b(raw, digest_size=16).digest(), _language(text.path)
        content = Content(name, packed, len(raw.decode()), language, 0.9, b"{}")
        listed = Occurrence(text.path, None, "py", language, name, None, None)
        yield Part(visits[f"{text.repo}-{copy}"], None, "1", [listed], {content.key: content})


def _language(path: str) -> str:
    return _LANGUAGES[PurePosixPath(path).suffix]


# -- what is measured -------------------------------------------------------------------------


class Cost(NamedTuple):
    """Of one round."""

    wall_s: float
    cpu_s: float
    peak_mb: float = 0.0


class Usage:
    """What this process and those below it use, looked at all the while by a thread."""

    def __init__(self) -> None:
        self._started_s = time.perf_counter()
        self._cpu_s = self._before_s = _cpu_s_by_process()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        self.peak_mb = 0.0

    def _look(self) -> None:
        for look in count():
            if self._is_over.wait(_LOOK_S):
                return
            self._cpu_s = self._cpu_s | _cpu_s_by_process()
            if look % _MEMORY_LOOKS == 0:  # which costs some milliseconds
                self.peak_mb = max(self.peak_mb, _memory_mb())

    def cost(self) -> Cost:
        """Until now; it looks no more."""
        wall_s = time.perf_counter() - self._started_s
        self._is_over.set()
        self._thread.join()
        used_s = self._cpu_s | _cpu_s_by_process()
        cpu_s = sum(seconds - self._before_s.get(pid, 0.0) for pid, seconds in used_s.items())
        return Cost(wall_s, cpu_s, self.peak_mb)


def _cpu_s_by_process() -> dict[int, float]:
    return _of_each(lambda one: sum(one.cpu_times()[:2]))


def _memory_mb() -> float:
    """What they share counts once."""
    return sum(_of_each(lambda one: one.memory_full_info().pss / 2**20).values())


def _of_each(read: Callable[[psutil.Process], float]) -> dict[int, float]:
    this, found = psutil.Process(), {}
    for one in (this, *this.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found[one.pid] = read(one)
    return found


def measure(work: Path, rows: int) -> dict[str, Any]:
    return asyncio.run(_measure(work, rows))


async def _measure(work: Path, rows: int) -> dict[str, Any]:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    profile = Profile.model_validate({"name": "benchmark", "model": {"name": "benchmark"}})
    source = _source(work)
    await source.open()
    ours, theirs, chars, first_block_s = [], [], 0, []
    produced = None
    step = min(ROUND_ROWS, -(-rows // 2))
    few = await _window(source, 0, min(step, _WARM_ROWS))  # machine code is compiled, once ever
    await _ours(source.texts, few, profile, tokenizer, work / "warm")
    for after_id in range(0, rows, step):
        to_id = min(after_id + step, rows)
        print(f"\rrows {after_id:,}/{rows:,}", end="", file=sys.stderr)
        usage = Usage()
        taken = await _window(source, after_id, to_id)
        produced, waited_s = await _ours(source.texts, taken, profile, tokenizer, work / "rows")
        ours.append(usage.cost())
        first_block_s.append(waited_s)
        theirs.append(_apart(_theirs, work, [one.content_hash for one in taken]))
        chars += sum(one.chars for one in taken)
        shutil.rmtree(work / "rows")
    await source.close()
    assert produced is not None
    return {
        "rows": rows, "round_rows": step, "mega_chars": chars / 1e6, "cores": os.cpu_count(),
        "our_s": sum(one.wall_s for one in ours), "our_cpu_s": sum(one.cpu_s for one in ours),
        "their_s": sum(one.wall_s for one in theirs),
        "their_cpu_s": sum(one.cpu_s for one in theirs),
        "first_block_s": max(first_block_s), "fill": produced.facts.fill,
        "peak_mb": max(one.peak_mb for one in ours),
    }  # fmt: skip


async def _window(source: JournalSource, after_id: int, to_id: int) -> list[Taken]:
    return [
        Taken(
            row.id, row.content_hash, row.repo, row.path, row.language, row.license, row.quality,
            row.chars, row.created_at, Side.TRAIN,
        )
        async for page in source.rows(after_id, to_id)
        for row in page
        if row.is_candidate and row.is_live and row.chars in CHARS
    ]  # fmt: skip


async def _ours(
    texts: Callable[..., Any], taken: Sequence[Taken], profile: Profile, tokenizer: Any, to: Path
) -> tuple[Produced, float]:
    """Also how long the first block was waited for."""
    started = time.perf_counter()

    async def first_block_s() -> float:
        while not path_of(to, 0).exists():  # noqa: ASYNC110 (nobody tells of a file)
            await asyncio.sleep(0.02)
        return time.perf_counter() - started

    waiting = asyncio.create_task(first_block_s())
    produced = await produce(
        texts, taken, profile, tokenizer, to, seed=1, is_stopping=lambda: False
    )
    assert produced.is_whole
    assert not produced.facts.missing
    return produced, await waiting


def _theirs(work: Path, hashes: Sequence[bytes]) -> Cost:
    return asyncio.run(_encoded(work, hashes))


async def _encoded(work: Path, hashes: Sequence[bytes]) -> Cost:
    tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
    source = _source(work)
    await source.open()
    wall_s = cpu_s = 0.0
    for start in range(0, len(hashes), _THEIR_BATCH):
        texts = list((await source.texts(hashes[start : start + _THEIR_BATCH])).values())
        started_s, before_s = time.perf_counter(), time.process_time()
        tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        wall_s += time.perf_counter() - started_s
        cpu_s += time.process_time() - before_s
    await source.close()
    return Cost(wall_s, cpu_s)


def _source(work: Path) -> JournalSource:
    path = work / "journal.db"
    return JournalSource(SqliteJournal(path), SqliteClusters(path))


# -- what is said about it --------------------------------------------------------------------


def show(told: dict[str, Any]) -> None:
    table = Table(title=f"{told['rows']:,} rows, {told['mega_chars']:,.0f} million characters")
    for column in ("what", "seconds", "CPU seconds", "rows/s", "million characters/s"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for what, who in (("journal to packed rows", "our"), ("encode_batch_fast alone", "their")):
        seconds = told[f"{who}_s"]
        table.add_row(
            what, f"{seconds:,.1f}", f"{told[f'{who}_cpu_s']:,.1f}",
            f"{told['rows'] / seconds:,.0f}", f"{told['mega_chars'] / seconds:.2f}",
        )  # fmt: skip
    Console().print(table)
    for check in told["checks"]:
        met = "met" if check["met"] else "NOT MET"
        print(f"{check['what']:<52} {check['value']:>8.3f}  {check['target']:>8}  {met}")


def checks(told: dict[str, Any]) -> list[dict[str, Any]]:
    first = f"first block of {told['round_rows']:,} rows, seconds"
    wanted = [
        ("speed of encode_batch_fast's, by the clock", told["their_s"] / told["our_s"], TARGET),
        ("the same, by CPU time", told["their_cpu_s"] / told["our_cpu_s"], TARGET),
        ("packing fill", told["fill"], 0.99),
        ("peak memory of all processes, MB", told["peak_mb"], -MEMORY_MB),
        (first, told["first_block_s"], -10.0),
    ]
    return [
        {
            "what": what,
            "value": value,
            "target": f"{'>=' if target > 0 else '<='} {abs(target):g}",
            "met": value >= target if target > 0 else value <= -target,
        }
        for what, value, target in wanted
    ]


def main(
    rows: Annotated[int, typer.Option(help="Rows in the journal.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002 (typer makes an option of it)
) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        told = _apart(measure, Path(folder), _apart(fill, Path(folder), rows))
    told["checks"] = checks(told)
    print(file=sys.stderr)
    if as_json:
        print(json.dumps(told, indent=1))
    else:
        show(told)


def _apart(work: Callable[[Path, A], T], folder: Path, argument: A) -> T:
    """In a process of its own, so that memory is this step's alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, folder, argument).result()


if __name__ == "__main__":
    typer.run(main)
