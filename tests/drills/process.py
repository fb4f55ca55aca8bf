"""`codelupe` in a process of its own, and the state of a store, read past it with plain SQL."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

CODELUPE = Path(sys.executable).with_name("codelupe")
SABOTAGE = Path(__file__).with_name("sabotage")
WAIT_S = 240.0
POLL_S = 0.002

CONTENTS = """
select hex(c.content_hash), r.full_name, c.path, n.language, n.quality_score, n.signals, n.license
from contents c join repositories r on r.id = c.repo_id join journal n on n.id = c.newest_id
order by 1"""
OCCURRENCES = """
select r.full_name, o.path, hex(o.oid), o.path_class, o.language, hex(o.content_hash), o.reason,
       o.measured, o.examiner_version
from occurrences o join repositories r on r.id = o.repo_id order by 1, 2"""
REPOSITORIES = """
select full_name, state, reason, attempts, hex(head), file_count from repositories order by 1"""


class State(NamedTuple):
    """What a store holds, without ids and times: equal for equal input, however it came in."""

    contents: list[tuple[Any, ...]]
    occurrences: list[tuple[Any, ...]]
    repositories: list[tuple[Any, ...]]


def rows(store: Path, query: str, *bound: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        return db.execute(query, bound).fetchall()


def state(store: Path) -> State:
    return State(*(rows(store, query) for query in (CONTENTS, OCCURRENCES, REPOSITORIES)))


def number(store: Path, query: str) -> int:
    """What the query counts; 0 while there is no such file or table yet."""
    try:
        ((value,),) = rows(store, query)
    except sqlite3.OperationalError:
        return 0
    return int(value)


def last_id(store: Path) -> int:
    return number(store, "select coalesce(max(id), 0) from journal")


@contextmanager
def running(
    *arguments: str | Path,
    gate: Path | None = None,
    sabotaged: bool = False,
    settings: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[subprocess.Popen[str]]:
    """`codelupe` while the body runs; with a gate or sabotaged, under the rule of `sabotage/`.

    `settings`: variables of its environment.
    """
    environment = os.environ | (settings or {})
    if gate or sabotaged:
        paths = [str(SABOTAGE), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "DRILL_GATE": str(gate)}
    with subprocess.Popen(
        [CODELUPE, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class Ended(NamedTuple):
    """How a command ended; `answer` is what it printed as JSON."""

    code: int
    output: str
    errors: str

    @property
    def answer(self) -> Any:
        return json.loads(self.output)


def end(process: subprocess.Popen[str]) -> Ended:
    output, errors = process.communicate(timeout=WAIT_S)
    return Ended(process.returncode, output, errors)


def run(*arguments: str | Path, **options: Any) -> Ended:
    with running(*arguments, **options) as process:
        return end(process)


def ingest(store: Path, sources: Sequence[Path], **options: Any) -> Ended:
    return run("ingest", "--json", "--store", store, *sources, **options)


def done(ended: Ended) -> Any:
    """The answer of a command that has to succeed."""
    assert ended.code == 0, ended.errors or ended.output
    return ended.answer


def verified(store: Path) -> bool:
    answer = done(run("verify", "--json", "--store", store))
    assert answer["problems"] == []
    return bool(answer["ok"])


def found(store: Path, query: str) -> tuple[int, list[str]]:
    """How many texts the search finds, and the ids of the first of them."""
    answer = done(run("search", query, "--limit", "20", "--json", "--store", store))
    return answer["total"], sorted(hit["id"] for hit in answer["hits"])


def why(store: Path, place: str) -> dict[str, Any]:
    answer: dict[str, Any] = done(run("why", place, "--json", "--store", store))
    return answer


def mount(*arguments: str | Path) -> bool:
    """Whether it could be done: only root may."""
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Wait for something to hold while the process runs; whether it did."""
    deadline = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(POLL_S)
    return holds()
