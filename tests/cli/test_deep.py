"""`verify --deep` and `dead-letters`: what derived stores hold, and what they could not take."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Home
from tests.drills.process import Ended, done, run


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


def index_of(store: Path) -> Path:
    return store.with_name(f"{store.stem}-search.db")


def deep(store: Path) -> Any:
    return run("verify", "--deep", "--json", "--store", store).answer


def letters(store: Path, *arguments: str) -> Ended:
    return run("dead-letters", "--json", "--store", store, *arguments)


def test_an_undisturbed_store_is_fine(copy: Path) -> None:
    answer = deep(copy)
    assert (answer["ok"], answer["problems"]) == (True, [])
    assert answer["checked"]["contents in search"] == answer["checked"]["contents"] == 8


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("delete from documents where add_id = 1", "is missing"),
        ("insert into documents values (x'00112233445566778899aabbccddeeff', 99)", "is not live"),
    ],
    ids=["missing", "extra"],
)
def test_a_planted_difference_is_found(copy: Path, statement: str, problem: str) -> None:
    change(index_of(copy), statement)
    ended = run("verify", "--deep", "--json", "--store", copy)
    assert ended.code == 1
    [found] = ended.answer["problems"]
    assert found.startswith("search: ")
    assert found.endswith(problem)


def test_consumers_catch_up_first(home: Home, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    done(run("ingest", "--no-consumers", "--json", "--store", store, home.path / "one"))
    assert not index_of(store).exists()
    answer = deep(store)
    assert answer["problems"] == []
    assert answer["checked"]["contents in search"] == answer["checked"]["contents"] == 6


def test_dead_letters_are_shown_with_their_places(copy: Path) -> None:
    assert done(letters(copy)) == []
    change(index_of(copy), "insert into dead_letters values ('search', 2, 'too odd')")
    [letter] = done(letters(copy))
    assert letter == done(letters(copy, "search"))[0]
    assert done(letters(copy, "near_duplicates")) == []
    assert (letter["consumer"], letter["row"], letter["reason"]) == ("search", 2, "too odd")
    shown = done(run("show", letter["id"], "--json", "--store", copy))
    assert {"repo": letter["repo"], "path": letter["path"]} in shown["places"]
    plain = run("dead-letters", "--store", copy).output
    assert f"search: row 2, {letter['repo']}/{letter['path']}: too odd" in plain


def test_a_consumer_that_needs_its_rows_in_order_is_to_be_replayed(copy: Path) -> None:
    change(index_of(copy), "insert into dead_letters values ('search', 2, 'too odd')")
    ended = letters(copy, "--retry")
    assert ended.code == 2
    assert "codelupe replay search" in ended.errors
    done(run("replay", "search", "--json", "--store", copy))
    assert done(letters(copy)) == []


def test_an_unknown_consumer_is_refused(copy: Path) -> None:
    ended = letters(copy, "serach")
    assert ended.code == 2
    assert "this store has: search, near_duplicates" in ended.errors


def test_dead_letters_are_taken_again(copy: Path, mongo_url: str) -> None:
    at: list[str | Path] = ["--store", copy, "--mongo", mongo_url]
    done(run("replay", "mongo", "--json", *at))
    change(copy, "insert into dead_letters values ('mongo', 2, 'was away'), ('mongo', 3, 'too')")
    status = done(run("status", "--json", *at))["consumers"]["mongo"]
    assert status == {"watermark": 8, "lag": 0, "dead_letters": 2, "state": "ok"}
    assert done(run("dead-letters", "mongo", "--retry", "--json", *at)) == []
    assert done(run("verify", "--deep", "--json", *at))["problems"] == []
