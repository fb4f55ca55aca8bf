"""Whatever ends `codelupe ingest`, the next run makes of it what an undisturbed one would have."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.drills.conftest import QUERIES, Reference, commit
from tests.drills.process import (
    done,
    end,
    found,
    ingest,
    last_id,
    number,
    rows,
    running,
    state,
    verified,
    wait_until,
    why,
)

SEED = 3
KILLS_A_STORE = 3
pytestmark = pytest.mark.timeout(1200)


def assert_undisturbed(store: Path, reference: Reference) -> None:
    assert state(store) == reference.state
    assert [found(store, query) for query in QUERIES] == reference.answers
    assert verified(store)


def killed(store: Path, sources: list[Path], at_row: int, later_s: float) -> bool:
    """Kill an ingest a moment after the journal has got so far; False if it ended before."""
    with running("ingest", "--json", "--store", store, *sources) as process:
        wait_until(lambda: last_id(store) >= at_row, process)
        end_at = time.monotonic() + later_s
        wait_until(lambda: time.monotonic() >= end_at, process)
        was_alive = process.poll() is None
        process.kill()
        end(process)
    return was_alive


def moment(random: Random, reached: int, reference: Reference) -> tuple[int, float]:
    """Somewhere between here and the end; after the last row there are visits and an index."""
    at_row = int(random.uniform(reached, reference.last_id * 1.3))
    is_past = at_row >= reference.last_id
    return min(at_row, reference.last_id), random.uniform(0, reference.seconds if is_past else 0.02)


def test_killed_at_random_moments(
    sources: list[Path], reference: Reference, tmp_path: Path, *, full: bool
) -> None:
    random = Random(SEED)
    kills = stores = 0
    reached: list[int] = []
    while kills < (30 if full else 5):
        stores += 1
        store = tmp_path / f"{stores}.db"
        while len(reached) < stores * KILLS_A_STORE and killed(
            store, sources, *moment(random, last_id(store), reference)
        ):
            reached.append(last_id(store))
            kills += 1
        done(ingest(store, sources))
        assert_undisturbed(store, reference)
    assert any(0 < row < reference.last_id for row in reached)


def test_two_at_once_on_one_store(
    sources: list[Path], reference: Reference, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    command: list[str | Path] = ["ingest", "--json", "--store", store, *sources]
    with running(*command) as first, running(*command) as second:
        answers = [done(end(process)) for process in (first, second)]
    assert [answer["failed"] for answer in answers] == [[], []]
    assert_undisturbed(store, reference)


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A git server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"git://127.0.0.1:{server.getsockname()[1]}/silent"


def test_ctrl_c(sources: list[Path], reference: Reference, tmp_path: Path, silent_url: str) -> None:
    store = tmp_path / "store.db"
    with running("ingest", "--store", store, *sources, silent_url) as process:
        assert wait_until(lambda: last_id(store) > 0, process)
        process.send_signal(signal.SIGINT)
        ended = end(process)
    assert ended.code == 130
    assert "again" in ended.errors + ended.output
    done(ingest(store, sources))
    kept = state(store)
    silent = [row for row in kept.repositories if row[0].startswith("127.0.0.1")]
    assert [row[1] for row in silent] in ([], ["due"])
    for row in silent:
        kept.repositories.remove(row)
    assert kept == reference.state
    assert verified(store)


def test_ctrl_c_records_what_was_read(tmp_path: Path) -> None:
    repo, store, gate = tmp_path / "repo", tmp_path / "store.db", tmp_path / "gate"
    repo.mkdir()
    for n in range(6000):
        head = "# drill: wait\n" if n % 100 == 0 else ""
        (repo / f"m{n:04}.py").write_text(f"{head}def number_{n}(value):\n    return value\n" * 2)
    commit(repo)
    with running("ingest", "--json", "--store", store, repo, gate=gate) as process:
        assert wait_until(
            lambda: number(store, "select coalesce(max(attempts), 0) from repositories") > 0,
            process,
        )
        process.send_signal(signal.SIGINT)
        gate.touch()
        ended = end(process)
    assert ended.code == 130
    assert number(store, "select count(*) from occurrences") == ended.answer["files"]["accepted"]
    assert done(ingest(store, [repo]))["files"]["accepted"] == 6000
    assert verified(store)


def test_a_file_that_ends_the_process_costs_itself_a_reason(tmp_path: Path) -> None:
    repo, store = tmp_path / "repo", tmp_path / "store.db"
    repo.mkdir()
    for n in range(6):
        (repo / f"m{n}.py").write_text(f"def number_{n}(value):\n    return value\n" * 4)
    (repo / "bad.py").write_text(
        "# drill: abort\n" + "def harmless(value):\n    return value\n" * 4
    )
    commit(repo)
    for _ in range(3):
        assert ingest(store, [repo], sabotaged=True).code == -signal.SIGABRT
    answer = done(ingest(store, [repo], sabotaged=True))
    assert answer["failed"] == []
    assert answer["reasons"] == {"examiner crashed": 1}
    assert answer["files"]["accepted"] == 6
    assert why(store, f"{repo}/bad.py")["reason"] == "examiner crashed"
    assert rows(store, "select attempts from repositories") == [(0,)]
    assert verified(store)
