"""`codelupe migrate`: what it tells of schemas and of old tables; what it does is in test_adopt."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from codelupe_daemon.journal.sql import migrations
from codelupe_daemon.journal.sqlite_files import APPLICATION_ID
from tests.cli.conftest import GREETING, SHAPES
from tests.cli.test_terminal import on_terminal
from tests.drills.process import done, run
from tests.servers.postgres import query

EMBEDDED, SERVED = (len(migrations(store)) for store in ("sqlite", "postgres"))


@pytest.fixture
def old_url(postgres_url: str) -> str:
    """A database of the first CodeLupe."""
    query(
        postgres_url,
        "create table processed_files (id serial primary key, file_path text, content text,"
        " language text, quality_score real, created_at timestamp default now())",
    )
    for path, content in (("a.py", SHAPES), ("b.py", GREETING), ("c.py", SHAPES), ("d.py", None)):
        query(
            postgres_url,
            "insert into processed_files (file_path, content, language, quality_score)"
            " values ($1, $2, 'python', 0.75)",
            f"/app/repos/o/n/{path}", content and content.decode(),
        )  # fmt: skip
    query(postgres_url, "create table repositories (id serial primary key, full_name text)")
    query(postgres_url, "insert into repositories (full_name) values ('o/n')")
    return postgres_url


def test_an_embedded_store(tmp_path: Path) -> None:
    store = tmp_path / "new" / "store.db"
    made = done(run("migrate", "--json", "--store", store))
    assert made == {
        "store": str(store), "before": 0, "after": EMBEDDED, "adopted": None, "dropped": []
    }  # fmt: skip
    again = run("migrate", "--store", store)
    assert again.output == f"schema {EMBEDDED}\n"
    with closing(sqlite3.connect(tmp_path / "first.db")) as db:
        db.executescript(migrations("sqlite")[0])
        db.execute(f"pragma application_id = {APPLICATION_ID}")
        db.execute("pragma user_version = 1")
    first = run("migrate", "--store", tmp_path / "first.db")
    assert (first.code, first.output) == (0, f"schema {EMBEDDED}, was 1\n")


def test_a_served_store_twice(postgres_url: str) -> None:
    first = done(run("migrate", "--json", "--store", postgres_url))
    second = done(run("migrate", "--json", "--drop-old", "--store", postgres_url))
    assert (first["before"], first["after"]) == (0, SERVED)
    assert second == first | {"before": SERVED}


def test_old_tables_are_adopted_and_it_is_told(
    old_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODELUPE_STORE", old_url)
    adopted = run("migrate")
    assert adopted.code == 0, adopted.errors
    counts = dict(line.rsplit(maxsplit=1) for line in adopted.output.splitlines()[1:-2])
    assert counts == {
        "files": "4", "texts": "2", "duplicates": "1", "without text": "1", "repositories": "1",
        "last id": "4",
    }  # fmt: skip
    assert "from 0 to 1" in adopted.output
    assert "kept: processed_files_before_codelupe, repositories_before_codelupe" in adopted.output
    status = done(run("status", "--json"))
    assert status["repositories"] == {"known": 1, "done": 0, "failed": 0, "due": 1}
    assert status["files"] == {"listed": 3, "accepted": 3, "distinct": 2, "left_out": 0}
    assert done(run("verify", "--json"))["ok"]

    # New files join the old ones, and all of them are found.
    (tmp_path / "new.py").write_bytes(GREETING + b"# new\n")
    assert done(run("ingest", "--json", tmp_path))["files"]["new"] == 1
    assert done(run("search", "greet", "--json"))["total"] == 2
    rows = [json.loads(row) for row in run("export").output.splitlines()]
    assert [(row["id"], row["repo"], row["path"], row["quality_score"]) for row in rows][:2] == [
        (1, "o/n", "a.py", 0.75), (2, "o/n", "b.py", 0.75),
    ]  # fmt: skip
    dropped = run("migrate", "--drop-old")
    assert dropped.output.endswith(
        "dropped: processed_files_before_codelupe, repositories_before_codelupe\n"
    )


def test_progress_on_a_terminal(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "4 rows" in on_terminal("migrate", "--store", old_url)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("insert into codelupe_schema (version) values (999)", "newer CodeLupe"),
        ("alter table journal drop column oid cascade", "changed by hand"),
        ("create table codelupe_copying as select 'x' as source", "only a part of x"),
    ],
    ids=["newer", "by-hand", "half-copied"],
)
def test_what_is_refused(postgres_url: str, statement: str, message: str) -> None:
    done(run("migrate", "--json", "--store", postgres_url))
    query(postgres_url, statement)
    ended = run("migrate", "--store", postgres_url)
    assert ended.code == 1
    assert message in ended.errors


def test_tables_of_another_program(postgres_url: str) -> None:
    query(postgres_url, "create table journal (entry text)")
    ended = run("migrate", "--store", postgres_url)
    assert ended.code == 1
    assert "another program's" in ended.errors
