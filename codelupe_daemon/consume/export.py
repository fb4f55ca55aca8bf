"""Live contents to JSON Lines or Parquet, for `datasets`, pandas and whoever else reads files.

A file is written beside its place and moved there when it is whole. Its sidecar
`FILE.codelupe.json` names the rows it holds, so that a takedown can find it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import orjson

from codelupe_daemon.errors import Fatal, UsageError
from codelupe_daemon.journal.base import ExportRow, Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.model import LiveContent, Place, by_chars

FACTS_PER_PAGE = 2000
TEXT_PER_PAGE_CHARS = 8 << 20
PLACES_MAX = 1000
"""Rows for one content, where duplicates are kept."""
SIDECAR_SUFFIX = ".codelupe.json"
COLUMNS = (
    "id", "repo", "path", "language", "quality_score", "license", "content", "content_hash",
    "commit",
)  # fmt: skip
_TOLERANCE = 1e-6  # a hundredfold decimal is not the decimal


class Format(StrEnum):
    """What an export is written as."""

    JSONL = "jsonl"
    PARQUET = "parquet"


class Choice(StrEnum):
    """What becomes of one kind of texts."""

    KEEP = "keep"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Options:
    """What an export holds; recorded with it. `min_quality` is 0..1."""

    min_quality: float = 0.7
    duplicates: Choice = Choice.SKIP
    """Of a text that stands in several places: a row for each, or only its best place.

    Commit and license are recorded of the best place only: null elsewhere.
    """
    near_duplicates: Choice = Choice.SKIP
    """Texts of which another place has a better one that is nearly the same."""
    contaminated: Choice = Choice.SKIP
    """Texts that hold a piece of a public benchmark."""


class Exported(NamedTuple):
    """What was written; `path` is None for standard output."""

    path: Path | None
    rows: int
    watermark: int


class _Source(NamedTuple):
    """Where rows come from, and which of them pass."""

    journal: Journal
    clusters: ClusterStore
    options: Options


class _Writer(Protocol):
    def write(self, rows: Sequence[LiveContent]) -> None: ...

    def close(self) -> None: ...


async def export(
    journal: Journal,
    clusters: ClusterStore,
    format_: Format,
    options: Options,
    *,
    output: Path | None,
) -> Exported:
    """Write all live contents that pass; `output` None is standard output (JSON Lines only).

    Raises `UsageError` for Parquet to standard output, `Fatal` where the file cannot be written.
    """
    if output is not None:
        return await _to_file(_Source(journal, clusters, options), format_, output.absolute())
    if format_ is not Format.JSONL:
        raise UsageError("Parquet needs a file: name it with --output FILE")
    watermark = await journal.last_id()
    source = _Source(journal, clusters, options)
    _, rows = await _write(source, _Jsonl(sys.stdout.buffer), watermark)
    sys.stdout.buffer.flush()
    return Exported(None, rows, watermark)


async def update(journal: Journal, clusters: ClusterStore, path: Path) -> Exported:
    """Run an export again as it was recorded. Raises `UsageError` where there is none."""
    for row in await journal.exports():
        if row.path == str(path.absolute()):
            options = _recorded(row.options)
            output = Path(row.path)
            return await export(journal, clusters, Format(row.format), options, output=output)
    raise UsageError(f"no export to {path} is known: `codelupe export --output {path}` makes one")


def _recorded(options: Mapping[str, Any]) -> Options:
    """What is not recorded was no choice yet when the export was made: it kept everything."""
    names = ("duplicates", "near_duplicates", "contaminated")
    choices = (Choice(options.get(name, Choice.KEEP)) for name in names)
    return Options(options["min_quality"], *choices)


def holding(exports: Iterable[ExportRow], ids: Iterable[int]) -> list[str]:
    """Paths of the exports that hold one of these rows; one whose sidecar is gone may hold any."""
    wanted = set(ids)
    return [row.path for row in exports if _holds(row, wanted)]


def _holds(row: ExportRow, ids: set[int]) -> bool:
    path = Path(row.path)
    if not ids or not (path.exists() or _part_of(path).exists()):
        return False
    try:
        sidecar = orjson.loads(sidecar_of(path).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return True
    return _part_of(path).exists() or not ids.isdisjoint(sidecar["ids"])


def sidecar_of(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR_SUFFIX)


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


async def _to_file(source: _Source, format_: Format, path: Path) -> Exported:
    """Recorded before the first row is read: a takedown beside it knows of the file."""
    watermark, part = await source.journal.last_id(), _part_of(path)
    now, options = int(time.time()), asdict(source.options)
    await source.journal.record_export(ExportRow(str(path), format_, watermark, options, now))
    with _explained(path):
        writer: _Writer = _Jsonl(part.open("wb")) if format_ is Format.JSONL else _Parquet(part)
        with _removed_on_error(part), closing(writer):
            ids, rows = await _write(source, writer, watermark)
        sidecar = {"format": format_, "watermark": watermark, "options": options}
        _publish(path, orjson.dumps(sidecar | {"ids": ids}))
    return Exported(path, rows, watermark)


def _publish(path: Path, sidecar: bytes) -> None:
    """A file without a sidecar may hold anything, so a crash in between hides no row."""
    part = _part_of(path)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    sidecar_of(path).unlink(missing_ok=True)
    part.replace(path)
    temporary = _part_of(sidecar_of(path))
    temporary.write_bytes(sidecar)
    temporary.replace(sidecar_of(path))


@contextmanager
def _removed_on_error(part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        part.unlink()
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Fatal(f"{path} cannot be written: {error.strerror}") from error


async def _write(source: _Source, writer: _Writer, watermark: int) -> tuple[list[int], int]:
    """Stream the rows; the ids of their contents, and how many rows they are."""
    written: list[int] = []
    count = 0
    async for ids in _pages(source, watermark):
        rows = sorted(await source.journal.live_by_id(ids, content=True))
        written += (row.id for row in rows)
        if source.options.duplicates is Choice.KEEP:
            rows = [place for row in rows for place in await _everywhere(source.journal, row)]
        for part in by_chars(rows, _chars_of, TEXT_PER_PAGE_CHARS):  # a writer copies every text
            await asyncio.to_thread(writer.write, part)
        count += len(rows)
    return written, count


async def _everywhere(journal: Journal, row: LiveContent) -> list[LiveContent]:
    """The content at each of its places, the best one first; all share one text in memory."""
    places = await journal.occurrences(row.content_hash, PLACES_MAX)
    others = [Place(at.repo_id, at.repo, at.occurrence.path, None, None) for at in places]
    best = (row.place.repo_id, row.place.path)
    return [row] + [
        row._replace(place=other, license=None)
        for other in others
        if (other.repo_id, other.path) != best
    ]


def _chars_of(row: LiveContent) -> int:
    return row.content_chars


async def _pages(source: _Source, watermark: int) -> AsyncIterator[list[int]]:
    """Ids of what passes, as many at a time as their texts allow to hold in memory."""
    page: list[int] = []
    chars = after = 0
    while facts := await source.journal.live(after, FACTS_PER_PAGE, content=False):
        after = facts[-1].id
        for row in await _passing(source, [row for row in facts if row.id <= watermark]):
            if page and chars + row.content_chars > TEXT_PER_PAGE_CHARS:
                yield page
                page, chars = [], 0
            page.append(row.id)
            chars += row.content_chars
    if page:
        yield page


async def _passing(source: _Source, rows: Sequence[LiveContent]) -> list[LiveContent]:
    options = source.options
    least = 100 * options.min_quality - _TOLERANCE
    passing = [row for row in rows if row.quality >= least]
    if options.contaminated is Choice.SKIP:
        passing = [row for row in passing if not _is_contaminated(row.signals)]
    if options.near_duplicates is Choice.SKIP:
        clusters = await source.clusters.clusters_of([row.content_hash for row in passing])
        losers = {one.content_hash for one in clusters.values() if one.winner != one.content_hash}
        passing = [row for row in passing if row.content_hash not in losers]
    return passing


def _is_contaminated(signals: bytes) -> bool:
    return b'"benchmark":' in signals and "benchmark" in orjson.loads(signals)


def _row(content: LiveContent) -> dict[str, Any]:
    place = content.place
    return {
        "id": content.id,
        "repo": place.repo,
        "path": place.path,
        "language": content.language,
        "quality_score": round(content.quality / 100, 3),
        "license": content.license,
        "content": content.content,
        "content_hash": content.content_hash.hex(),
        "commit": place.commit.hex() if place.commit else None,
    }


class _Jsonl:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, rows: Sequence[LiveContent]) -> None:
        for row in rows:
            self._file.write(orjson.dumps(_row(row), option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """A page of rows is a row group."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        types = {"id": pa.int64(), "quality_score": pa.float64()}
        self._schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
        self._writer = ParquetWriter(str(path), self._schema, compression="zstd")
        self._batch = pa.RecordBatch

    def write(self, rows: Sequence[LiveContent]) -> None:
        batch = self._batch.from_pylist(list(map(_row, rows)), schema=self._schema)
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()
