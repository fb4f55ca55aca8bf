"""What CODELUPE_REDIS may wrongly name: told before any work, and never with the password."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis as Client

from codelupe_daemon.errors import Fatal
from codelupe_daemon.queues.redis_link import TYPES, Key, Link, _unfit
from tests.servers.fixtures import had
from tests.servers.postgres import Postgres
from tests.servers.process import free_port
from tests.servers.redis import Redis

SECRET = "s3cret"


async def refused(url: str) -> str:
    with pytest.raises(Fatal) as failure:
        await Link(url).open()
    words = str(failure.value)
    assert "CODELUPE_REDIS" in words
    assert SECRET not in words
    assert failure.value.__cause__ is None
    return words


async def accepted(url: str) -> Link:
    link = Link(url)
    await link.open()
    await link.close()
    return link


@pytest.fixture(scope="module")
def guarded() -> Iterator[Redis]:
    with had(lambda: Redis(password=SECRET)) as server:
        yield server


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Redis]:
    with had(lambda: Redis(password=SECRET, tls=True)) as server:
        yield server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "http://localhost",
        "redis://",
        "redis://localhost:port/0",
        "redis://localhost:99999/0",
        "redis://localhost/zero",
        "redis://localhost/0/1",
        "redis://localhost/0?socket_timeout=1",
        "redis://localhost/0?ssl_ca_certs=/etc/hosts",
        "rediss://localhost/0?ssl_other=1",
        "redis://localhost/0#1",
        "redis://[::1/0",
        "unix://",
        f"redis://:{SECRET}#1@localhost/0",
        f"redis://:{SECRET}/1@localhost/0",
        f"redis://{SECRET}/1@localhost/0",
        f"redis://{SECRET}?1@localhost/0",
        f"redis://localhost/0?password={SECRET}",
    ],
)
def test_what_is_no_url_of_a_redis(url: str) -> None:
    with pytest.raises(Fatal, match="CODELUPE_REDIS is not of the form redis://") as failure:
        Link(url)
    assert SECRET not in str(failure.value)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (f"redis://:{SECRET}@localhost", "redis://localhost:6379/0"),
        (f"redis://ada:{SECRET}@localhost:1/3", "redis://localhost:1/3"),
        ("redis://[::1]:1/", "redis://[::1]:1/0"),
        ("rediss://localhost?ssl_check_hostname=false", "rediss://localhost:6379/0"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock"),
    ],
)
def test_what_is_shown_of_a_url(url: str, location: str) -> None:
    assert Link(url).location == location


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:s3cret@"])
async def test_a_wrong_password(guarded: Redis, user: str) -> None:
    url = f"redis://{user}127.0.0.1:{guarded.port}/0"
    assert "refuses the user or the password" in await refused(url)


async def test_a_password_where_none_is_wanted(redis_server: Redis) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{redis_server.port}/0"
    assert "refuses the user or the password" in await refused(url)


async def test_the_right_password(guarded: Redis) -> None:
    await accepted(f"redis://:{SECRET}@127.0.0.1:{guarded.port}/0")
    await accepted(f"redis://default:{SECRET}@127.0.0.1:{guarded.port}/15")


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        ("~pipeline:* ~codelupe:* +@all -eval", "'eval' command"),
        ("~pipeline:* ~codelupe:* +@all -info", "'info' command"),
        ("~codelupe:* +@all", "the keys"),
        ("~pipeline:* +@all", "the keys"),
    ],
)
async def test_a_user_that_lacks_a_right(guarded: Redis, rights: str, missing: str) -> None:
    with guarded.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ada", "reset", "on", f">{SECRET}", *rights.split())
    url = f"redis://ada:{SECRET}@127.0.0.1:{guarded.port}/0"
    words = await refused(url)
    assert "lacks a right" in words
    assert missing in words
    with guarded.client() as admin:
        admin.execute_command("ACL", "SETUSER", "ada", "~pipeline:*", "~codelupe:*", "+@all")
    await accepted(url)


async def test_a_database_that_is_not_there(redis_server: Redis) -> None:
    assert "databases are numbered" in await refused(f"redis://127.0.0.1:{redis_server.port}/99")


async def test_certificates(encrypted: Redis, tmp_path: Path) -> None:
    user, port = f":{SECRET}@", encrypted.port
    trusted = f"ssl_ca_certs={encrypted.certificate}"
    await accepted(f"rediss://{user}127.0.0.1:{port}/0?{trusted}")
    await accepted(f"rediss://{user}127.0.0.1:{port}/0?ssl_cert_reqs=none&ssl_check_hostname=false")
    for url in (
        f"rediss://{user}127.0.0.1:{port}/0",  # its authority is not known
        f"rediss://{user}localhost:{port}/0?{trusted}",  # it is another host's
        f"rediss://{user}127.0.0.1:{port}/0?ssl_ca_certs={__file__}",
    ):
        assert "TLS failed" in await refused(url)
    with pytest.raises(Fatal, match="there is no such file"):
        Link(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/none.pem")


async def test_tls_on_one_side_only(encrypted: Redis, redis_server: Redis) -> None:
    words = await refused(f"redis://:{SECRET}@127.0.0.1:{encrypted.port}/0")
    assert "rediss:// is with TLS" in words
    words = await refused(f"rediss://127.0.0.1:{redis_server.port}/0")
    assert "redis:// without" in words


async def test_nobody_is_there(tmp_path: Path) -> None:
    assert "cannot be reached" in await refused("redis://127.0.0.1:1/0")
    assert "cannot be reached" in await refused("redis://host.invalid/0")
    assert "cannot be reached" in await refused(f"unix://{tmp_path}/none.sock")


async def test_a_server_of_another_kind() -> None:
    async with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "not a Redis" in await refused(f"redis://127.0.0.1:{port}/0")
    async with listening(b"$11\r\nhello world\r\n") as port:
        assert "not a Redis" in await refused(f"redis://127.0.0.1:{port}/0")
    with had(Postgres) as server:
        assert "cannot be reached" in await refused(f"redis://127.0.0.1:{server.port}/0")


async def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codelupe_daemon.queues.redis_link.OPEN_S", 0.5)
    async with listening(b"") as port:
        assert "did not answer in time" in await refused(f"redis://127.0.0.1:{port}/0")


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[int]:
    """A port where everything is answered with the same."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1")
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def test_servers_that_will_not_do(redis_server: Redis) -> None:
    with had(lambda: Redis(["--replicaof", "127.0.0.1", str(redis_server.port)])) as replica:
        assert f"Name its master, 127.0.0.1:{redis_server.port}" in await refused(replica.url)
    bus = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with had(lambda: Redis(bus)) as cluster:
        assert "a single server" in await refused(cluster.url)


def test_what_info_tells(redis_server: Redis) -> None:
    with redis_server.client() as client:
        info = client.info()
    assert _unfit(info) == ""
    assert _unfit(info | {"redis_version": "6.2.0"}) == ""
    assert _unfit(info | {"redis_version": "10.0.1"}) == ""
    assert "Redis 6.0.16, and 6.2 is the oldest" in _unfit(info | {"redis_version": "6.0.16"})
    assert "not a Redis" in _unfit(info | {"redis_mode": "sentinel"})
    assert "not a Redis" in _unfit({})


@pytest.mark.parametrize("key", list(TYPES))
async def test_a_key_of_the_wrong_type(redis_url: str, key: Key) -> None:
    with Client.from_url(redis_url) as client:
        if TYPES[key] == "string":
            client.lpush(key, "a")
        else:
            client.set(key, "a")
    words = await refused(redis_url)
    assert f"the key {key} there is a " in words
    assert "Name another database" in words
