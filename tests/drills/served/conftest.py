"""Servers of one's own to stop and kill, a corpus of many small repositories beside the larger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import builders
from tests.drills.process import done, ingest, state
from tests.drills.served.state import Corpus, Site
from tests.servers.elasticsearch import Elasticsearch, wipe
from tests.servers.fixtures import had
from tests.servers.postgres import Postgres, fresh_database
from tests.servers.process import Server
from tests.servers.redis import Redis

LICENSES = (b"MIT", b"GPL-3.0-only", b"")


@pytest.fixture(scope="session")
def corpus(sources: list[Path], tmp_path_factory: pytest.TempPathFactory, *, full: bool) -> Corpus:
    home = tmp_path_factory.mktemp("small")
    small = [small_repo(home / f"r{n:03}.git", n) for n in range(400 if full else 40)]
    return made_of([*sources, *small], tmp_path_factory.mktemp("undisturbed"))


def made_of(sources: list[Path], folder: Path) -> Corpus:
    done(ingest(folder / "store.db", sources))
    return Corpus(sources, state(folder / "store.db"))


def small_repo(path: Path, number: int) -> Path:
    """Ten files: one stands in all of these repositories, another in every seventh."""
    files = {b"own_%d.py" % n: text(b"own_%d_%d" % (number, n)) for n in range(8)}
    files[b"lib/common_%d.py" % (number % 4)] = text(b"common")
    files[b"group.py"] = text(b"group_%d" % (number % 7))
    if license_id := LICENSES[number % len(LICENSES)]:
        files[b"LICENSE"] = b"SPDX-License-Identifier: %b\n" % license_id
    return builders.repo(path, files)


def text(name: bytes) -> bytes:
    return b"def %b(width, height):\n    return width * height\n\n\n" % name * 4


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[Postgres]:
    """Not the one whose connections other tests keep."""
    with had(Postgres) as server:
        yield server


@pytest.fixture
def servers(
    own_postgres: Postgres, redis_server: Redis, elasticsearch_server: Elasticsearch
) -> Iterator[dict[str, Server]]:
    """By the setting that names them: empty, and running again after whatever is done to them."""
    with redis_server.client() as client:
        client.flushall()
    wipe(elasticsearch_server.url)
    found: dict[str, Server] = {
        "store": own_postgres, "redis": redis_server, "elasticsearch": elasticsearch_server
    }  # fmt: skip
    yield found
    for server in found.values():
        if not server.pids:
            server.start()


@pytest.fixture
def urls(servers: dict[str, Server]) -> Iterator[dict[str, str]]:
    """A fresh database, and the other servers."""
    with fresh_database(servers["store"].url) as database:
        yield {name: server.url for name, server in servers.items()} | {"store": database}


@pytest.fixture
def site(corpus: Corpus, urls: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    """On all three servers."""
    with Site(corpus, tmp_path, urls["store"], **urls) as opened:
        yield opened
