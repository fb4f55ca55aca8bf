"""Short words for candidates, and one small corpus in whatever a source reads."""

from __future__ import annotations

import gzip
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import zstandard

from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import Cluster, ClusterStore
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.postgres import PostgresJournal
from codelupe_daemon.journal.postgres_clusters import PostgresClusters
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from tests.consume.following import catch_up
from tests.contract.build import LEASE_S, Ingest, hash_of
from trainer.intake.base import Source
from trainer.intake.elasticsearch import ElasticsearchSource
from trainer.intake.files import FileSource
from trainer.intake.journal import CLUSTERS, JournalSource
from trainer.intake.table import Postgres, Sqlite, TableSource
from trainer.profile import Profile
from trainer.types import Candidate, Side, Taken

NOW = 1_700_000_000
SCORE = 80.0
"""What every source is told of every text of the corpus."""


def candidate(row_id: int, **facts: Any) -> Candidate:
    """A row that passes."""
    word = facts.pop("word", f"row{row_id}")
    return Candidate(
        row_id, blake2b(word.encode(), digest_size=16).digest(), True, True, 1000, "Python", 90.0,
        "MIT", facts.pop("repo", "a/a"), f"{word}.py", NOW,
    )._replace(**facts)  # fmt: skip


def taken(row_id: int, **facts: Any) -> Taken:
    row = candidate(row_id, **facts)
    return Taken(
        row.id, row.content_hash, row.repo, row.path, row.language, row.license, row.quality,
        row.chars, row.created_at, Side.TRAIN,
    )  # fmt: skip


def profile(**data: Any) -> Profile:
    """Everything that passes is trained on, unless `data` says otherwise."""
    plain = {"validation_share": 0.0, "min_validation_repos": 99, "holdout_share": 0.0}
    model = {"name": "tiny", "max_length": 128}
    return Profile.model_validate({"name": "tiny", "model": model, "data": plain | data})


Files = Mapping[str, Mapping[str, str]]
"""Repository -> path -> text."""


class Corpus(ABC):
    """Rows of one kind of source. `source` is opened and closed by its user."""

    source: Source

    @abstractmethod
    async def add(self, files: Files) -> None:
        """As further rows, and as far as the source's head."""

    async def take_down(self, text: str) -> None:
        raise NotImplementedError

    @abstractmethod
    async def close(self) -> None:
        """Whatever was opened to write."""


class InJournal(Corpus):
    def __init__(self, journal: Journal, clusters: ClusterStore, source: Source) -> None:
        self.journal, self.clusters, self.source = journal, clusters, source
        self.ingest = Ingest(journal)
        self._files: dict[str, dict[str, str]] = {}

    @classmethod
    async def sqlite(cls, folder: Path) -> InJournal:
        path = folder / "codelupe.db"
        made = cls(
            SqliteJournal(path), SqliteClusters(path),
            JournalSource(SqliteJournal(path), SqliteClusters(path)),
        )  # fmt: skip
        await made.journal.open(create=True)
        await made.clusters.open()
        return made

    @classmethod
    async def postgres(cls, url: str) -> InJournal:
        journal, reader = PostgresJournal(url), PostgresJournal(url)
        made = cls(
            journal, PostgresClusters(journal.server),
            JournalSource(reader, PostgresClusters(reader.server)),
        )  # fmt: skip
        await made.journal.open(create=True)
        return made

    async def close(self) -> None:
        await self.clusters.close()
        await self.journal.close()

    async def add(self, files: Files) -> None:
        for repo, paths in files.items():
            known = self._files.setdefault(repo, {})
            known |= paths
            await self.ingest.complete(repo, known)
        await self.put_clusters()

    async def put_clusters(self, *rows: Cluster, watermark: int | None = None) -> None:
        holder = await self.clusters.claim(CLUSTERS, this_process(), LEASE_S)
        assert holder is not None
        to_id = await self.journal.last_id() if watermark is None else watermark
        assert await self.clusters.put(holder, rows, [], to_id)
        await self.clusters.release(holder)

    async def take_down(self, text: str) -> None:
        await self.journal.forget_content(hash_of(text))
        await self.put_clusters()


