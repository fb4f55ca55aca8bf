"""Servers that die, disturb, refuse, or are none."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from elasticsearch import AsyncElasticsearch

from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.consume.elasticsearch_bulk import Action, Flight, bulk
from codelupe_daemon.consume.runner import Control, Outcome, run
from codelupe_daemon.elastic import Gone, check, connect, explained, refusal
from codelupe_daemon.errors import CodeLupeError, Fatal, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from tests.consume.elastic.looking import assert_as_the_journal, count
from tests.contract.build import Ingest, text
from tests.servers.elasticsearch import Elasticsearch, wipe
from tests.servers.fixtures import had
from tests.servers.proxy import Proxy
from tests.servers.redis import certificate

pytestmark = pytest.mark.timeout(300)  # servers start, and on a busy machine they take their time
PATIENCE_S = 240.0


@asynccontextmanager
async def opened(
    clusters: SqliteClusters, journal: Journal, url: str
) -> AsyncIterator[ElasticsearchIndex]:
    """With small requests, so that there are many."""
    consumer = ElasticsearchIndex(clusters, journal, url, request_bytes=10_000)
    await consumer.open()
    yield consumer
    await consumer.close()


async def test_a_request_that_is_given_up_before_it_began_leaves_its_place_to_others() -> None:
    flight = Flight(1)

    async def given_up() -> None:
        async with bulk(es, "any", flight=flight, request_bytes=1) as writer:
            for row in range(2):  # the second sends the first on its way
                await writer.add(Action(row, b"{}\n"))
            raise KeyError

    async with connect("http://127.0.0.1:9") as es, asyncio.timeout(5):
        for _ in range(3):
            with pytest.raises(KeyError):
                await given_up()


# -- a server that dies, and a network that disturbs --------------------------------------------


async def test_a_server_that_is_killed_loses_nothing(
    journal: Journal,
    ingest: Ingest,
    clusters: SqliteClusters,
    elasticsearch_server: Elasticsearch,
) -> None:
    wipe(elasticsearch_server.url)
    for number in range(3):
        files = {f"{n}.py": text(f"word{number}x{n}") for n in range(300)}
        await ingest.complete(f"a/{number}", files)
    async with (
        connect(elasticsearch_server.url) as es,
        opened(clusters, journal, elasticsearch_server.url) as consumer,
    ):
        control, told = Control(), list[str]()
        control.drain()
        running = asyncio.create_task(
            run(
                journal,
                consumer,
                owner=this_process(),
                control=control,
                page_rows=60,
                patience_s=PATIENCE_S,
                told=lambda error: told.append(str(error)),
            )
        )
        while await consumer.watermark() < 200:  # noqa: ASYNC110 - it happens on the server
            await asyncio.sleep(0.01)
        await asyncio.to_thread(elasticsearch_server.kill)
        assert not running.done()
        await asyncio.to_thread(elasticsearch_server.start)
        assert await running is Outcome.CAUGHT_UP
        assert any("cannot be reached" in error for error in told)
        assert await consumer.dead_letters() == []
        await assert_as_the_journal(journal, consumer, es)


async def test_a_network_that_cuts_and_half_answers_loses_nothing(
    journal: Journal,
    ingest: Ingest,
    clusters: SqliteClusters,
    elasticsearch_url: str,
    es: AsyncElasticsearch,
) -> None:
    for number in range(3):
        files = {f"{n}.py": text(f"word{number}x{n}") for n in range(200)}
        await ingest.complete(f"a/{number}", files)
    with Proxy(elasticsearch_url) as proxy:
        async with opened(clusters, journal, proxy.url) as consumer:
            control = Control()
            control.drain()
            running = asyncio.create_task(
                run(
                    journal,
                    consumer,
                    owner=this_process(),
                    control=control,
                    page_rows=20,
                    patience_s=PATIENCE_S,
                )
            )
            done = 0
            while not running.done():
                await asyncio.sleep(0.02)
                if await consumer.watermark() >= done + 100:
                    done = await consumer.watermark()
                    proxy.half_answer(2)
                    proxy.cut()
            assert await running is Outcome.CAUGHT_UP
            assert proxy.cuts > 2
            await assert_as_the_journal(journal, consumer, es)


# -- a server with little room ------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_server() -> Iterator[Elasticsearch]:
    """Few bytes in a request, and hardly anything may wait."""
    settings = {
        "http.max_content_length": "20kb",
        "thread_pool.write.size": "1",
        "thread_pool.write.queue_size": "1",
    }
    with had(lambda: Elasticsearch(settings)) as server:
        yield server


async def test_a_busy_server_is_asked_again(small_server: Elasticsearch) -> None:
    """It answers 200, with 429 for single documents."""
    async with connect(small_server.url) as es:
        await es.indices.create(index="busy", mappings={"properties": {"text": {"type": "text"}}})
        with explained():
            async with bulk(
                es, "busy", is_alias=False, request_bytes=15_000, flight=Flight(8)
            ) as writer:
                for number in range(400):
                    await writer.add(_action(number, f"word{number} " * 200))
        assert writer.refused == []
        assert writer.actions == 400
        await es.indices.refresh(index="busy")
        assert await count(es, {"match_all": {}}, "busy") == 400
        stats = await es.nodes.stats(metric="thread_pool")
        [node] = stats["nodes"].values()
        assert node["thread_pool"]["write"]["rejected"] > 0


async def test_a_request_that_is_too_large_is_halved(small_server: Elasticsearch) -> None:
    async with connect(small_server.url) as es:
        await es.indices.create(index="narrow")
        async with bulk(es, "narrow", is_alias=False, request_bytes=100_000) as writer:
            for number in range(60):
                await writer.add(_action(number, "word " * 300))
            await writer.add(_action(99, "x" * 30_000))
        [letter] = writer.refused
        assert letter.id == 99
        assert "no request so large" in letter.reason
        await es.indices.refresh(index="narrow")
        assert await count(es, {"match_all": {}}, "narrow") == 60


def _action(number: int, source: str) -> Action:
    return Action(number, b'{"index":{"_id":"%d"}}\n{"text":"%b"}\n' % (number, source.encode()))


# -- what is no Elasticsearch, or lets nobody in ------------------------------------------------


class _Website(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<p>It works!</p>"
        self.send_response(404 if self.path == "/missing/" else 200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def website(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    """With a certificate of its own where the test asks for TLS."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Website) as server:
        if getattr(request, "param", "") == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            path = certificate(tmp_path)
            context.load_cert_chain(path, path.with_suffix(".key"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


async def said(url: str, ca: Path | None = None) -> tuple[type[CodeLupeError], str]:
    """What comes of a server of that address."""
    with pytest.raises(CodeLupeError) as raised:
        async with connect(url, ca) as es:
            await check(es)
    return type(raised.value), str(raised.value)


@pytest.mark.parametrize("path", ["", "missing/"])
async def test_a_website_is_no_elasticsearch(website: ThreadingHTTPServer, path: str) -> None:
    what, message = await said(f"http://127.0.0.1:{website.server_port}/{path}")
    assert what is Fatal
    assert message == "the server that CODELUPE_ELASTICSEARCH names is no Elasticsearch"


@pytest.mark.parametrize("website", ["tls"], indirect=True)
async def test_a_certificate_has_to_fit(website: ThreadingHTTPServer, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{website.server_port}"
    what, message = await said(url)
    assert what is Fatal
    assert "the certificate of CODELUPE_ELASTICSEARCH does not fit" in message
    assert "CODELUPE_ELASTICSEARCH_CA" in message
    _, message = await said(url, tmp_path / "server.pem")
    assert message == "the server that CODELUPE_ELASTICSEARCH names is no Elasticsearch"


async def test_a_server_without_tls_is_told(elasticsearch_url: str) -> None:
    what, message = await said(elasticsearch_url.replace("http://", "https://"))
    assert what is Fatal
    assert message == "the server that CODELUPE_ELASTICSEARCH names speaks no TLS: write http://"


async def test_nobody_listens() -> None:
    what, message = await said("http://127.0.0.1:1")
    assert what is Transient
    assert "(CODELUPE_ELASTICSEARCH) cannot be reached" in message


@pytest.mark.parametrize(
    "url",
    ["http://", "http://127.0.0.1:99999", "http://ada:pass/word@127.0.0.1:9200"],
    ids=["no host", "no port", "a slash in the password"],
)
def test_what_is_no_url_is_told_without_the_password(url: str) -> None:
    with pytest.raises(Fatal, match="CODELUPE_ELASTICSEARCH is no URL") as raised:
        connect(url)
    assert "pass" not in str(raised.value).replace("PASSWORD", "").replace("in the password", "")


@pytest.mark.parametrize("ca", ["missing.pem", "empty.pem"])
def test_certificates_have_to_be_there(tmp_path: Path, ca: str) -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(Fatal, match=f"CODELUPE_ELASTICSEARCH_CA=.*{ca} cannot be used"):
        connect("https://127.0.0.1:9200", tmp_path / ca)


@pytest.mark.parametrize(
    "status, kind, what, message",
    [
        (401, "security_exception", Fatal, "refuses user and password"),
        (403, "security_exception", Fatal, "does not allow the user of CODELUPE_ELASTICSEARCH"),
        (400, "mapper_parsing_exception", Fatal, "refuses (400): mapper_parsing_exception why"),
        (404, "index_not_found_exception", Gone, "why"),
        (429, "circuit_breaking_exception", Transient, "is busy (429)"),
        (503, "unavailable_shards_exception", Transient, "is busy (503)"),
        (409, "version_conflict_engine_exception", Transient, "is busy (409)"),
    ],
)
def test_what_a_refusal_means(
    status: int, kind: str, what: type[CodeLupeError], message: str
) -> None:
    """Also of servers with a login, which the one in these tests has not."""
    error = refusal(status, {"type": kind, "reason": "why"})
    assert type(error) is what
    assert message in str(error)


async def test_credentials_go_where_the_server_looks_for_them(
    website: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def answer(self: _Website) -> None:
        seen.append(self.headers["authorization"])
        self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()

    monkeypatch.setattr(_Website, "do_GET", answer)
    host = f"127.0.0.1:{website.server_port}"
    for user in ("ada:s%40fe", "a%3Dkey", ""):
        what, message = await said(f"http://{user}@{host}")
        assert what is Fatal
        assert "see to CODELUPE_ELASTICSEARCH" in message
        assert "s@fe" not in message
    assert seen == ["Basic YWRhOnNAZmU=", "ApiKey a=key", None]
