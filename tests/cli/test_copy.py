"""`codelupe copy`: from this machine to a server and back, also when it is killed in between."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Home
from tests.drills.process import done, end, found, run, running, state, wait_until
from tests.servers.postgres import query

MANY = 40_000


def exported(store: str | Path) -> list[dict[str, Any]]:
    ended = run("export", "--min-quality", "0", "--duplicates", "keep", "--store", store)
    assert ended.code == 0, ended.errors
    rows = map(json.loads, ended.output.splitlines())
    return sorted(rows, key=lambda row: (row["id"], row["repo"], row["path"]))


def status(store: str | Path) -> dict[str, Any]:
    answer: dict[str, Any] = done(run("status", "--json", "--store", store))
    return {name: answer[name] for name in ("repositories", "files", "reasons", "journal")}


def test_there_and_back(copy: Path, home: Home, postgres_url: str) -> None:
    done(run("forget", "--json", f"{home.path}/two/shapes.py", "--store", copy))
    there = done(run("copy", "--from", copy, "--to", postgres_url, "--json"))
    assert (there["from"], there["to"]) == (str(copy), postgres_url)
    assert there["rows"]["repositories"] == 3
    back = copy.with_name("back.db")
    assert (
        done(run("copy", "--from", postgres_url, "--to", back, "--json"))["rows"] == there["rows"]
    )
    assert status(postgres_url) == status(copy) == status(back)
    assert exported(postgres_url) == exported(copy) == exported(back)
    # The index fills itself again, and life goes on in each.
    for store in (postgres_url, back):
        answer = done(run("ingest", "--json", home.path / "one", "--store", store))
        assert answer["files"]["new"] == 0
        assert done(run("verify", "--json", "--store", store))["ok"]
    assert found(back, "area") == found(copy, "area")


def test_the_other_store_is_that_of_the_settings(
    copy: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODELUPE_STORE", postgres_url)
    ended = run("copy", "--from", copy)
    assert ended.code == 0, ended.errors
    assert f"to            {postgres_url}" in ended.output
    assert status(postgres_url) == status(copy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--from or --to"),
        (["--from", "{store}", "--to", "{store}"], "the same store"),
        (["--from", "{store}", "--to", "sqlite://{store}"], "the same store"),
        (["--from", "{folder}/none.db", "--to", "{folder}/new.db"], "there is no store"),
        (["--from", "{store}", "--to", "{folder}"], "is a folder"),
        (["--from", "{store}", "--to", "{folder}/full.db"], "is not empty"),
        (["--from", "{store}", "--to", "{folder}/indexed.db"], "is the search index of"),
        (["--from", "{store}", "--to", "{folder}/text.db"], "not a sound database"),
        (["--from", "{store}", "--to", "postgresql://u:secret@127.0.0.1/x"], "holds a password"),
    ],
    ids=["none", "same", "same-url", "no-source", "folder", "full", "index", "text", "password"],
)
def test_what_is_refused(copy: Path, arguments: list[str], message: str) -> None:
    shutil.copy(copy, copy.with_name("full.db"))
    copy.with_name("indexed-search.db").touch()
    copy.with_name("text.db").write_text("no database at all. " * 9)
    before = state(copy)
    given = [one.format(store=copy, folder=copy.parent) for one in arguments]
    ended = run("copy", *given)
    assert ended.code in {1, 2}
    assert message in ended.errors
    assert "secret" not in ended.errors
    assert "Traceback" not in ended.errors
    assert state(copy) == before
    assert not copy.with_name("new.db").exists()


def fill(url: str) -> None:
    """Many rows, made by the server itself."""
    done(run("migrate", "--json", "--store", url))
    query(
        url,
        "insert into repositories (id, full_name, location, is_local, license_rank, state)"
        " values (1, 'o/n', 'o/n', false, 2, 'done')",
    )
    query(
        url,
        "insert into journal (id, op, content_hash, content_chars, language, quality_score,"
        " signals, repo_id, file_path, examiner_version, created_at)"
        " select n, 'add', decode(md5(n::text), 'hex'), 0, 'C', 50, '{}', 1, n || '.c', 'x', 0"
        " from generate_series(1, $1) n",
        MANY,
    )


def test_killed_in_the_middle(postgres_url: str, tmp_path: Path) -> None:
    fill(postgres_url)
    target = tmp_path / "new.db"
    command = ("copy", "--from", postgres_url, "--to", target, "--json")
    with running(*command) as process:
        begun = wait_until(lambda: size_of(target) > 1 << 20, process)
        assert begun
        process.send_signal(signal.SIGKILL)
        process.wait()
    ended = run("status", "--store", target)
    assert ended.code == 1
    assert f"only a part of {postgres_url}" in ended.errors
    assert "run `codelupe copy`" in ended.errors
    with running(*command) as process:
        answer = done(end(process))
    assert answer["rows"]["journal"] == MANY
    assert status(target)["journal"] == {"last_id": MANY}


def size_of(store: Path) -> int:
    log = Path(f"{store}-wal")
    return log.stat().st_size if log.exists() else 0
