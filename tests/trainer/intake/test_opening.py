"""Which source the settings and a word name."""

from __future__ import annotations

from pathlib import Path

import pytest

from codelupe_daemon.config import load
from codelupe_daemon.errors import Fatal, UsageError
from tests.contract.build import text
from tests.trainer.intake.build import InJournal, InPostgresTable, InSqliteTable, all_rows, write
from trainer.intake.opening import source

FILES = {"a/a": {"ant.py": text("ant")}}


async def opened(store: str, kind: str) -> tuple[str, int]:
    async with source(load(store=store), kind) as found:
        return found.name, len(await all_rows(found))


async def test_an_embedded_journal_also_where_it_cannot_be_written(tmp_path: Path) -> None:
    corpus = await InJournal.sqlite(tmp_path)
    await corpus.add(FILES)
    await corpus.close()
    path = tmp_path / "codelupe.db"
    assert await opened(str(path), "journal") == ("journal", 1)


async def test_a_served_journal(postgres_url: str) -> None:
    corpus = await InJournal.postgres(postgres_url)
    await corpus.add(FILES)
    await corpus.close()
    assert await opened(postgres_url, "journal") == ("journal", 1)


async def test_the_first_codelupes_table(tmp_path: Path, postgres_url: str) -> None:
    embedded, served = InSqliteTable(tmp_path), await InPostgresTable.made(postgres_url)
    for corpus, store in ((embedded, str(embedded.path)), (served, postgres_url)):
        await corpus.add(FILES)
        assert await opened(store, "processed_files") == ("processed_files", 1)
        await corpus.source.close()
        await corpus.close()


async def test_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [{"content": text("ant")}])
    for name in (str(path), f"file:{path}"):
        assert await opened(str(tmp_path / "none.db"), name) == (f"file:{path}", 1)


@pytest.mark.parametrize(
    ("kind", "error", "why"),
    [
        ("jornal", UsageError, "name journal, elasticsearch, processed_files, or a file"),
        ("elasticsearch", UsageError, "CODELUPE_ELASTICSEARCH"),
        ("journal", Fatal, "there is no store"),
        ("processed_files", Fatal, "there is no database"),
    ],
)
async def test_what_is_not_there(
    tmp_path: Path, kind: str, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        await opened(str(tmp_path / "none.db"), kind)