class InElasticsearch(InJournal):
    """The index beside an embedded journal."""

    consumer: ElasticsearchIndex

    @classmethod
    async def following(cls, folder: Path, url: str) -> InElasticsearch:
        made = await cls.sqlite(folder)
        assert isinstance(made, InElasticsearch)
        made.source = ElasticsearchSource(url, journal=SqliteJournal(folder / "codelupe.db"))
        made.consumer = ElasticsearchIndex(made.clusters, made.journal, url)
        await made.consumer.open()
        return made

    async def put_clusters(self, *rows: Cluster, watermark: int | None = None) -> None:
        await super().put_clusters(*rows, watermark=watermark)
        await catch_up(self.journal, self.consumer)

    async def close(self) -> None:
        await self.consumer.close()
        await super().close()


TABLE = """create table processed_files (
    id {id} primary key, file_path text, content text, language text, quality_score real,
    created_at {time} default current_timestamp
)"""
INSERT = "insert into processed_files (file_path, content, language, quality_score) values "


class InSqliteTable(Corpus):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "first.db"
        self.cx = sqlite3.connect(self.path)
        self.cx.execute("pragma journal_mode = wal")
        self.cx.execute(TABLE.format(id="integer", time="text"))
        self.source = TableSource(Sqlite(self.path))

    async def close(self) -> None:
        self.cx.close()

    async def add(self, files: Files) -> None:
        self.cx.executemany(f"{INSERT} (?, ?, ?, ?)", _table_rows(files))
        self.cx.commit()

    async def take_down(self, text: str) -> None:
        self.cx.execute("delete from processed_files where content = ?", (text,))
        self.cx.commit()


class InPostgresTable(Corpus):
    def __init__(self, url: str, cx: asyncpg.Connection[Any]) -> None:
        self.url, self.cx = url, cx
        self.source = TableSource(Postgres(url, settle_s=0.0))

    @classmethod
    async def made(cls, url: str) -> InPostgresTable:
        cx = await asyncpg.connect(url)
        await cx.execute(TABLE.format(id="bigserial", time="timestamptz"))
        return cls(url, cx)

    async def close(self) -> None:
        await self.cx.close()

    async def add(self, files: Files) -> None:
        await self.cx.executemany(f"{INSERT} ($1, $2, $3, $4)", _table_rows(files))

    async def take_down(self, text: str) -> None:
        await self.cx.execute("delete from processed_files where content = $1", text)


def _table_rows(files: Files) -> list[tuple[str, str, str, float]]:
    return [
        (f"/app/repos/{repo}/{path}", text, "Python", SCORE)
        for repo, paths in files.items()
        for path, text in paths.items()
    ]


class InFile(Corpus):
    """Written whole before its source is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = FileSource(path)

    async def close(self) -> None: ...

    async def add(self, files: Files) -> None:
        rows = [
            {
                "path": path, "repo": repo, "language": "Python", "content": text,
                "quality_score": SCORE / 100,
            }
            for repo, paths in files.items()
            for path, text in paths.items()
        ]  # fmt: skip
        write(self.path, rows)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """As its name says."""
    lines = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    match path.suffix:
        case ".parquet":
            import pyarrow as pa
            from pyarrow.parquet import write_table

            schema = None if rows else pa.schema([("content", pa.string())])
            table = pa.Table.from_pylist(list(rows), schema=schema)
            write_table(table, str(path), row_group_size=2)
        case ".gz":
            path.write_bytes(gzip.compress(lines))
        case ".zst":
            path.write_bytes(zstandard.compress(lines))
        case _:
            path.write_bytes(lines)
    return path


async def all_rows(source: Source, after_id: int = 0, to_id: int | None = None) -> list[Candidate]:
    to_id = await source.head() if to_id is None else to_id
    return [row async for page in source.rows(after_id, to_id) for row in page]
