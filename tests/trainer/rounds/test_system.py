"""The whole system: repositories in, a version out, what is new on top, a text forgotten."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.servers.elasticsearch import Elasticsearch, wipe
from tests.servers.redis import Redis
from tests.trainer.rounds.command import CODELUPE, Trainer

STDLIB = Path(sysconfig.get_path("stdlib"))
FIRST = ("json", "email", "http", "urllib", "wsgiref", "logging")
THEN = ("html", "tomllib", "unittest", "collections")
pytestmark = pytest.mark.timeout(600)


def sources(folder: Path, packages: tuple[str, ...]) -> list[str]:
    """Each package a source of its own, apart from the machine's other users."""
    for name in packages:
        shutil.copytree(STDLIB / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return [str(folder / name) for name in packages]


@pytest.fixture
def embedded(tmp_path: Path, model: Path) -> Trainer:
    return Trainer.of(tmp_path, model, str(tmp_path / "store.db"))


@pytest.fixture
def served(
    tmp_path: Path,
    model: Path,
    postgres_url: str,
    redis_server: Redis,
    elasticsearch_server: Elasticsearch,
) -> Trainer:
    with redis_server.client() as client:
        client.flushall()
    wipe(elasticsearch_server.url)
    servers = {"redis": redis_server.url, "elasticsearch": elasticsearch_server.url}
    return Trainer.of(tmp_path, model, postgres_url, settings=servers)


def rows_of(trainer: Trainer, version: str) -> list[dict[str, Any]]:
    manifest = json.loads((trainer.models / version / "manifest.json").read_bytes())
    return [dict(zip(manifest["columns"], row, strict=True)) for row in manifest["rows"]]


def the_system_works(trainer: Trainer, *source: str) -> None:
    ingested = trainer.json("ingest", *sources(trainer.folder / "code", FIRST), program=CODELUPE)
    assert ingested["files"]["accepted"] > 30
    first = trainer.json("once", *source)
    assert first["session"]["status"] == "completed"
    seen = rows_of(trainer, first["version"]["version"])
    assert {row["origin"] for row in seen} == {"new"}
    loss = first["version"]["evaluation_results"]
    assert loss["validation loss"] < loss["validation loss before"]

    trainer.json("ingest", *sources(trainer.folder / "code", THEN), program=CODELUPE)
    second = trainer.json("once", *source)
    assert second["session"]["from_id"] == first["session"]["to_id"]
    new = {
        row["content_hash"]
        for row in rows_of(trainer, second["version"]["version"])
        if row["origin"] == "new"
    }
    assert new
    assert not new & {row["content_hash"] for row in seen}
    assert trainer.json("once", *source)["session"] is None

    status = trainer.json("status", *source)
    assert (status["runs"], status["pending"], status["state"]) == (2, 0, "waiting")
    trained = next(row["content_hash"] for row in seen if row["side"] == "train")
    forgotten = trainer.json("forget", "--content", trained, program=CODELUPE)
    assert {one["version"] for one in forgotten["versions"]} == {"v0001", "v0002"}


def test_embedded(embedded: Trainer) -> None:
    the_system_works(embedded)
    consumers = embedded.json("status", program=CODELUPE)["consumers"]
    assert consumers["trainer@small"]["lag"] <= 1


def test_on_servers(served: Trainer) -> None:
    the_system_works(served)


def test_on_servers_from_elasticsearch(served: Trainer) -> None:
    the_system_works(served, "--source", "elasticsearch")
