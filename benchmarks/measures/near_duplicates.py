"""Near-duplicates: what is found and named against an exact reading, the cost, and two peers.

The exact reading shares nothing with the product: words by `re` on decoded text, shingles as hashed
tuples of strings, every pair that can reach 0.7 compared.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import apsw
import numpy as np
import numpy.typing as npt

from benchmarks.corpus import archive_of, files_of, read_manifest
from benchmarks.measures.base import Row
from codelupe_daemon.consume import runner
from codelupe_daemon.consume.lsh import BandIndex, Role
from codelupe_daemon.consume.near_duplicates import THRESHOLD, NearDuplicates
from codelupe_daemon.examine.fingerprint import fingerprints, jaccard, shingle_set
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import Content, Occurrence, Part, Repo, Standing, Visit

MANIFEST = Path(__file__).with_suffix(".toml")
SUFFIXES = frozenset(
    {".py", ".rs", ".go", ".js", ".mjs", ".ts", ".java", ".c", ".cc", ".h", ".cpp"}
)
FILE_MAX_BYTES = 1 << 20
FILE_MIN_CHARS = 50
PEER_FILES = 4000
PART_FILES = 500
DATATROVE = ("datatrove[io,processing]==0.10.1", "spacy")
TEXT_DEDUP = ("text-dedup==0.4.0", "setuptools<80")

Pair = tuple[int, int]
Set = npt.NDArray[np.int64]


class File(NamedTuple):
    repo: str
    path: str
    text: str


def measure(cache: Path) -> list[Row]:
    files = list(read_files(cache))
    pairs = exact_pairs([exact_set(file.text) for file in files])
    rows = measure_pairs(files, pairs)
    with tempfile.TemporaryDirectory() as scratch:
        rows += asyncio.run(measure_clusters(files, pairs, Path(scratch)))
    with tempfile.TemporaryDirectory() as scratch:
        rows += measure_speed(files, cache, Path(scratch))
    return rows


def read_files(cache: Path) -> Iterator[File]:
    """Different texts, in the order of the manifest."""
    seen = set()
    for origin in read_manifest(MANIFEST):
        for package in origin.packages:
            for path, raw in files_of(package, archive_of(package, cache)):
                if PurePosixPath(path).suffix not in SUFFIXES or len(raw) > FILE_MAX_BYTES:
                    continue
                text = raw.decode(errors="replace")
                if len(text) < FILE_MIN_CHARS or "\0" in text or text in seen:
                    continue
                seen.add(text)
                yield File(f"{origin.name}/{package.version}", path, text)


# -- the exact reading ----------------------------------------------------------------------


def exact_set(text: str) -> Set:
    words = [word for word in re.split(r"\W+", text.lower()) if word]
    grams = zip(*(words[k:] for k in range(5)), strict=False)
    return np.unique(np.fromiter(map(hash, grams), np.int64))


def exact_pairs(sets: Sequence[Set]) -> set[Pair]:
    """Every pair of at least THRESHOLD: they share one of the 30% rarest shingles of each."""
    tokens, order = np.unique(np.concatenate(sets), return_inverse=True)
    frequency = np.bincount(order, minlength=len(tokens))
    holders: dict[int, list[int]] = defaultdict(list)
    start = 0
    for number, one in enumerate(sets):
        own = order[start : start + len(one)]
        start += len(one)
        rare = own[np.lexsort((own, frequency[own]))]
        for token in rare[: len(one) - int(np.ceil(THRESHOLD * len(one) - 1e-9)) + 1].tolist():
            holders[token].append(number)
    candidates = {
        (one, other)
        for numbers in holders.values()
        for at, other in enumerate(numbers)
        for one in numbers[:at]
    }
    return {(one, other) for one, other in candidates if _overlap(sets[one], sets[other])}


def _overlap(one: Set, other: Set) -> bool:
    if min(len(one), len(other)) < THRESHOLD * max(len(one), len(other)):
        return False
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common >= THRESHOLD * (len(one) + len(other) - common)


def stars(pairs: set[Pair], ranks: Sequence[Any]) -> list[int]:
    """The winner of each, by the rule read plainly."""
    near: dict[int, list[int]] = defaultdict(list)
    for one, other in pairs:
        near[one].append(other)
        near[other].append(one)
    winners = [-1] * len(ranks)
    for number in sorted(range(len(ranks)), key=ranks.__getitem__):
        if winners[number] < 0:
            winners[number] = number
            for other in near[number]:
                winners[other] = number if winners[other] < 0 else winners[other]
    return winners


# -- quality ------------------------------------------------------------------------------------


class Batch(NamedTuple):
    data: Any
    offsets: Any
    sizes: Any


def batch_of(files: Sequence[File]) -> Batch:
    raw = [file.text.encode() for file in files]
    sizes = np.array([len(one) for one in raw], np.int64)
    data = np.frombuffer(b"".join(raw) + bytes(64), np.uint8)
    return Batch(data, np.cumsum([0, *sizes[:-1]]), sizes)


def measure_pairs(files: Sequence[File], exact: set[Pair]) -> list[Row]:
    """What the index proposes and the texts confirm, against every exact pair."""
    batch = batch_of(files)
    prints = fingerprints(*batch)
    sets = [shingle_set(file.text.encode()) for file in files]
    index = BandIndex()
    proposed = 0
    found: set[Pair] = set()
    for slot in index.append(range(1, len(files) + 1), prints):
        if prints[slot] is None:
            continue
        alike = index.alike(slot, Role.WINNER)
        proposed += len(alike)
        found |= {(one, slot) for one in alike if jaccard(sets[one], sets[slot]) >= THRESHOLD}
        index.link(slot, slot)
    both = len(found & exact)
    detail = f"{len(exact):,} exact pairs among {len(files):,} files; {proposed:,} compared"
    return [
        Row("pairs: recall", both / len(exact), 0.95, detail),
        Row("pairs: precision", both / len(found), 0.95, detail),
    ]


async def measure_clusters(files: Sequence[File], pairs: set[Pair], folder: Path) -> list[Row]:
    spent_s, index_bytes, named = await cluster(files, folder)
    size_bytes = clusters_bytes(folder / "journal.db")
    numbers = f"{len(files):,} files, {len(named):,} of them in clusters"
    return [
        *judge_clusters(files, pairs, named),
        upper("consumer: ms a file", 1000 * spent_s / len(files), 0.1, f"CPU time; {numbers}"),
        upper("index: bytes a file in memory", index_bytes / len(files), 200, numbers),
        Row("clusters: bytes a file in the store", size_bytes / len(files), None, numbers),
    ]


def upper(what: str, figure: float, limit: float, detail: str) -> Row:
    return Row(what, figure, limit, detail, is_upper_limit=True)


async def cluster(files: Sequence[File], folder: Path) -> tuple[float, int, dict[int, int]]:
    """CPU seconds of a run over a journal of these files, its memory, and who wins over whom."""
    store = SqliteJournal(folder / "journal.db")
    await store.open(create=True)
    await record(store, files)
    clusters = SqliteClusters(folder / "journal.db")
    consumer = NearDuplicates(clusters)
    await consumer.open()
    control = runner.Control()
    control.drain()
    before_s = time.process_time()
    await runner.run(store, consumer, owner=this_process(), control=control)
    spent_s = time.process_time() - before_s
    numbers = {hash_of(file.text): number for number, file in enumerate(files)}
    found = (await clusters.clusters_of(list(numbers))).values()
    named = {numbers[one.content_hash]: numbers[one.winner] for one in found}
    index_bytes = consumer.index_bytes
    await consumer.close()
    await store.close()
    return spent_s, index_bytes, named


async def record(store: SqliteJournal, files: Sequence[File]) -> None:
    """The newer version of a package has more stars."""
    repos = list(dict.fromkeys(file.repo for file in files))
    for rank, name in enumerate(repos):
        standing = Standing("MIT", len(repos) - rank)
        repo_id = await store.register(Repo(name, name, standing))
        visit = await store.claim(repo_id, this_process(), 600)
        assert visit is not None
        own = [file for file in files if file.repo == name]
        for at in range(0, len(own), PART_FILES):
            await store.append([part_of(store, visit, own[at : at + PART_FILES])])
        await store.finish(visit, None, standing, "benchmark")


def part_of(store: SqliteJournal, visit: Visit, files: Sequence[File]) -> Part:
    batch = batch_of(files)
    packed = store.pack(memoryview(batch.data), batch.offsets.tolist(), batch.sizes.tolist())
    contents = {}
    occurrences = []
    for file, one, fingerprint in zip(files, packed, fingerprints(*batch), strict=True):
        made = Content(hash_of(file.text), one, len(file.text), "C", 0.9, b"{}", fingerprint)
        contents[made.key] = made
        occurrences.append(Occurrence(file.path, None, "", "C", made.content_hash, None, None))
    return Part(visit, None, "benchmark", occurrences, contents)


def hash_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def clusters_bytes(database: Path) -> int:
    """What the table takes: the file shrinks by so much without it."""
    cx = apsw.Connection(str(database))
    pages = []
    for statement in ("vacuum", "drop table clusters; vacuum"):
        cx.execute(statement)
        pages.append(cx.execute("pragma page_count").get)
    size: int = cx.execute("pragma page_size").get
    cx.close()
    return int(pages[0] - pages[1]) * size


def judge_clusters(files: Sequence[File], pairs: set[Pair], named: Mapping[int, int]) -> list[Row]:
    repos = list(dict.fromkeys(file.repo for file in files))
    ranks = [(repos.index(file.repo), file.path.encode()) for file in files]
    exact = stars(pairs, ranks)
    together = pairs_together(named)
    exact_losers = {one for one, winner in enumerate(exact) if one != winner}
    losers = {one: winner for one, winner in named.items() if one != winner}
    true = sum((min(pair), max(pair)) in pairs for pair in losers.items())
    by_chain = pairs_together(chained(pairs, len(files)))
    detail = f"of {len(pairs):,} exact pairs"
    return [
        Row("clusters: recall", len(together & pairs) / len(pairs), 0.95, detail),
        Row("clusters: precision", len(together & pairs) / len(together), 0.95,
            f"of {len(together):,} pairs in one cluster"),
        Row("losers: near to their winner", true / len(losers), 0.95, f"of {len(losers):,}"),
        Row("losers: of those by an exact reading", len(exact_losers & losers.keys())
            / len(exact_losers), 0.95, f"of {len(exact_losers):,}"),
        Row("connected components: precision", len(by_chain & pairs) / len(by_chain), None,
            "what clusters would be if all that hangs together were one"),
    ]  # fmt: skip


def pairs_together(named: Mapping[int, int]) -> set[Pair]:
    members: dict[int, list[int]] = defaultdict(list)
    for one, winner in sorted(named.items()):
        members[winner].append(one)
    return {
        (one, other)
        for cluster in members.values()
        for at, other in enumerate(cluster)
        for one in cluster[:at]
    }


def chained(pairs: set[Pair], count: int) -> dict[int, int]:
    roots = list(range(count))

    def root(number: int) -> int:
        while roots[number] != number:
            roots[number] = number = roots[roots[number]]
        return number

    for one, other in pairs:
        roots[root(one)] = root(other)
    return {number: root(number) for number in range(count)}


# -- speed, beside the peers ----------------------------------------------------------------

DATATROVE_SCRIPT = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
folder, config = sys.argv[1], MinhashConfig(hash_config=HashConfig(precision=64))
read = JsonlReader(folder, glob_pattern="files.jsonl")
steps = [
    ([read, MinhashDedupSignature(f"{folder}/signatures", config)], 1),
    ([MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)], 14),
    ([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/removed", config=config)], 1),
    ([read, MinhashDedupFilter(f"{folder}/removed"), JsonlWriter(f"{folder}/kept")], 1),
]
for number, (pipeline, tasks) in enumerate(steps):
    LocalPipelineExecutor(pipeline, tasks, workers=1, logging_dir=f"{folder}/logs{number}").run()
"""
TEXT_DEDUP_OPTIONS = (
    "--path json --data_files {folder}/files.jsonl --split train --cache_dir {folder}/cache "
    "--output {folder}/kept --column text --batch_size 1000 --threshold 0.7 --ngram 5 "
    "--num_perm 256 --num_proc 1"
)


