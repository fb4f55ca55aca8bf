"""Stores that are damaged, foreign, without an index, or not to be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Home
from tests.drills.process import CODELUPE, Ended, done, run

UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]  # root may write anything


def change(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute(sql)
        db.commit()


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("update contents set content_hash = randomblob(16) where newest_id = 1", "journal"),
        ("delete from contents where newest_id = 2", "not live"),
    ],
)
def test_verify_finds_what_does_not_fit(copy: Path, sql: str, problem: str) -> None:
    change(copy, sql)
    ended = run("verify", "--json", "--store", copy)
    assert ended.code == 1
    assert not ended.answer["ok"]
    assert problem in " ".join(ended.answer["problems"])


def test_verify_finds_an_index_ahead_of_the_journal(copy: Path) -> None:
    change(copy.with_name("codelupe-search.db"), "update watermarks set id = 99")
    ended = run("verify", "--store", copy)
    assert ended.code == 1
    assert "codelupe replay search" in ended.output
    done(run("replay", "search", "--json", "--store", copy))
    assert run("verify", "--store", copy).code == 0


@pytest.mark.parametrize("command", ["status", "ingest ."])
def test_what_is_no_store(tmp_path: Path, command: str) -> None:
    foreign, noise = tmp_path / "foreign.db", tmp_path / "noise.db"
    change(foreign, "create table t (a)")
    noise.write_bytes(b"no database at all\n" * 900)
    for store, hint in ((foreign, "another program"), (noise, "sound"), (tmp_path, "a folder")):
        ended = run(*command.split(), "--store", store, cwd=tmp_path)
        assert (ended.code, ended.output) == (1, "")
        assert hint in ended.errors
        assert "--store" in ended.errors


def test_search_without_an_index_says_how_to_make_it(copy: Path) -> None:
    copy.with_name("codelupe-search.db").unlink()
    ended = run("search", "area", "--store", copy)
    assert ended.code == 1
    assert "codelupe replay search" in ended.errors
    assert done(run("replay", "search", "--json", "--store", copy)) == {
        "consumer": "search", "watermark": 8
    }  # fmt: skip
    assert done(run("search", "area", "--json", "--store", copy))["total"] == 2


def test_an_empty_store(tmp_path: Path) -> None:
    store, empty = tmp_path / "s.db", tmp_path / "empty"
    empty.mkdir()
    done(run("ingest", empty, "--json", "--store", store))
    assert done(run("search", "area", "--json", "--store", store))["hits"] == []
    assert run("export", "--store", store).output == ""
    assert run("verify", "--store", store).code == 0
    assert run("show", "abcd", "--store", store).code == 1


# -- where nothing may be written -----------------------------------------------------------------


@pytest.fixture
def read_only(copy: Path) -> Iterator[Path]:
    for file in copy.parent.iterdir():
        file.chmod(0o444)
    copy.parent.chmod(0o555)
    yield copy
    copy.parent.chmod(0o755)


def look(store: Path, *arguments: str) -> Ended:
    before = UNPRIVILEGED if os.geteuid() == 0 else []
    command = [*before, str(CODELUPE), *arguments, "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "command", ["status --json", "verify", "search area --json", "export --min-quality 0"]
)
def test_looking_needs_no_right_to_write(home: Home, read_only: Path, command: str) -> None:
    seen = look(read_only, *command.split())
    assert seen.code == 0, seen.errors
    usual = run(*command.split(), "--store", home.store)
    assert seen.output == usual.output.replace(str(home.store), str(read_only))


def test_why_and_show_need_no_right_to_write(home: Home, read_only: Path) -> None:
    verdict = done(look(read_only, "why", str(home.path / "one/shapes.py"), "--json"))
    assert "def area" in look(read_only, "show", verdict["id"]).output


@pytest.mark.parametrize("command", ["ingest .", "forget x", "reexamine", "export --output x"])
def test_changing_says_what_is_missing(read_only: Path, command: str) -> None:
    refused = look(read_only, *command.split())
    assert (refused.code, refused.output) == (1, "")
    assert "give the right to write it" in refused.errors


def test_a_writer_that_was_killed_leaves_work_that_looking_cannot_do(copy: Path) -> None:
    """Its log must be read, and SQLite needs a file beside it for that."""
    with closing(sqlite3.connect(copy)) as db:
        db.execute("update repositories set visited_at = 0")
        db.commit()
        for name in ("codelupe.db", "codelupe.db-wal"):
            shutil.copy(copy.with_name(name), copy.parent.parent / name)
    torn = copy.parent.parent / "torn"
    torn.mkdir()
    for name in ("codelupe.db", "codelupe.db-wal"):
        shutil.move(copy.parent.parent / name, torn / name)
        (torn / name).chmod(0o444)
    torn.chmod(0o555)
    refused = look(torn / "codelupe.db", "status")
    torn.chmod(0o755)
    assert refused.code == 1
    assert "not closed cleanly" in refused.errors
