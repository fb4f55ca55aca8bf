"""Files of the user's own: what is taken as it is, and what is refused and how."""

from __future__ import annotations

import codecs
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from codelupe_daemon.consume.export import Choice, Format, Options, export
from codelupe_daemon.errors import Fatal
from tests.contract.build import hash_of, text
from tests.trainer.intake.build import InJournal, all_rows, profile, write
from tests.trainer.intake.test_freeze import trained
from trainer.intake.files import FileSource
from trainer.intake.freeze import pending
from trainer.registry.base import Registry
from trainer.types import Candidate

ANT = text("ant")
T = TypeVar("T")


async def read(path: Path) -> list[Candidate]:
    source = FileSource(path)
    try:
        await source.open()
        rows = await all_rows(source)
        assert await source.head() == len(rows)
        return rows
    finally:
        await source.close()


@pytest.mark.parametrize(
    ("row", "quality"),
    [
        ({"quality_score": 0.712}, 71.2), ({"quality_score": 71.2}, 71.2),
        ({"quality_score": 1}, 100.0), ({"quality_score": None}, 100.0), ({}, 100.0),
    ],
)  # fmt: skip
async def test_quality_may_be_of_one_or_of_a_hundred(
    tmp_path: Path, row: dict[str, Any], quality: float
) -> None:
    [found] = await read(write(tmp_path / "a.jsonl", [{"text": ANT} | row]))
    assert (found.quality, found.content_hash) == (quality, hash_of(ANT))


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"repo": "a/b", "path": "c/d/e.py"}, ("a/b", "c/d/e.py")),
        ({"file_path": "c/d/e.py"}, ("c/d", "e.py")),
        ({"path": "e.py"}, ("mine", "e.py")),
        ({}, ("mine", "1")),
    ],
)
async def test_where_a_row_stands(
    tmp_path: Path, row: dict[str, Any], place: tuple[str, str]
) -> None:
    path = write(tmp_path / "mine.jsonl", [{"content": ANT} | row])
    os.utime(path, (1_700_000_000, 1_700_000_000))
    [found] = await read(path)
    assert (found.repo, found.path, found.created_at) == (*place, 1_700_000_000)


@pytest.mark.parametrize("format_", list(Format))
async def test_what_export_writes(tmp_path: Path, format_: Format) -> None:
    corpus = await InJournal.sqlite(tmp_path)
    await corpus.add({"a/a": {"ant.py": ANT}, "b/b": {"bee.py": text("bee")}})
    path = tmp_path / f"export.{format_}"
    options = Options(near_duplicates=Choice.KEEP)
    await export(corpus.journal, corpus.clusters, format_, options, output=path)
    await corpus.source.open()
    same = await all_rows(corpus.source)
    await corpus.source.close()
    await corpus.close()
    assert [row._replace(created_at=0) for row in await read(path)] == [
        row._replace(created_at=0) for row in same
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
async def test_odd_texts_end_as_facts(tmp_path: Path, name: str) -> None:
    lines = [
        b'{"content": ""}', b'{"content": "a\\u0000b"}', b'{"content": "\\ud800 = 1"}',
        b'{"content": "caf\xe9"}', b" ", b'{"content": "' + b"x" * 10_000_000 + b'"}',
    ]  # fmt: skip
    path = write(tmp_path / name, [])
    whole = b"\n".join(lines)  # without a line end at the end
    if name.endswith("jsonl"):
        path.write_bytes(whole)
    else:
        _pack(path, whole)
    rows = await read(path)
    facts = [(row.chars, row.is_live) for row in rows]
    assert facts == [(0, True), (0, False), (5, True), (4, True), (0, True), (10_000_000, True)]


def _pack(path: Path, whole: bytes) -> None:
    import gzip

    import zstandard

    pack = gzip.compress if path.suffix == ".gz" else zstandard.compress
    path.write_bytes(pack(whole))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "no JSON object"),
        (b'["a"]', "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"path": "a.py"}', "no text: it needs content or text"),
        (b'{"content": 5}', "content is no text"),
        (b'{"content": "a", "repo": ["b"]}', "repo is no text"),
        (b'{"content": "a", "quality_score": "good"}', "quality_score is no number"),
    ],
    ids=["broken", "list", "deep", "no text", "number", "odd repo", "odd quality"],
)
async def test_a_bad_line_is_named(tmp_path: Path, line: bytes, why: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"content": "a"}\n' + line + b"\n")
    with pytest.raises(Fatal, match=f"bad.jsonl, row 2: {why}"):
        await read(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.gz", "a.zst"])
async def test_a_broken_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [{"content": ANT * 50}] * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Fatal, match=f"{name}(, row .* no JSON| cannot be read| is no sound)"):
        await read(path)


async def test_a_file_may_grow_and_not_be_written_anew(tmp_path: Path, registry: Registry) -> None:
    ant, bee, cat = ({"content": text(word)} for word in ("ant", "bee", "cat"))
    path, plan = tmp_path / "a.jsonl", profile(replay_share=0.0)

    async def with_rows(work: Callable[[FileSource], Awaitable[T]], *rows: dict[str, str]) -> T:
        source = FileSource(write(path, rows))
        await source.open()
        try:
            return await work(source)
        finally:
            await source.close()

    for number, rows in enumerate(([ant, bee], [ant, bee, cat])):
        manifest = await with_rows(
            partial(trained, registry=registry, plan=plan, number=number), *rows
        )
        assert manifest.to_id == len(rows)
    assert [row.id for row in manifest.taken] == [3]
    for rows in ([bee, cat, ant], [ant, bee]):
        with pytest.raises(Fatal, match=r"row 3 of file:.*a\.jsonl is not the one.*another name"):
            await with_rows(lambda of: pending(of, registry, plan), *rows)


async def test_parquet_with_texts_as_bytes(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    path = tmp_path / "a.parquet"
    write_table(pa.table({"content": [ANT.encode()]}), str(path))
    assert [row.content_hash for row in await read(path)] == [hash_of(ANT)]


async def test_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"content": ANT}])
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert [row.content_hash for row in await read(path)] == [hash_of(ANT)]


async def test_parquet_without_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [{"code": ANT, "path": "a.py"}])
    with pytest.raises(Fatal, match="needs a column content or text, and has code, path"):
        await read(path)


async def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"none\.jsonl cannot be read"):
        await read(tmp_path / "none.jsonl")
