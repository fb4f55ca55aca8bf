"""Each server really starts, answers, survives what drills do to it, and is gone afterwards."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest
from elasticsearch import Elasticsearch as ElasticsearchClient
from redis import Redis as RedisClient

from tests.servers import mongo
from tests.servers.elasticsearch import Elasticsearch, version
from tests.servers.fixtures import alone, had
from tests.servers.postgres import Postgres, create_database, database_of, drop_database, query
from tests.servers.process import Server, program
from tests.servers.redis import Redis

ROOT = Path(__file__).parents[2]


def assert_gone(server: Server, pids: list[int]) -> None:
    assert pids
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert server.pids == []


def test_postgres_keeps_what_was_committed_through_a_kill() -> None:
    with had(Postgres) as server:
        url = server.database()
        query(url, "create table kept as select generate_series(1, 1000) as id")
        pids = server.pids
        assert len(pids) > 3
        server.kill()
        assert_gone(server, pids)
        server.start()
        assert query(url, "select count(*), sum(id) from kept") == [(1000, 500_500)]
        pids = server.pids
        server.stop()
        assert_gone(server, pids)
        folder = server.folder
    assert not folder.exists()


def test_postgres_wants_the_password_that_it_was_given() -> None:
    with had(lambda: Postgres({"max_connections": "10"}, password="s3cret")) as server:
        assert server.query("show max_connections") == [("10",)]
        assert "s3cret" not in server.url
        with pytest.raises(Exception, match="password"):
            query(server.url, "select 1", password="wrong")


def test_each_test_has_a_database_of_its_own(postgres_url: str) -> None:
    query(postgres_url, "create table mine (id int)")
    other = create_database(postgres_url)
    assert query(other, "select count(*) from pg_tables where tablename = 'mine'") == [(0,)]
    drop_database(other)
    names = [name for (name,) in query(postgres_url, "select datname from pg_database")]
    assert database_of(postgres_url) in names
    assert database_of(other) not in names
    encoding = "select getdatabaseencoding(), datcollate from pg_database where datname = $1"
    assert query(postgres_url, encoding, database_of(postgres_url)) == [("UTF8", "C.UTF-8")]


def test_redis_forgets_through_a_kill_and_a_pause_keeps_everything() -> None:
    with had(Redis) as server, server.client() as client:
        client.set("key", "value")
        server.pause()
        assert psutil.Process(server.pids[0]).status() == psutil.STATUS_STOPPED
        server.go_on()
        assert client.get("key") == b"value"
        pids = server.pids
        server.kill()
        assert_gone(server, pids)
        server.start()
        assert client.dbsize() == 0


def test_redis_with_password_tls_and_a_limit() -> None:
    options = ["--maxmemory", "2mb", "--maxmemory-policy", "allkeys-random"]
    with had(lambda: Redis(options, password="s3cret", tls=True)) as server:
        assert server.url.startswith("rediss://127.0.0.1:")
        with server.client() as client:
            assert client.config_get("maxmemory*")["maxmemory-policy"] == "allkeys-random"
        with (
            RedisClient.from_url(server.url, ssl_ca_certs=str(server.certificate)) as stranger,
            pytest.raises(Exception, match="authenticat"),
        ):
            stranger.ping()


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_has_an_empty_redis(redis_url: str, number: int) -> None:
    with RedisClient.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", number)


class Nowhere(Server):
    name = "nowhere"

    @classmethod
    def prepare(cls) -> None:
        program("codelupe-no-such-server", "no-such-package")


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_server_that_cannot_be_had_is_named(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install no-such-package"), had(Nowhere):
        pass


def test_a_server_that_a_person_names_is_used(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODELUPE_TEST_REDIS", "redis://127.0.0.1:1/3")
    with alone(request, "redis") as url:
        assert url == "redis://127.0.0.1:1/3"


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(RuntimeError, match="no_such_setting"),
        had(lambda: Redis(["--no_such_setting", "1"])),
    ):
        pass


def test_nothing_is_left_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from tests.servers.postgres import Postgres\n"
        "server = Postgres()\n"
        "server.start()\n"
        "print(server.folder, *server.pids, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    folder, *pids = done.stdout.split()
    try:
        assert len(pids) > 3
        give_up_at = time.monotonic() + 20
        while any(map(psutil.pid_exists, map(int, pids))) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        assert [pid for pid in pids if psutil.pid_exists(int(pid))] == []
    finally:
        shutil.rmtree(folder)


def test_pgbouncer_shares_a_few_connections(pgbouncer_url: str, postgres_url: str) -> None:
    async def backends(url: str, clients: int) -> int:
        connections = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(clients)]
        pids = {await connection.fetchval("select pg_backend_pid()") for connection in connections}
        for connection in connections:
            await connection.close()
        return len(pids)

    assert database_of(pgbouncer_url) == database_of(postgres_url)
    assert query(pgbouncer_url, "select current_database()") == [(database_of(postgres_url),)]
    assert asyncio.run(backends(postgres_url, 9)) == 9
    assert 1 <= asyncio.run(backends(pgbouncer_url, 9)) <= 4


def test_elasticsearch_keeps_what_was_acknowledged_through_a_kill() -> None:
    with had(Elasticsearch) as server:
        with ElasticsearchClient(server.url) as client:
            assert client.info()["version"]["number"] == version()
            client.index(index="codelupe-kept", id="1", document={"content": "parse"})
        pids = server.pids
        server.kill()
        assert_gone(server, pids)
        server.start()
        with ElasticsearchClient(server.url) as client:
            assert client.get(index="codelupe-kept", id="1")["_source"] == {"content": "parse"}
        pids = server.pids
        server.stop()
        assert_gone(server, pids)


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_has_an_elasticsearch_without_our_names(
    elasticsearch_url: str, number: int
) -> None:
    template = {"settings": {"number_of_replicas": 0}}
    with ElasticsearchClient(elasticsearch_url) as client:
        assert not client.indices.exists(index="codelupe-code")
        assert not client.indices.exists_index_template(name="codelupe-code")
        assert not client.cluster.exists_component_template(name="codelupe-code")
        client.cluster.put_component_template(name="codelupe-code", template=template)
        client.indices.put_index_template(
            name="codelupe-code", index_patterns=["codelupe-code-*"], composed_of=["codelupe-code"]
        )
        client.indices.create(index="codelupe-code-001", aliases={"codelupe-code": {}})
        client.index(index="codelupe-code", document={"number": number}, refresh=True)
        assert client.count(index="codelupe-code")["count"] == 1


def test_elasticsearch_takes_identifiers_apart(elasticsearch_url: str) -> None:
    with ElasticsearchClient(elasticsearch_url) as client:
        answer = client.indices.analyze(
            tokenizer="whitespace",
            filter=[{"type": "word_delimiter_graph", "preserve_original": True}, "lowercase"],
            text="parseHTTPRequest user_id",
        )
    tokens = {token["token"] for token in answer["tokens"]}
    assert tokens == {"parse", "httprequest", "parsehttprequest", "user", "id", "user_id"}


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_has_an_empty_mongo_database(mongo_url: str, number: int) -> None:
    with mongo.client(mongo_url) as client:
        database = client.get_default_database()
        assert database.list_collection_names() == []
        database["contents"].insert_one({"_id": number})
        assert database["contents"].count_documents({}) == 1
