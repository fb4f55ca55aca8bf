"""The command: the service, what it looks at, what it refuses, and a database that goes away."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.builders import FULL
from tests.servers.postgres import query
from tests.servers.process import free_port
from tests.servers.proxy import Proxy
from tests.trainer.observe.test_notify import Manager
from tests.trainer.rounds.command import CODELUPE, LIMIT_S, TRAINER, Trainer
from tests.trainer.rounds.test_crash import rows
from tests.trainer.rounds.test_system import sources

PACKAGES = ("json", "wsgiref", "logging", "email")
POLL_S = 0.05
AWAY_S = 60.0 if FULL else 5.0
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def trainer(tmp_path: Path, model: Path) -> Trainer:
    made = Trainer.of(tmp_path, model, str(tmp_path / "store.db"))
    made.json("ingest", *sources(tmp_path / "code", PACKAGES), program=CODELUPE)
    return made


def wait(holds: Callable[[], object]) -> None:
    until = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(POLL_S)


def asked(port: int, path: str) -> Any:
    """None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.read().decode()
    except OSError:
        return None


def test_the_service_trains_tells_and_stops(trainer: Trainer) -> None:
    manager, port = Manager(str(trainer.folder / "notify")), free_port()
    with manager.socket:
        told = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000000"}
        service = trainer._replace(settings={**trainer.settings, **told})
        process = service.start("run", "--port", str(port))
        manager.socket.settimeout(LIMIT_S)
        assert manager.heard() == "READY=1"
        heard: list[str] = []

        def is_published() -> bool:
            heard.extend(manager.waiting())
            return '"v0001"' in (asked(port, "/status") or "")

        wait(is_published)
        health = json.loads(asked(port, "/health"))
        assert health["status"] == "healthy"
        assert health["last_trained_id"] > 0
        metrics = asked(port, "/metrics")
        assert 'outcome="completed"' in metrics
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=LIMIT_S)[1]
        assert process.returncode == 0, said
        heard.extend(manager.waiting())
        assert "STOPPING=1" in heard
        assert any("WATCHDOG=1" in one for one in heard)
    assert (trainer.models / "active").readlink() == Path("v0001")


def test_what_is_planned_and_looked_at(trainer: Trainer) -> None:
    planned = trainer.json("plan")
    rows = planned["rows"]
    assert sum(planned["taken"].values()) + sum(planned["not_taken"].values()) == rows["to"]
    assert planned["memory"]["fits"]
    seen = trainer.json("samples", "--limit", "5")
    assert len(seen) == 5
    assert all(any(part["supervised"] for part in one["parts"]) for one in seen)
    before = trainer.json("status")
    assert (before["state"], before["active_version"], before["runs"]) == ("waiting", None, 0)
    trainer.json("once")
    [version] = trainer.json("versions", "--activate", "v0001")
    assert (version["version"], version["is_active"]) == ("v0001", True)


def test_the_first_round_from_scratch_is_planned_with_all_weights(trainer: Trainer) -> None:
    scratch = trainer._replace(settings={**trainer.settings, "CODELUPE_PROFILE": "demo"})
    planned = scratch.json("plan")["memory"]
    assert "adapter" not in planned["items"]
    assert planned["trained_parameters"] * 4 == planned["items"]["gradients"]


def test_a_loss_that_is_no_number_is_a_failure_for_scripts(trainer: Trainer) -> None:
    process = trainer.start("once", "--json", "--set", "training.base_learning_rate=1e30")
    out, said = process.communicate(timeout=LIMIT_S)
    told = json.loads(out)
    assert (told["session"]["status"], told["version"]) == ("diverged", None), said
    assert process.returncode == 1


def test_planned_and_measured_agree(trainer: Trainer) -> None:
    measured = trainer.json("plan", "--measure")["measured"]
    for part in ("weights", "adapter", "gradients"):
        assert measured[part]["planned"] == pytest.approx(measured[part]["measured"], rel=0.05)


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["--profile", "qwen2.5-coder-14"], 2, "qwen2.5-coder-14b"),
        (["--set", "training.learning_rate=1"], 2, "base_learning_rate"),
        (["--set", "model.name=/no/such/model"], 1, "model.name"),
        (["--store", "/no/such/store.db"], 1, "codelupe ingest"),
        (["--source", "mysql"], 2, "processed_files"),
        (["--device", "cuda"], 1, "would fit"),
    ],
    ids=["profile", "key", "model", "store", "source", "device"],
)
def test_what_is_refused(trainer: Trainer, arguments: list[str], code: int, said: str) -> None:
    returned, line = trainer.fails("once", *arguments)
    assert (returned, said in line) == (code, True), line


def test_two_processes_are_one_trainer(trainer: Trainer) -> None:
    """As on two GPUs: one version, and both processes end well, also where nothing is due."""
    torchrun = TRAINER.with_name("torchrun")
    here = ("--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0")
    alone = trainer._replace(settings={**trainer.settings, "GLOO_SOCKET_IFNAME": "lo"})
    command = (*here, "--local-addr=127.0.0.1", str(TRAINER), "once")
    told = alone.json(*command, program=torchrun)
    assert (told["session"]["status"], told["version"]["version"]) == ("completed", "v0001")
    assert alone.json(*command, program=torchrun)["session"] is None


def test_the_service_is_one_process(trainer: Trainer) -> None:
    among = trainer._replace(settings={**trainer.settings, "WORLD_SIZE": "2"})
    assert among.fails("run") == (
        2, "codelupe-trainer: `run` is one process: under torchrun it is `codelupe-trainer once`"
    )  # fmt: skip


def test_a_stop_leaves_the_round_open(trainer: Trainer) -> None:
    process = trainer.start("once", "--json", "--set", "training.epochs=50")
    trained = "select 1 from training_progress where step > 2"
    wait(lambda: rows(trainer, trained))
    process.send_signal(signal.SIGTERM)
    told = json.loads(process.communicate(timeout=LIMIT_S)[0])
    assert (process.returncode, told["session"]["status"]) == (130, "training")
    assert trainer.json("status")["state"] == "training"
    again = trainer.json("once", "--anew")
    assert again["session"]["status"] == "completed"
    assert again["session"]["id"] != told["session"]["id"]


def test_a_database_that_is_away_for_a_while_costs_only_time(
    tmp_path: Path, model: Path, postgres_url: str
) -> None:
    with Proxy(postgres_url) as proxy:
        trainer = Trainer.of(tmp_path, model, proxy.url)
        trainer.json("ingest", *sources(tmp_path / "code", PACKAGES), program=CODELUPE)
        process = trainer.start("once", "--json")
        training = "select 1 from training_sessions where status = 'training'"
        wait(lambda: has_tables(postgres_url) and query(postgres_url, training))
        proxy.refuse()
        time.sleep(AWAY_S)
        proxy.normal()
        out, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, said
    assert json.loads(out)["session"]["status"] == "completed"
    assert query(postgres_url, "select count(*) from model_versions") == [(1,)]


def has_tables(url: str) -> bool:
    [(name,)] = query(url, "select to_regclass('training_sessions')::text")
    return name is not None
