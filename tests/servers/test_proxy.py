"""The proxy does to connections what it is told, and counts it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis as RedisClient
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from tests.servers.proxy import Proxy


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(redis_url) as between:
        yield between


@pytest.fixture
def client(proxy: Proxy) -> Iterator[RedisClient]:
    with RedisClient.from_url(proxy.url, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as through:
        through.set("key", "v" * 1000)
        yield through


def test_it_passes_everything_on(proxy: Proxy, client: RedisClient) -> None:
    big = b"x" * 3_000_000
    client.set("big", big)
    assert client.get("big") == big
    assert (proxy.connections, proxy.cuts, proxy.halved) == (1, 0, 0)


def test_it_delays_each_chunk_either_way(proxy: Proxy, client: RedisClient) -> None:
    proxy.delay(0.2)
    asked_at = time.monotonic()
    assert client.get("key") == b"v" * 1000
    assert time.monotonic() - asked_at >= 0.4
    proxy.normal()
    assert proxy.delay_s == 0


def test_it_cuts_what_is_open_and_takes_new_ones(proxy: Proxy) -> None:
    address = ("127.0.0.1", urlsplit(proxy.url).port)
    for cuts in (1, 2):
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(b"PING\r\n")
            assert client.recv(100) == b"+PONG\r\n"
            proxy.cut()
            assert client.recv(100) == b""
        assert (proxy.connections, proxy.cuts) == (cuts, cuts)


def test_it_refuses_until_told_otherwise(proxy: Proxy, client: RedisClient) -> None:
    proxy.refuse()
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            client.get("key")
    assert proxy.connections == 1
    proxy.normal()
    assert client.get("key") == b"v" * 1000
    assert proxy.connections == 2


def test_it_passes_half_an_answer_on(proxy: Proxy, client: RedisClient) -> None:
    proxy.half_answer()
    with pytest.raises(RedisConnectionError):
        client.get("key")
    assert proxy.halved == 1
    assert client.get("key") == b"v" * 1000


def test_it_outlives_the_server_behind_it() -> None:
    with Proxy("redis://127.0.0.1:1/0") as between, RedisClient.from_url(between.url) as client:
        client.set_retry(Retry(NoBackoff(), 0))
        with pytest.raises(RedisConnectionError):
            client.ping()
        assert between.connections == 1
