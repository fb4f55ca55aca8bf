"""Rows of a file of the user's own: JSON Lines, also packed by gzip or zstd, or Parquet.

A row has its text in `content` or `text`; `path`, `repo`, `language`, `license` and
`quality_score` (0..1; more is of 100; none is the best) are taken where they are there, as
`codelupe export` writes them. Its id is its number in the file, from 1 on.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import tempfile
import zlib
from array import array
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

import orjson
import zstandard

from codelupe_daemon.errors import Fatal
from trainer.intake.texts import (
    PAGE_BYTES,
    PAGE_ROWS,
    TextRow,
    TextSource,
    named,
    place_of,
    readable,
)

TEXT_COLUMNS: Final = ("content", "text")
_COLUMNS: Final = (
    *TEXT_COLUMNS, "path", "file_path", "repo", "language", "license", "quality_score",
)  # fmt: skip


class FileSource(TextSource):
    """The file is read as it was when it was opened; what is no plain JSON Lines is unpacked into
    a temporary file first."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path.absolute()
        self.name = f"file:{self._path}"
        self._file: IO[bytes] | None = None
        self._starts = array("q")
        self._changed_at = 0

    async def open(self) -> None:
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        with ExitStack() as opened:
            try:
                self._changed_at = int(self._path.stat().st_mtime)
                file: IO[bytes] = opened.enter_context(self._path.open("rb"))
                if (unpack := _packed(file)) is not None:
                    lines = opened.enter_context(tempfile.TemporaryFile())
                    unpack(file, lines)
                    file.close()
                    file = lines
                file.seek(0)
                self._starts = _starts(file)
            except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
                raise Fatal(f"{self._path} cannot be read: {error}") from error
            opened.pop_all()
            self._file = file

    async def close(self) -> None:
        await super().close()
        if self._file is not None:
            self._file.close()

    async def head(self) -> int:
        return len(self._starts) - 1

    async def _page(self, after_id: int, to_id: int) -> list[TextRow]:
        last = min(to_id, len(self._starts) - 1, after_id + PAGE_ROWS)
        while last > after_id + 1 and self._starts[last] - self._starts[after_id] > PAGE_BYTES:
            last -= 1
        ids = range(after_id + 1, last + 1)
        return await asyncio.to_thread(lambda: [self._row(row_id) for row_id in ids])

    async def _read(self, ids: Sequence[int]) -> list[str | None]:
        return await asyncio.to_thread(lambda: [self._row(row_id).text for row_id in ids])

    def _row(self, row_id: int) -> TextRow:
        assert self._file is not None, "open() comes first"
        start, end = self._starts[row_id - 1], self._starts[row_id]
        line = os.pread(self._file.fileno(), end - start, start)
        fields = _fields(line.removeprefix(BOM_UTF8))
        wrong = _wrong(fields)
        if fields is None or wrong:
            raise Fatal(f"{self._path}, row {row_id}: {wrong}; correct it or leave it out")
        path = named(fields.get("path") or fields.get("file_path")) or f"{row_id}"
        repo = named(fields.get("repo"))
        if repo is None:
            repo, path = place_of(path, self._path.stem)
        quality = fields.get("quality_score")
        quality = 100.0 if quality is None else 100 * quality if quality <= 1 else quality
        text = next(fields[name] for name in TEXT_COLUMNS if fields.get(name) is not None)
        return TextRow(
            row_id, readable(text), repo, path, named(fields.get("language")),
            named(fields.get("license")), round(float(quality), 1), self._changed_at,
        )  # fmt: skip


def _fields(line: bytes) -> Mapping[str, Any] | None:
    """None for what is no JSON object. A blank line is an empty text."""
    if not line.strip():
        return {"text": ""}
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:  # also an unpaired surrogate, which json takes
        try:
            found = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _wrong(fields: Mapping[str, Any] | None) -> str | None:
    if fields is None:
        return "no JSON object"
    if all(fields.get(name) is None for name in TEXT_COLUMNS):
        return f"no text: it needs {' or '.join(TEXT_COLUMNS)}"
    for name in _COLUMNS:
        kind, said = (int | float, "number") if name == "quality_score" else (str, "text")
        if not isinstance(fields.get(name), kind | None):
            return f"{name} is no {said}"
    return None


def _packed(file: IO[bytes]) -> Callable[[IO[bytes], IO[bytes]], None] | None:
    """What writes it as JSON Lines, if it is something else."""
    head = file.read(4)
    file.seek(0)
    packed = {b"PAR1": _from_parquet, b"\x28\xb5\x2f\xfd": _from_zstd}
    return _from_gzip if head.startswith(b"\x1f\x8b") else packed.get(head)


def _from_gzip(file: IO[bytes], lines: IO[bytes]) -> None:
    with gzip.open(file) as unpacked:
        shutil.copyfileobj(unpacked, lines)


def _from_zstd(file: IO[bytes], lines: IO[bytes]) -> None:
    shutil.copyfileobj(
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True), lines
    )


def _from_parquet(file: IO[bytes], lines: IO[bytes]) -> None:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(file)
        names = table.schema_arrow.names
        if not {*names} & {*TEXT_COLUMNS}:
            raise Fatal(
                f"{file.name} has no text: it needs a column {' or '.join(TEXT_COLUMNS)}, and has"
                f" {', '.join(names)}"
            )
        for batch in table.iter_batches(64, columns=[name for name in _COLUMNS if name in names]):
            rows = (json.dumps(row, default=_plain).encode() for row in batch.to_pylist())
            lines.writelines(row + b"\n" for row in rows)
    except (ArrowException, UnicodeDecodeError) as error:
        raise Fatal(f"{file.name} is no sound Parquet file: {error}") from error


def _plain(value: Any) -> str:
    """Texts may lie as bytes; what is neither they nor a number is refused by its column."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _starts(file: IO[bytes]) -> array[int]:
    """Where each line begins, and where the last one ends. Blank lines count as rows."""
    starts = array("q", [0])
    size_bytes = 0
    for line in file:
        size_bytes += len(line)
        starts.append(size_bytes)
    return starts
