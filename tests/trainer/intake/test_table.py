"""A database with nothing but `processed_files`: late commits, odd rows, another shape."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from codelupe_daemon.errors import Fatal
from tests.contract.build import hash_of, text
from tests.trainer.intake.build import (
    INSERT,
    InJournal,
    InPostgresTable,
    InSqliteTable,
    all_rows,
)
from trainer.intake.table import Postgres, Sqlite, TableSource
from trainer.intake.texts import place_of

ANT, BEE = text("ant"), text("bee")


@pytest.fixture
async def served(postgres_url: str) -> AsyncIterator[InPostgresTable]:
    made = await InPostgresTable.made(postgres_url)
    await made.source.open()
    yield made
    await made.source.close()
    await made.close()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[InSqliteTable]:
    made = InSqliteTable(tmp_path)
    await made.source.open()
    yield made
    await made.source.close()
    await made.close()


async def test_what_commits_late_is_waited_for(served: InPostgresTable) -> None:
    await served.add({"a/a": {"first.py": ANT}})
    assert await served.source.head() == 1
    late = await asyncpg.connect(served.url)
    async with late.transaction():
        await late.execute(f"{INSERT} ('late.py', $1, 'Python', 80)", BEE)
        await served.add({"a/a": {"third.py": text("cat")}})
        assert await served.source.head() == 1  # 3 is visible, 2 is not
        assert await served.source.head() == 1
    assert await served.source.head() == 3
    assert [row.id for row in await all_rows(served.source, 1, 3)] == [2, 3]
    await late.close()


async def test_what_is_under_way_and_younger_than_all_that_ended(served: InPostgresTable) -> None:
    """The one that ended began before the other, and took its last id after it."""
    late = await asyncpg.connect(served.url)
    async with served.cx.transaction():
        await served.add({"a/a": {"first.py": ANT}})
        under_way = late.transaction()
        await under_way.start()
        await late.execute(f"{INSERT} ('late.py', $1, 'Python', 80)", BEE)
        await served.add({"a/a": {"third.py": text("cat")}})
    assert await served.source.head() == 0
    await under_way.commit()
    assert await served.source.head() == 3
    await late.close()


async def test_an_id_that_was_taken_before_anything_was_written(
    served: InPostgresTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction gets a number of its own only as it writes: while the ids settle."""
    await served.add({"a/a": {"first.py": ANT}})  # takes numbers of the sequence in advance
    late = await asyncpg.connect(served.url)
    under_way = late.transaction()
    await under_way.start()
    assert await late.fetchval("select nextval('processed_files_id_seq')") == 2
    await served.add({"a/a": {"third.py": text("cat")}})

    async def written(_: float) -> None:
        monkeypatch.undo()
        columns = INSERT.replace("(file_path", "(id, file_path")
        await late.execute(f"{columns} (2, 'late.py', $1, 'Python', 80)", BEE)

    monkeypatch.setattr(asyncio, "sleep", written)
    assert await served.source.head() == 0
    await under_way.commit()
    assert await served.source.head() == 3
    await late.close()


async def test_a_process_that_begins_while_others_write_finds_its_texts(
    served: InPostgresTable,
) -> None:
    """After a crash; that its head is not known yet does not matter to a round that is open."""
    await served.add({"a/a": {"first.py": ANT}})
    late = await asyncpg.connect(served.url)
    async with late.transaction():
        await late.execute(f"{INSERT} ('late.py', $1, 'Python', 80)", BEE)
        assert await served.source.head() == 0
        assert await served.source.texts([hash_of(ANT)]) == {hash_of(ANT): ANT}
    await late.close()


async def test_ids_that_are_small_integers(served: InPostgresTable) -> None:
    await served.cx.execute("alter table processed_files alter id type integer")
    await served.add({"a/a": {"1.py": ANT}})
    assert await served.source.texts([hash_of(ANT)]) == {hash_of(ANT): ANT}
    assert [row.id for row in await all_rows(served.source)] == [1]


async def test_codelupes_own_view_of_that_name(tmp_path: Path) -> None:
    corpus = await InJournal.sqlite(tmp_path)
    await corpus.add({"a/a": {"ant.py": ANT}})
    source = TableSource(Sqlite(tmp_path / "codelupe.db"))
    await source.open()
    assert [row.content_hash for row in await all_rows(source)] == [hash_of(ANT)]
    assert await source.texts([hash_of(ANT)]) == {hash_of(ANT): ANT}
    await source.close()
    await corpus.source.close()
    await corpus.close()


