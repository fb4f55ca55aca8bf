"""The SQL of the documents that CodeLupe began with runs as it stands, on both kinds of store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.journal.base import Journal
from tests.contract.build import Ingest, hash_of, part, text
from tests.contract.conftest import contract_database, new_place, place
from tests.contract.stores import STORES as JOURNALS
from tests.trainer.registry import build
from tests.trainer.registry.conftest import FILE, STORES
from tests.trainer.registry.sql import rows_of
from trainer.types import Progress, SessionStatus

__all__ = ["contract_database", "new_place", "place"]

TRAINING_DATA = """
    SELECT * FROM processed_files
    WHERE id > last_trained_id
      AND quality_score >= 70
      AND LENGTH(content) BETWEEN 50 AND 8000
    ORDER BY quality_score DESC
    LIMIT 100000
"""
NEW_FILES = """
SELECT COUNT(*) FROM processed_files
WHERE id > last_trained_id
  AND quality_score >= 70
"""
RUST = """
-- Query Rust code chunks
SELECT content, language, file_path, repo, inserted_at, id
FROM code_chunks
WHERE language = 'rust'
  AND LENGTH(content) >= 50
  AND file_path NOT LIKE '%test%';
"""
ELIXIR = """
-- Query Elixir code chunks
SELECT content, language, file_path, repo, inserted_at, id
FROM code_chunks
WHERE language = 'elixir'
  AND LENGTH(content) >= 50
  AND file_path NOT LIKE '%test%';
"""
PROGRESS = """
-- View training progress
SELECT epoch, step, loss, learning_rate, training_time_seconds
FROM t5_training_progress
WHERE training_session_id = 'session-id'
ORDER BY inserted_at DESC;
"""
PERFORMANCE = """
-- View model performance
SELECT version, performance_metrics, evaluation_results
FROM t5_model_versions
WHERE is_active = true;
"""
LONG = text("long") * 200

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def journal(store: str, place: Path) -> AsyncIterator[Journal]:
    opened = JOURNALS[store](place)
    await opened.open(create=True)
    yield opened
    await opened.close()


@pytest.fixture
async def ask(store: str, place: Path, journal: Journal) -> Ask:
    """What another program is told by the journal's database of five texts, one taken down."""
    ingest = Ingest(journal)
    files = {
        "src/lib.rs": text("rust"), "src/test_lib.rs": text("tested"), "long.rs": LONG,
        "lib.ex": text("elixir"), "gone.rs": text("gone"),
    }  # fmt: skip
    scores = {"src/lib.rs": 0.8, "lib.ex": 0.7, "src/test_lib.rs": 0.69}
    visit = await ingest.begin("o/n")
    for number, (path, source) in enumerate(files.items()):
        language = "Elixir" if path.endswith(".ex") else "Rust"
        score = scores.get(path, 0.9)
        one = part(journal, visit, {path: source}, language=language)
        scored = {key: content._replace(score=score) for key, content in one.contents.items()}
        await journal.append([one._replace(contents=scored)])
        assert await journal.last_id() == number + 1
    await journal.forget_places("o/n", "gone.rs")
    return lambda statement: rows_of(store, place, "journal.db", statement)


def after(statement: str, last_trained_id: int) -> str:
    return statement.replace("last_trained_id", str(last_trained_id))


def test_rows_to_train_on(ask: Ask) -> None:
    assert [row[:3] for row in ask(after(TRAINING_DATA, 0))] == [
        (1, "src/lib.rs", text("rust")),
        (4, "lib.ex", text("elixir")),
    ]
    assert [row[0] for row in ask(after(TRAINING_DATA, 1))] == [4]
    assert ask(after(NEW_FILES, 0)) == [(3,)]
    assert ask(after(NEW_FILES, 3)) == [(1,)]


def test_code_chunks(ask: Ask) -> None:
    rust, elixir = sorted(ask(RUST), key=lambda row: row[5]), ask(ELIXIR)
    assert [(*row[:4], row[5]) for row in rust] == [
        (text("rust"), "rust", "src/lib.rs", "o/n", 1), (LONG, "rust", "long.rs", "o/n", 3)
    ]  # fmt: skip
    assert [(*row[:4], row[5]) for row in elixir] == [
        (text("elixir"), "elixir", "lib.ex", "o/n", 4)
    ]
    ages = [(datetime.now(UTC) - moment(row[4])).total_seconds() for row in rust + elixir]
    assert all(-60 < age < 600 for age in ages)


def moment(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value


async def test_what_training_left(store: str, place: Path) -> None:
    registry = STORES[store](place)
    await registry.open()
    done = await build.rounds(registry)
    taken = [build.row(1, "a")]
    await registry.begin(done.holder, build.manifest("session-id", taken), {})
    told = [Progress(1, 9, 0.1, 2.5, learning_rate=1e-4, seconds=1.5), Progress(2, 9, 0.2, 2.25)]
    await registry.add_progress("session-id", told[:1])
    await registry.add_progress("session-id", told[1:])
    made = build.version("session-id", "v1")
    await registry.finish(done.holder, "session-id", SessionStatus.COMPLETED, version=made)
    await done.end(status=SessionStatus.NOT_PROMOTED, made="v2")
    await registry.close()

    assert rows_of(store, place, FILE, PROGRESS) == [
        (0.2, 2, 2.25, 0.0, 0.0), (0.1, 1, 2.5, 1e-4, 1.5)
    ]  # fmt: skip
    assert rows_of(store, place, FILE, PERFORMANCE) == [
        ("v1", '{"steps":9,"seconds":1.5}', '{"validation loss":2.25}')
    ]
    example = "select content_hash, file_path, training_session_id, id from t5_training_examples"
    assert rows_of(store, place, FILE, example) == [
        (hash_of("a").hex(), taken[0].path, "session-id", "session-id:0")
    ]
    named = "select name, status from t5_training_sessions order by inserted_at"
    assert rows_of(store, place, FILE, named)[0] == ("demo: journal 1 to 100", "completed")
