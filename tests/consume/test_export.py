"""Exports: what is in the file, that others can read it, and which file holds which row."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest

from codelupe_daemon.consume import export as exporting
from codelupe_daemon.consume.export import (
    Choice,
    Format,
    Options,
    export,
    holding,
    sidecar_of,
    update,
)
from codelupe_daemon.errors import Fatal, UsageError
from codelupe_daemon.journal.base import ExportRow, Journal
from codelupe_daemon.journal.clusters import Cluster
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import LiveContent, Part
from tests.contract.build import (
    COMMIT,
    EXAMINER,
    Ingest,
    content,
    hash_of,
    occurrence,
    repo,
    text,
)

SCORES = {"low.py": 0.2, "edge.py": 0.7, "high.py": 0.95}
KEYS = [
    "id", "repo", "path", "language", "quality_score", "license", "content", "content_hash",
    "commit",
]  # fmt: skip


@pytest.fixture
async def clusters(journal: Journal, tmp_path: Path) -> AsyncIterator[SqliteClusters]:
    opened = SqliteClusters(tmp_path / "codelupe.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def filled(journal: Journal, ingest: Ingest) -> Journal:
    visit = await ingest.begin("a/a")
    made = [content(journal, text(path), score=score) for path, score in SCORES.items()]
    listed = [occurrence(path, text(path)) for path in SCORES]
    contents = {one.key: one for one in made}
    await journal.append([Part(visit, COMMIT, EXAMINER, listed, contents)])
    await journal.release(visit, "incomplete", None)
    return journal


async def test_rows_have_the_keys_that_scripts_rely_on(
    filled: Journal, tmp_path: Path, clusters: SqliteClusters
) -> None:
    path = tmp_path / "code.jsonl"
    done = await export(filled, clusters, Format.JSONL, Options(), output=path)
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert done == (path, 2, 3)
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert sorted((row["path"], row["quality_score"]) for row in rows) == [
        ("edge.py", 0.7), ("high.py", 0.95),
    ]  # fmt: skip
    for row in rows:
        assert row["content"] == text(row["path"])
        assert row["content_hash"] == hash_of(row["content"]).hex()
        assert (row["repo"], row["commit"]) == ("a/a", COMMIT.hex())
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


async def test_everything_with_no_least_quality(
    filled: Journal, tmp_path: Path, clusters: SqliteClusters
) -> None:
    done = await export(
        filled, clusters, Format.JSONL, Options(min_quality=0), output=tmp_path / "all"
    )
    assert done.rows == 3


@pytest.mark.parametrize("format_", list(Format))
async def test_pandas_and_datasets_read_it(
    filled: Journal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format_: Format,
    clusters: SqliteClusters,
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    import datasets

    path = tmp_path / f"code.{format_}"
    await export(filled, clusters, format_, Options(0.0), output=path)
    is_jsonl = format_ is Format.JSONL
    frame = pd.read_json(path, lines=True) if is_jsonl else pd.read_parquet(path)
    loaded = datasets.load_dataset(
        "json" if is_jsonl else "parquet",
        data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"),
    )  # fmt: skip
    assert list(frame.columns) == loaded.column_names == KEYS
    assert sorted(frame["content"]) == sorted(loaded["content"]) == sorted(map(text, SCORES))
    assert loaded["id"] == list(frame["id"]) == [1, 2, 3]


async def test_standard_output(
    filled: Journal, monkeypatch: pytest.MonkeyPatch, clusters: SqliteClusters
) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=stream))
    done = await export(filled, clusters, Format.JSONL, Options(), output=None)
    assert done == (None, 2, 3)
    assert len(stream.getvalue().splitlines()) == 2
    assert await filled.exports() == []
    with pytest.raises(UsageError, match="--output FILE"):
        await export(filled, clusters, Format.PARQUET, Options(), output=None)


async def test_memory_is_bounded_by_pages(
    filled: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clusters: SqliteClusters
) -> None:
    monkeypatch.setattr(exporting, "TEXT_PER_PAGE_CHARS", 1)
    monkeypatch.setattr(exporting, "FACTS_PER_PAGE", 2)
    path = tmp_path / "code.parquet"
    await export(filled, clusters, Format.PARQUET, Options(0.0), output=path)
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    assert pq.read_table(path)["id"].to_pylist() == [1, 2, 3]


async def test_the_store_and_the_sidecar_know_what_a_file_holds(
    filled: Journal, ingest: Ingest, tmp_path: Path, clusters: SqliteClusters
) -> None:
    all_of_it, best = tmp_path / "all.jsonl", tmp_path / "best.parquet"
    await export(filled, clusters, Format.JSONL, Options(0.0), output=all_of_it)
    await export(filled, clusters, Format.PARQUET, Options(0.9), output=best)
    sidecar = orjson.loads(sidecar_of(best).read_bytes())
    assert sidecar["format"] == "parquet"
    assert sidecar["watermark"] == 3
    assert sidecar["options"] == {
        "min_quality": 0.9, "duplicates": "skip", "near_duplicates": "skip", "contaminated": "skip"
    }  # fmt: skip
    exports = await filled.exports()
    [high] = sidecar["ids"]
    assert sorted(holding(exports, [high])) == [str(all_of_it), str(best)]
    assert holding(exports, [high % 3 + 1]) == [str(all_of_it)]
    assert holding(exports, [99]) == holding(exports, []) == []

    forgotten = await filled.forget_places("a/a", "high.py")
    assert forgotten.removed_ids == [high]
    assert (await update(filled, clusters, best)).rows == 0
    assert (await update(filled, clusters, all_of_it)).rows == 2
    assert holding(await filled.exports(), [high]) == []
    assert b"high" not in all_of_it.read_bytes()


async def test_a_file_of_unknown_contents_may_hold_any_row(
    filled: Journal, tmp_path: Path, clusters: SqliteClusters
) -> None:
    path = tmp_path / "code.jsonl"
    await export(filled, clusters, Format.JSONL, Options(), output=path)
    exports = await filled.exports()
    sidecar_of(path).unlink()
    assert holding(exports, [99]) == [str(path)]
    path.unlink()
    assert holding(exports, [99]) == []


async def test_an_export_that_breaks_off_leaves_the_old_file(
    filled: Journal, tmp_path: Path, clusters: SqliteClusters
) -> None:
    path = tmp_path / "code.jsonl"
    await export(filled, clusters, Format.JSONL, Options(), output=path)
    before = path.read_bytes()

    class Broken(SqliteJournal):
        async def live_by_id(self, ids: Sequence[int], *, content: bool) -> list[LiveContent]:
            assert content
            raise OSError(28, f"{os.strerror(28)} ({len(ids)} rows)")

    broken: Any = Broken(tmp_path / "codelupe.db")
    await broken.open(create=False)
    with pytest.raises(Fatal, match="No space left"):
        await export(broken, clusters, Format.JSONL, Options(), output=path)
    await broken.close()
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.glob("*code.jsonl*")} == {
        path.name,
        sidecar_of(path).name,
    }


async def test_the_part_that_a_killed_export_left_may_hold_any_row(
    filled: Journal, tmp_path: Path, clusters: SqliteClusters
) -> None:
    path, part = tmp_path / "code.jsonl", tmp_path / ".code.jsonl.part"
    await export(filled, clusters, Format.JSONL, Options(), output=path)
    part.write_text("half a line")
    assert holding(await filled.exports(), [99]) == [str(path)]
    await update(filled, clusters, path)
    assert holding(await filled.exports(), [99]) == []
    assert not part.exists()


async def test_duplicates_are_rows_of_their_own_only_when_kept(
    journal: Journal, ingest: Ingest, tmp_path: Path, clusters: SqliteClusters
) -> None:
    await ingest.complete(repo("z/z"), {"x.py": text("walrus"), "y.py": text("walrus")})
    await ingest.complete(repo("a/a", "MIT", 100), {"x.py": text("walrus"), "o.py": text("otter")})
    path = tmp_path / "code.jsonl"
    assert (await export(journal, clusters, Format.JSONL, Options(), output=path)).rows == 2
    keep = Options(duplicates=Choice.KEEP)
    assert (await export(journal, clusters, Format.JSONL, keep, output=path)).rows == 4
    assert (await update(journal, clusters, path)).rows == 4
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    walruses = [row for row in rows if row["content"] == text("walrus")]
    assert [(row["repo"], row["path"], row["commit"]) for row in walruses] == [
        ("a/a", "x.py", COMMIT.hex()), ("z/z", "x.py", None), ("z/z", "y.py", None),
    ]  # fmt: skip
    assert {row["id"] for row in walruses} == {1}
    assert sorted(orjson.loads(sidecar_of(path).read_bytes())["ids"]) == [1, 3]


async def lost(clusters: SqliteClusters, loser: str, winner: str) -> None:
    """What the consumer writes of two texts that are nearly the same."""
    holder = await clusters.claim("near_duplicates", "test", 60)
    assert holder is not None
    won = hash_of(text(winner))
    pair = [Cluster(hash_of(text(one)), won, won, 1) for one in (loser, winner)]
    assert await clusters.put(holder, pair, [], 3)


async def test_near_duplicates_that_lost_are_left_out(
    filled: Journal, clusters: SqliteClusters, tmp_path: Path
) -> None:
    path = tmp_path / "code.jsonl"
    await lost(clusters, "high.py", "edge.py")
    assert (await export(filled, clusters, Format.JSONL, Options(), output=path)).rows == 1
    assert b"edge" in path.read_bytes()
    keep = Options(near_duplicates=Choice.KEEP)
    assert (await export(filled, clusters, Format.JSONL, keep, output=path)).rows == 2
    assert (await update(filled, clusters, path)).rows == 2


async def test_pieces_of_benchmarks_are_left_out(
    journal: Journal, clusters: SqliteClusters, ingest: Ingest, tmp_path: Path
) -> None:
    visit = await ingest.begin("a/a")
    signals = {
        "copied.py": b'{"lines":6,"benchmark":"set/1"}',
        "own.py": b'{"names":["benchmark"]}',
    }
    made = [content(journal, text(path), signals=json) for path, json in signals.items()]
    listed = [occurrence(path, text(path)) for path in signals]
    await journal.append([Part(visit, COMMIT, EXAMINER, listed, {one.key: one for one in made})])
    path = tmp_path / "code.jsonl"
    assert (await export(journal, clusters, Format.JSONL, Options(), output=path)).rows == 1
    assert b"copied" not in path.read_bytes()
    keep = Options(contaminated=Choice.KEEP)
    assert (await export(journal, clusters, Format.JSONL, keep, output=path)).rows == 2
    await journal.release(visit, "incomplete", None)


async def test_an_export_from_before_there_were_choices_still_keeps_everything(
    filled: Journal, clusters: SqliteClusters, tmp_path: Path
) -> None:
    path = tmp_path / "code.jsonl"
    await lost(clusters, "high.py", "edge.py")
    before = ExportRow(str(path), "jsonl", 1, {"min_quality": 0.5, "duplicates": "skip"}, 0)
    await filled.record_export(before)
    assert (await update(filled, clusters, path)).rows == 2
    [row] = await filled.exports()
    assert row.options == {
        "min_quality": 0.5, "duplicates": "skip", "near_duplicates": "keep", "contaminated": "keep"
    }  # fmt: skip


async def test_what_cannot_be_done_is_said(
    filled: Journal, tmp_path: Path, clusters: SqliteClusters
) -> None:
    with pytest.raises(Fatal, match="cannot be written"):
        await export(
            filled, clusters, Format.JSONL, Options(), output=tmp_path / "no" / "folder.jsonl"
        )
    with pytest.raises(UsageError, match="no export"):
        await update(filled, clusters, tmp_path / "other.jsonl")
