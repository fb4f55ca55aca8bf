"""Elasticsearch answers what the embedded index does, and says so where it cannot."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codelupe_daemon.elastic import WATERMARKS, connect
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.search import elasticsearch as searching
from codelupe_daemon.search import engine
from codelupe_daemon.search.elasticsearch import ElasticsearchEngine
from codelupe_daemon.syntax.identifiers import WORD, parts
from tests.search.stores import Store, elasticsearch, fts5

MODULES = [
    "argparse.py", "asyncio/events.py", "base64.py", "encodings/cp1140.py", "html/__init__.py",
    "http/server.py", "json/decoder.py", "pathlib.py", "re/_compiler.py", "tarfile.py", "typing.py",
    "unittest/mock.py", "xml/dom/minidom.py", "zipfile.py",
]  # fmt: skip
ODD = {
    "a[1].py": "tusks = '\u6f22\u5b57 STRA\u00dfE stra\u00dfe' # \u0130stanbul",
    "we*ird?/x.py": "tusks = 0xABCD + 0b11 + 1_000 + 0x1.8c4f55p",
    r"back\x5cslash/\xff.py": "tusks = HTTPServer2(__init__, x_y, _a1B2_, iPhone5GHz)",
    "src/deep/er/y.py": "tusks = '\U00010400\U00010428 \ufb01n \u01c5 \u2160'",
    "src.py": "tusks = 'x' + TuSKs",
}
FILTERS = [
    "", "path:src", "path:src/", "path:*.py", "path:src/*/y.py", "path:a[[]1].py", r"path:*\x5c*",
    "path:[!s]*", "path:we*", 'path:"we*ird?"', "repo:odd", "repo:o/odd", "repo:[l-o]*/*",
    "repo:?/*", "language:PYTHON", "language:rust", "quality:<0.8", "quality:>=0.8",
    "quality:<=0.8",
]  # fmt: skip


@pytest.fixture
async def both(
    journal: Journal, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Store, Store]]:
    async with fts5(journal, request) as embedded, elasticsearch(journal, request) as served:
        yield embedded, served


async def same(both: tuple[Store, Store], query: str, limit: int = 20) -> int:
    """How many contents match, once both engines have answered the same."""
    embedded, served = [await store.search(query, limit=limit) for store in both]
    assert served == embedded
    return embedded.total


def queries_about(texts: list[str], count: int) -> list[str]:
    """Words and phrases of these texts, in other spellings."""
    chosen = random.Random(7)
    made = []
    for _ in range(count):
        text = chosen.choice(texts)
        word = chosen.choice([word for word in WORD.findall(text) if len(word) > 1])
        at = chosen.randrange(len(text) - 30)
        phrase = text[at : at + chosen.randrange(4, 30)].replace("\\", r"\\").replace('"', r"\"")
        spellings = [
            word,
            word.swapcase(),
            (parts(word) or [word])[-1] + " def",
            f'return "{phrase}"',
        ]
        made.append(chosen.choice(spellings))
    return made


async def test_the_same_matches_and_lines_in_the_same_order(both: tuple[Store, Store]) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    files = {name: (library / name).read_text("utf-8") for name in MODULES}
    await both[0].ingest.complete("python/library", files)
    await both[0].ingest.complete("o/odd", ODD)
    for store in both:
        await store.follow()
    totals = [await same(both, query) for query in queries_about([*files.values()], 60)]
    assert sum(total > 1 for total in totals) > 20
    words = [word for text in ODD.values() for word in WORD.findall(text) if len(word) > 1]
    assert [word for word in words if not await same(both, word)] == []


async def test_the_same_filters(both: tuple[Store, Store]) -> None:
    await both[0].ingest.complete("o/odd", ODD)
    await both[0].put("l/low", {"src/x.rs": ("let tusks = 1; // two", "Rust", 0.799)})
    for store in both:
        await store.follow()
    totals = {filter_: await same(both, f"tusks {filter_}") for filter_ in FILTERS}
    assert list(totals.values()) == [6, 2, 2, 5, 1, 1, 1, 3, 1, 1, 5, 5, 6, 6, 5, 1, 1, 5, 6]


async def test_more_matches_than_one_answer_holds(
    both: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "PAGE_ROWS", 3)
    await both[0].ingest.complete("a/a", {f"{n}.py": f"walrus = {n}" for n in range(9)})
    for store in both:
        await store.follow()
    assert await same(both, "walrus") == 9
    monkeypatch.setattr(engine, "CANDIDATES_MAX", 5)
    assert await same(both, "walrus") == 5


async def test_no_index_yet(journal: Journal, elasticsearch_url: str) -> None:
    async with connect(elasticsearch_url) as es:
        with pytest.raises(Fatal, match="codelupe replay elasticsearch"):
            await ElasticsearchEngine(journal, es).search("walrus")


async def test_no_server(journal: Journal) -> None:
    async with connect("http://127.0.0.1:1") as es:
        with pytest.raises(Transient, match="CODELUPE_ELASTICSEARCH"):
            await ElasticsearchEngine(journal, es).search("walrus")


async def test_a_marker_that_was_lost_promises_nothing(both: tuple[Store, Store]) -> None:
    _, served = both
    await served.ingest.complete("a/a", {"x.py": "walrus = 1"})
    await served.follow()
    assert (await served.search("walrus")).watermark == 1
    assert isinstance(served.engine, ElasticsearchEngine)
    await served.engine._es.indices.delete(index=WATERMARKS)
    lost = await served.search("walrus")
    assert (lost.total, lost.watermark) == (1, 0)