def measure_speed(files: Sequence[File], cache: Path, folder: Path) -> list[Row]:
    """The same files for each: fingerprints, candidates and clusters; CPU time without imports."""
    files = files[:: max(1, len(files) // PEER_FILES)]
    batch = batch_of(files)
    size_mb = int(batch.sizes.sum()) / 1e6
    before_s = time.process_time()
    for _ in range(5):
        fingerprints(*batch)
    ours_s = (time.process_time() - before_s) / 5
    rows = [Row("fingerprint: MB a CPU second", size_mb / ours_s, 400, f"{size_mb:.0f} MB of code")]
    ours_s += asyncio.run(cluster(files, folder))[0]
    rows.append(Row("fingerprint and clusters: MB a CPU second", size_mb / ours_s, None, ""))
    lines = (json.dumps({"text": file.text, "id": str(n)}) for n, file in enumerate(files))
    (folder / "files.jsonl").write_text("\n".join(lines) + "\n")
    script = folder / "datatrove_minhash.py"
    script.write_text(DATATROVE_SCRIPT)
    options = TEXT_DEDUP_OPTIONS.format(folder=folder).split()
    for name, packages, imports, command in (
        ("datatrove", DATATROVE, "datatrove.pipeline.dedup.minhash", [str(script), str(folder)]),
        ("text-dedup", TEXT_DEDUP, "text_dedup.minhash", ["-m", "text_dedup.minhash", *options]),
    ):
        python = python_with(packages, cache)
        theirs_s = cpu_seconds([python, *command], folder)
        theirs_s -= cpu_seconds([python, "-c", f"import {imports}"], folder)
        detail = f"{packages[0]}: {size_mb / theirs_s:.2f} MB a CPU second"
        rows.append(Row(f"times as fast as {name}", theirs_s / ours_s, 20, detail))
    return rows


def python_with(packages: Sequence[str], cache: Path) -> Path:
    """An environment of its own with the peer in it."""
    name = re.sub(r"\W+", "-", packages[0])
    python = cache / "peers" / f"near-{name}" / "bin" / "python"
    if not (python.parent.parent / "whole").exists():
        beside = str(Path(sys.executable).parent)
        uv = shutil.which("uv") or shutil.which("uv", path=beside)
        if uv is None:
            raise SystemExit("uv is not there: `pip install uv`")
        folder = python.parent.parent
        subprocess.run([uv, "venv", "-q", "--clear", "--python", "3.11", folder], check=True)
        install: list[str | Path] = [uv, "pip", "install", "-q", "--python", python]
        subprocess.run([*install, *packages], check=True)
        (folder / "whole").touch()
    return python


def cpu_seconds(command: Sequence[str | Path], folder: Path) -> float:
    """Of a process and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"HOME": str(folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stderr.decode()[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
