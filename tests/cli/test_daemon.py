"""`codelupe daemon`: whatever is due is visited, once, whoever dies or is stopped meanwhile."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests import builders
from tests.drills.process import (
    done,
    end,
    last_id,
    number,
    rows,
    run,
    running,
    verified,
    wait_until,
)

REPOSITORIES = 12
NOT_DONE = "select count(*) from repositories where state <> 'done'"


def code(repo: int, file: int, head: str = "") -> bytes:
    return f"{head}def area_{repo}_{file}(width):\n    return width * {file}\n".encode() * 3


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Repositories of five files; the last of these stands in all of them."""
    return [
        builders.repo(
            tmp_path / f"r{n:02}.git", {b"m%d.py" % k: code(n if k < 4 else 0, k) for k in range(5)}
        )
        for n in range(REPOSITORIES)
    ]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of which all but the first batch waits for the gate; till then there is no
    room for all of it."""
    monkeypatch.setenv("CODELUPE_FILE_WORKERS", "1")
    files = {
        b"m%06d.py" % n: code(99, n, "# drill: wait\n" if n >= 1000 else "")
        for n in range(1000 * ((os.cpu_count() or 1) + 5))
    }
    return builders.repo(tmp_path / "waiting.git", files)


def register(store: Path, *sources: Path) -> None:
    done(run("ingest", "--later", "--json", "--store", store, *sources))


def assert_visited_once(store: Path, sources: int) -> None:
    epochs = rows(store, "select state, attempts, lease_epoch, lease_owner from repositories")
    assert epochs == [("done", 0, 1, None)] * sources
    assert done(run("verify", "--deep", "--json", "--store", store))["problems"] == []


def test_two_daemons_share_the_work(sources: list[Path], tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    register(store, *sources)
    command: list[str | Path] = ["daemon", "--until-idle", "--json", "--store", store]
    with running(*command) as first, running(*command) as second:
        answers = [done(end(process)) for process in (first, second)]
    assert sum(answer["sources"] for answer in answers) == REPOSITORIES
    assert [answer["failed"] for answer in answers] == [0, 0]
    assert sum(answer["files"]["new"] for answer in answers) == 4 * REPOSITORIES + 1
    assert_visited_once(store, REPOSITORIES)


def test_a_daemon_finds_what_becomes_due_and_stops_when_asked(
    sources: list[Path], tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    with running("daemon", "--store", store) as process:
        assert wait_until(store.exists, process)
        for half in (sources[:6], sources[6:]):
            register(store, *half)
            assert wait_until(lambda: number(store, NOT_DONE) == 0, process)
        process.send_signal(signal.SIGTERM)
        ended = end(process)
    assert ended.code == 0
    assert ended.output == ""
    assert len(re.findall(r"visited .*: 5 files, 5 kept", ended.errors)) == REPOSITORIES
    assert_visited_once(store, REPOSITORIES)


@pytest.mark.parametrize("number_", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_is_in_hand_is_recorded_and_freed(
    waiting: Path, tmp_path: Path, number_: signal.Signals
) -> None:
    store, gate = tmp_path / "store.db", tmp_path / "gate"
    register(store, waiting)
    with running("daemon", "--store", store, gate=gate) as process:
        assert wait_until(lambda: last_id(store) > 0, process)
        process.send_signal(number_)
        gate.touch()
        assert end(process).code == 0
    state = "select state, reason, attempts, lease_owner, due_at is not null from repositories"
    assert rows(store, state) == [("due", "interrupted", 0, None, 1)]
    assert number(store, "select count(*) from occurrences") == last_id(store)
    assert verified(store)


def test_a_clone_that_takes_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODELUPE_STALL_TIMEOUT_S", "600")
    store = tmp_path / "store.db"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/silent"
        done(run("ingest", "--later", "--json", "--store", store, url))
        with running("daemon", "--store", store) as process:
            silent.settimeout(30)
            with silent.accept()[0]:
                process.send_signal(signal.SIGTERM)
                assert end(process).code == 0
    assert rows(store, "select state, reason, attempts from repositories") == [
        ("due", "interrupted", 0)
    ]


def test_a_second_signal_ends_it_at_once(waiting: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    register(store, waiting)
    with running("daemon", "--store", store, gate=tmp_path / "never") as process:
        assert wait_until((tmp_path / "never.waits").exists, process)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "stops" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        assert end(process).code == -signal.SIGTERM


def test_a_dead_daemons_work_is_taken_over(
    sources: list[Path], waiting: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    register(store, waiting)
    with running("daemon", "--store", store, gate=tmp_path / "never") as process:
        assert wait_until(lambda: last_id(store) > 0, process)
        process.kill()
        end(process)
    register(store, *sources)
    ended = run("daemon", "--until-idle", "--json", "--store", store)
    assert f"takes over {waiting}: its visitor ended (try 2)" in ended.errors
    assert (done(ended)["sources"], done(ended)["failed"]) == (REPOSITORIES + 1, 0)
    assert number(store, NOT_DONE) == 0
    assert done(run("verify", "--deep", "--json", "--store", store))["problems"] == []


def test_a_source_that_fails_is_due_again_later(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    gone = builders.folder(tmp_path / "gone", {b"a.py": code(1, 1)})
    kept = builders.folder(tmp_path / "kept", {b"a.py": code(1, 1)})
    register(store, gone, kept)
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    ended = run("daemon", "--until-idle", "--quiet", "--json", "--store", store)
    assert (done(ended)["sources"], done(ended)["failed"]) == (2, 1)
    [line] = ended.errors.splitlines()
    assert line.endswith(f"visit of {gone} failed: does not exist")
    waits = "select state, round((due_at - unixepoch()) / 3600) from repositories order by 1"
    assert rows(store, waits) == [("done", 7 * 24.0), ("failed", 1.0)]


def test_under_systemd_lines_have_priorities_and_no_times(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    store = tmp_path / "store.db"
    register(store, sources[0])
    ended = run("daemon", "--until-idle", "--store", store)
    assert ended.errors.splitlines() == [
        f"<6>works on {store}: database, embedded index",
        f"<6>visited {sources[0]}: 5 files, 5 kept, 5 judged",
    ]


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("store", "postgresql://ada@127.0.0.1:1/code"),
        ("redis", "redis://127.0.0.1:1/0"),
        ("elasticsearch", "http://127.0.0.1:1"),
    ],
)
def test_a_server_that_is_away_at_the_start_is_named(tmp_path: Path, name: str, url: str) -> None:
    store = tmp_path / "store.db"
    ended = run("daemon", "--store", store, f"--{name}", url)
    assert ended.code == 1
    assert ended.errors.startswith("codelupe: ")
    assert f"CODELUPE_{name.upper()}" in ended.errors
    assert "works on" not in ended.errors
