"""kill -9 at every state of a round, and at random moments: the same version in the end."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.rounds.command import CODELUPE, LIMIT_S, Trainer
from tests.trainer.rounds.test_system import sources

PACKAGES = ("json", "wsgiref", "logging", "email")
POLL_S = 0.002
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what was ingested once."""
    folder = tmp_path_factory.mktemp("crash")
    trainer = Trainer.of(folder, Path("none"), str(folder / "store.db"))
    trainer.json("ingest", *sources(folder / "code", PACKAGES), program=CODELUPE)
    return folder


@pytest.fixture(scope="module")
def undisturbed(store: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The adapter that a round makes of it."""
    trainer = copied(store, model, tmp_path_factory.mktemp("undisturbed"))
    trainer.json("once")
    return adapter(trainer)


def copied(store: Path, model: Path, folder: Path) -> Trainer:
    for path in store.glob("store*.db"):
        shutil.copy(path, folder / path.name)
    return Trainer.of(folder, model, str(folder / "store.db"))


def adapter(trainer: Trainer) -> bytes:
    return (trainer.models / "v0001" / "adapter_model.safetensors").read_bytes()


def rows(trainer: Trainer, query: str, *bound: str) -> list[tuple[Any, ...]]:
    """None are found while the table is not there, or is being written."""
    try:
        with closing(
            sqlite3.connect(f"file:{trainer.folder}/store-trainer.db?mode=ro", uri=True)
        ) as db:
            return db.execute(query, bound).fetchall()
    except sqlite3.OperationalError:
        return []


def has_come(at_s: float) -> bool:
    return time.monotonic() >= at_s


def killed(trainer: Trainer, is_time: Callable[[], object]) -> None:
    """At that moment, or after its end where it was quicker."""
    process = trainer.start("once", "--json")
    until = time.monotonic() + LIMIT_S
    while not is_time() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(POLL_S)
    process.kill()
    process.communicate()


def ends_as_undisturbed(trainer: Trainer, undisturbed: bytes) -> None:
    trainer.json("once")
    assert rows(trainer, "select count(*), max(status) from training_sessions") == [
        (1, "completed")
    ]
    assert rows(trainer, "select version, is_active from model_versions") == [("v0001", 1)]
    assert (trainer.models / "active").readlink() == Path("v0001")
    assert [path.name for path in trainer.models.glob("v*")] == ["v0001"]
    assert adapter(trainer) == undisturbed


@pytest.mark.parametrize("status", ["frozen", "training", "trained"])
def test_at_every_state(
    status: str, store: Path, model: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    trainer = copied(store, model, tmp_path)
    query = "select 1 from training_sessions where status = ?"
    killed(trainer, lambda: rows(trainer, query, status))
    ends_as_undisturbed(trainer, undisturbed)


def test_once_steps_are_made(store: Path, model: Path, undisturbed: bytes, tmp_path: Path) -> None:
    trainer = copied(store, model, tmp_path)
    killed(trainer, lambda: rows(trainer, "select 1 from training_progress where step > 2"))
    ends_as_undisturbed(trainer, undisturbed)


def test_at_random_moments(
    store: Path, model: Path, undisturbed: bytes, tmp_path: Path, *, full: bool
) -> None:
    chance = random.Random(7)
    for number in range(20 if full else 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        trainer = copied(store, model, folder)
        for _ in range(2):
            at_s = time.monotonic() + chance.uniform(4, 12)
            killed(trainer, partial(has_come, at_s))
        ends_as_undisturbed(trainer, undisturbed)
