"""Fixtures: one server of a kind a session, started for the first test that wants it.

`CODELUPE_TEST_POSTGRES`, `..._REDIS`, `..._ELASTICSEARCH` and `..._MONGO` name servers to use
for the `*_url` fixtures instead; the `*_server` fixtures always start their own.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import pytest
from redis import Redis as RedisClient

from tests.servers import mongo
from tests.servers.elasticsearch import Elasticsearch, wipe
from tests.servers.mongo import Mongo
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres, fresh_database
from tests.servers.process import Server, Unavailable
from tests.servers.redis import Redis

Kind = TypeVar("Kind", bound=Server)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with had(Postgres) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with had(Redis) as server:
        yield server


@pytest.fixture(scope="session")
def elasticsearch_server() -> Iterator[Elasticsearch]:
    with had(Elasticsearch) as server:
        yield server


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[Mongo]:
    with had(Mongo) as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer_server(request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    url = url_of(request, "postgres")
    with had(lambda: PgBouncer(url)) as server:
        yield server


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database, dropped afterwards."""
    with fresh_database(url_of(request, "postgres")) as url:
        yield url


@pytest.fixture
def pgbouncer_url(postgres_url: str, pgbouncer_server: PgBouncer) -> str:
    """The same database as `postgres_url`, through the bouncer."""
    return pgbouncer_server.through(postgres_url)


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database."""
    with alone(request, "redis") as url:
        with RedisClient.from_url(url, socket_timeout=10) as client:
            client.flushdb()
        yield url


@pytest.fixture
def elasticsearch_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Without any index or template of ours."""
    with alone(request, "elasticsearch") as url:
        wipe(url)
        yield url


@pytest.fixture
def mongo_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without collections, dropped afterwards."""
    with mongo.fresh_database(url_of(request, "mongo")) as url:
        yield url


@contextmanager
def had(make: Callable[[], Kind]) -> Iterator[Kind]:
    """The running server; a skipped test where it cannot be had, with CI=true a failed one."""
    try:
        server = make()
    except Unavailable as error:
        why = str(error)
    else:
        with server:
            yield server
        return
    not_had(why)


def not_had(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def url_of(request: pytest.FixtureRequest, name: str) -> str:
    """The URL of the server that a person named, or of one that is started now."""
    given = os.environ.get(f"CODELUPE_TEST_{name.upper()}")
    if given:
        return given
    server: Server = request.getfixturevalue(f"{name}_server")
    return server.url


@contextmanager
def alone(request: pytest.FixtureRequest, name: str) -> Iterator[str]:
    """The URL; no other worker of this run uses it meanwhile, also where a person named it."""
    url = url_of(request, name)
    base = request.getfixturevalue("tmp_path_factory").getbasetemp()
    with (base.parent / f"{name}.lock").open("w") as lock:
        if os.environ.get(f"CODELUPE_TEST_{name.upper()}"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield url