async def test_ids_beyond_what_a_double_holds(served: InPostgresTable) -> None:
    big = (1 << 53) + 1
    await served.cx.execute(f"alter sequence processed_files_id_seq restart {big}")
    await served.add({"a/a": {"1.py": ANT, "2.py": BEE}})
    assert await served.source.head() == big + 1
    assert [row.id for row in await all_rows(served.source)] == [big, big + 1]
    assert await served.source.texts([hash_of(BEE)]) == {hash_of(BEE): BEE}


ODD: list[tuple[Any, int, bool]] = [
    ("", 0, True), (None, 0, False), ("a\0b", 0, False), (b"\xed\xa0\x80 = 1", 7, True),
    (b"caf\xe9", 4, True), ("x" * 10_000_000, 10_000_000, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "chars", "is_live"), ODD,
    ids=["empty", "null", "nul", "surrogate", "latin", "one line of 10 MB"],
)  # fmt: skip
async def test_odd_texts(embedded: InSqliteTable, raw: Any, chars: int, is_live: bool) -> None:
    kind = "cast(? as text)" if isinstance(raw, bytes) else "?"
    statement = INSERT.replace("file_path, content", "content, file_path")
    embedded.cx.execute(f"{statement} ({kind}, 'a/b/c.py', 'Python', 80)", (raw,))
    embedded.cx.commit()
    await embedded.add({"a/a": {"good.py": ANT}})
    odd, good = await all_rows(embedded.source)
    assert (odd.chars, odd.is_live) == (chars, is_live)
    assert good.content_hash == hash_of(ANT)
    alive = {odd.content_hash} if is_live else set()
    assert await embedded.source.alive([odd.content_hash]) == alive


async def test_missing_facts_are_none(embedded: InSqliteTable) -> None:
    embedded.cx.execute("insert into processed_files (content) values (?)", (ANT,))
    embedded.cx.commit()
    [row] = await all_rows(embedded.source)
    assert (row.repo, row.path, row.language, row.quality) == ("processed_files", "1", None, 0.0)


async def test_a_text_that_was_changed_is_gone(embedded: InSqliteTable) -> None:
    await embedded.add({"a/a": {"1.py": ANT, "2.py": BEE}})
    assert len(await all_rows(embedded.source)) == 2
    embedded.cx.execute("update processed_files set content = 'other' where id = 1")
    embedded.cx.commit()
    asked = [hash_of(ANT), hash_of(BEE)]
    assert await embedded.source.texts(asked) == {hash_of(BEE): BEE}
    assert await embedded.source.alive(asked) == {hash_of(BEE)}


@pytest.mark.parametrize("shape", ["other (id integer)", "processed_files (id integer, body text)"])
async def test_another_table(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as cx:
        cx.execute(f"create table {shape}")
    cx.close()
    with pytest.raises(Fatal, match=r"has no .*content.*it needs id, file_path, content"):
        await TableSource(Sqlite(path)).open()


async def test_no_table_on_a_server(postgres_url: str) -> None:
    with pytest.raises(Fatal, match="has no id, file_path"):
        await TableSource(Postgres(postgres_url)).open()


async def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="there is no database"):
        await TableSource(Sqlite(tmp_path / "none.db")).open()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/app/repos/ada/one/src/a.py", ("ada/one", "src/a.py")),
        ("repos/ada/one/a.py", ("ada/one", "a.py")),
        ("ada/one/src/a.py", ("ada/one", "src/a.py")),
        ("//ada/one/a.py", ("ada/one", "a.py")),
        ("ada/a.py", ("ada", "a.py")),
        ("a.py", ("else", "a.py")),
        ("/a.py", ("else", "/a.py")),
    ],
)
def test_where_a_path_stands(path: str, place: tuple[str, str]) -> None:
    assert place_of(path, "else") == place


@pytest.mark.parametrize("score", ["good", b"\xff", ""])
async def test_a_score_that_is_no_number_is_none(embedded: InSqliteTable, score: Any) -> None:
    await embedded.add({"a/a": {"1.py": ANT}})
    embedded.cx.execute("update processed_files set quality_score = ?", (score,))
    embedded.cx.commit()
    assert [row.quality for row in await all_rows(embedded.source)] == [0.0]


@pytest.mark.parametrize(
    ("when", "seconds"),
    [("2026-01-02 03:04:05", 1767323045), (1767323045, 1767323045), ("yesterday", 0), (None, 0)],
)
async def test_whatever_a_time_is(embedded: InSqliteTable, when: Any, seconds: int) -> None:
    await embedded.add({"a/a": {"1.py": ANT}})
    embedded.cx.execute("update processed_files set created_at = ?", (when,))
    embedded.cx.commit()
    assert [row.created_at for row in await all_rows(embedded.source)] == [seconds]
