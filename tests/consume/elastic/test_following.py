"""The index holds what lives, each content at its newest row, whatever happened in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from elasticsearch import AsyncElasticsearch

from codelupe_daemon.consume import elasticsearch as consuming
from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.consume.runner import Control, LeaseLost, Outcome, run
from codelupe_daemon.elastic import CODE
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import Cluster
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import Part
from codelupe_daemon.syntax.identifiers import split
from tests.consume.elastic.looking import assert_as_the_journal, count, marker, visible
from tests.consume.following import catch_up
from tests.contract.build import (
    COMMIT,
    EXAMINER,
    EXPIRED_S,
    LEASE_S,
    Ingest,
    all_live,
    content,
    hash_of,
    occurrence,
    repo,
    text,
)


async def test_a_document_has_every_field(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    source = text("walrus")
    visit = await ingest.begin(repo("a/a", "MIT", 7, 2, 1_700_000_000))
    signals = b'{"lines":6,"naming":0.9,"names":["walrus","Walrus.swim"]}'
    made = content(journal, source, signals=signals)
    listed = [occurrence("src/gr\u00f6\u00dfe.py", source)]
    await journal.append([Part(visit, COMMIT, EXAMINER, listed, {made.key: made})])
    await journal.release(visit, "done", None)
    assert await catch_up(journal, consumer) is Outcome.CAUGHT_UP
    [live] = await all_live(journal)
    answer = await es.search(index=CODE, version=True)
    [hit] = answer["hits"]["hits"]
    assert (hit["_id"], hit["_version"]) == (hash_of(source).hex(), 1)
    assert hit["_source"] == {
        "content": source,
        "symbols": ["walrus", "Walrus.swim"],
        "content_hash": hash_of(source).hex(),
        "content_chars": len(source),
        "language": "Python",
        "quality_score": 0.8,
        "license": live.license,
        "repo": "a/a",
        "file_path": "src/gr\u00f6\u00dfe.py",
        "commit": COMMIT.hex(),
        "stars": 7,
        "forks": 2,
        "pushed_at": 1_700_000_000,
        "created_at": live.created_at,
        "journal_id": 1,
        "add_id": 1,
        "signals": {"lines": 6, "naming": 0.9, "names": ["walrus", "Walrus.swim"]},
        "cluster_id": None,
        "cluster_winner": None,
    }
    for query in (
        {"match": {"content": "WALRUS"}}, {"term": {"content.exact": "walrus"}},
        {"match": {"symbols": "swim"}}, {"term": {"symbols.exact": "Walrus.swim"}},
        {"term": {"language.folded": "python"}}, {"term": {"full_name": "a/a"}},
        {"term": {"file_path.tree": "src"}}, {"match": {"file_path.words": "gr\u00f6\u00dfe"}},
        {"range": {"quality_score": {"gte": 0.8}}}, {"range": {"stars": {"gt": 6}}},
        {"range": {"pushed_at": {"gte": "2023-11-01", "format": "strict_date"}}},
    ):  # fmt: skip
        assert await count(es, query) == 1, query
    assert await count(es, {"term": {"content.exact": "Walrus"}}) == 0


async def test_the_terms_of_a_word_are_those_of_the_embedded_index(
    journal: Journal, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await catch_up(journal, consumer)
    words = [
        "read_file", "readFile", "READ_FILE", "parseHTTPRequest", "HTTPServer", "getURL",
        "user_id2", "sha256sum", "__init__", "Gr\u00f6\u00dfeMessen", "x", "utf8",
        "w" * 65, "w" * 129,
    ]  # fmt: skip
    for word in words:
        answer = await es.indices.analyze(index=CODE, analyzer="code", text=f"({word});")
        tokens = {token["token"] for token in answer["tokens"]}
        assert tokens >= set(split(word)), word
        assert all(2 <= len(token) <= 64 for token in tokens), word


async def test_follows_adds_moves_removals_and_returns(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await ingest.complete("z/z", {f"{n}.py": text(f"word{n}") for n in range(5)})
    await catch_up(journal, consumer)
    await assert_as_the_journal(journal, consumer, es)
    await ingest.complete(repo("a/a", "MIT", 100), {"x.py": text("word1")})
    await catch_up(journal, consumer)
    assert await count(es, {"bool": {"filter": [{"term": {"repo": "a/a"}}]}}) == 1
    await ingest.complete("z/z", {"new.py": text("word9")})
    await catch_up(journal, consumer)
    await assert_as_the_journal(journal, consumer, es)
    await ingest.complete("z/z", {"back.py": text("word3")})
    await catch_up(journal, consumer)
    await assert_as_the_journal(journal, consumer, es)
    await journal.forget_content(hash_of(text("word1")))
    await catch_up(journal, consumer)
    await assert_as_the_journal(journal, consumer, es)
    assert len(await visible(es)) == 1


async def test_a_page_taken_again_long_after_brings_nothing_back(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    """Elasticsearch takes an old version once it has forgotten the delete: here at once."""
    await ingest.complete("a/a", {f"{n}.py": text(f"word{n}") for n in range(6)})
    old = await journal.read(0, 100)
    await catch_up(journal, consumer)
    await es.indices.put_settings(index=CODE, settings={"index.gc_deletes": "0s"})
    await ingest.complete("a/a", {"0.py": text("word0"), "moved.py": text("word1")})
    await catch_up(journal, consumer)
    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    for page in (old, old[2:], old[:3]):
        await consumer.apply(page, lease)
        await consumer.caught_up(lease)
        await assert_as_the_journal(journal, consumer, es)
    assert len(await visible(es)) == 2


async def test_what_scores_low_is_left_out_and_taken_out(
    journal: Journal,
    ingest: Ingest,
    clusters: SqliteClusters,
    elasticsearch_url: str,
    es: AsyncElasticsearch,
) -> None:
    async def judge(path: str, source: str, score: float, examiner: str) -> None:
        visit = await ingest.begin("a/a")
        made = content(journal, source, score=score)
        part = Part(visit, COMMIT, examiner, [occurrence(path, source)], {made.key: made})
        await journal.append([part])
        await journal.release(visit, "incomplete", None)

    picky = ElasticsearchIndex(clusters, journal, elasticsearch_url, min_quality=0.7)
    await picky.open()
    for path, score in (("low.py", 0.699), ("just.py", 0.7), ("good.py", 0.9)):
        await judge(path, text(path[:-3]), score, EXAMINER)
    await catch_up(journal, picky)
    low, just, good = (hash_of(text(word)).hex() for word in ("low", "just", "good"))
    assert (await visible(es)).keys() == {just, good}
    await judge("low.py", text("low"), 0.8, "examiner-2")
    await judge("good.py", text("good"), 0.2, "examiner-2")
    await catch_up(journal, picky)
    assert (await visible(es)).keys() == {just, low}
    assert await marker(es) == await journal.last_id() == 5
    await picky.close()


async def test_another_runner_ends_this_one(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex
) -> None:
    await ingest.complete("a/a", {"a.py": text("word")})
    old = await consumer.claim("another-machine:boot:1:1", EXPIRED_S)
    new = await consumer.claim(this_process(), LEASE_S)
    assert old is not None
    assert new is not None
    page = await journal.read(0, 10)
    for write in (consumer.apply(page, old), consumer.caught_up(old), consumer.reset(old),
                  consumer.retry(page, old)):  # fmt: skip
        with pytest.raises(LeaseLost):
            await write
    assert await consumer.watermark() == 0
    await consumer.apply(page, new)
    await consumer.caught_up(new)
    assert await consumer.watermark() == 1


async def test_readers_that_heed_the_marker_miss_nothing(
    journal: Journal,
    ingest: Ingest,
    clusters: SqliteClusters,
    elasticsearch_url: str,
    es: AsyncElasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several requests are under way: without the marker a reader passes over what comes late."""
    monkeypatch.setattr(consuming, "PUBLISH_S", 0.0)
    writer = ElasticsearchIndex(
        clusters, journal, elasticsearch_url, request_bytes=20_000, in_flight=4
    )
    await writer.open()
    await catch_up(journal, writer)
    for number in range(4):
        files = {f"{n}.py": text(f"word{number}x{n}") * (1 + n % 9) for n in range(500)}
        await ingest.complete(f"a/{number}", files)
    control = Control()
    control.drain()
    running = asyncio.create_task(
        run(journal, writer, owner=this_process(), control=control, page_rows=200)
    )
    seen: list[int] = []
    told: list[int] = []
    while not running.done() or told[-1] < 2000:
        told.append(await marker(es))
        after = seen[-1] if seen else 0
        if told[-1] > after:
            seen += await _read(es, after, told[-1])
        await asyncio.sleep(0.01)
        assert len(told) < 10_000
    assert await running is Outcome.CAUGHT_UP
    await writer.close()
    assert seen == list(range(1, 2001))
    assert told == sorted(told)
    assert len(set(told)) > 5, "it was read while it was written"


async def _read(es: AsyncElasticsearch, after: int, up_to: int) -> list[int]:
    answer = await es.search(
        index=CODE,
        query={"range": {"journal_id": {"gt": after, "lte": up_to}}},
        sort=[{"journal_id": "asc"}],
        size=10_000,
        source_includes=["journal_id"],
    )
    return [hit["_source"]["journal_id"] for hit in answer["hits"]["hits"]]


async def test_texts_that_a_page_does_not_bring_are_read_in_bounded_groups(
    journal: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {f"{n}.py": text(f"word{n}") for n in range(40)}
    await ingest.complete("z/z", files)
    await catch_up(journal, consumer)
    await ingest.complete(repo("a/a", "MIT", 9), files)  # forty moves
    read: list[int] = []
    by_hashes = journal.live_by_hashes

    async def counted(hashes: Sequence[bytes], *, content: bool) -> object:
        if content:
            read.append(len(hashes))
        return await by_hashes(hashes, content=content)

    monkeypatch.setattr(journal, "live_by_hashes", counted)
    monkeypatch.setattr(consuming, "TEXT_CHARS", 10 * len(text("word11")) + 5)
    await _take_all(journal, consumer)
    assert read == [10, 10, 10, 10]
    assert await count(es, {"term": {"repo": "a/a"}}) == 40


async def _take_all(journal: Journal, consumer: ElasticsearchIndex) -> None:
    """In one page."""
    control = Control()
    control.drain()
    await run(journal, consumer, owner=this_process(), control=control, page_rows=2000)


async def test_bytes_under_way_are_bounded(
    journal: Journal, ingest: Ingest, clusters: SqliteClusters, elasticsearch_url: str
) -> None:
    await ingest.complete("a/a", {f"{n}.py": text(f"word{n}") * 40 for n in range(200)})
    narrow = ElasticsearchIndex(
        clusters, journal, elasticsearch_url, request_bytes=30_000, in_flight=3
    )
    await narrow.open()
    await _take_all(journal, narrow)
    await narrow.close()
    assert 60_000 < narrow.flight.most_bytes <= 90_000


async def test_a_text_larger_than_a_request_goes_alone(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    huge = "".join(f"x{n} = '\x01{n}'\n" for n in range(100_000))
    await ingest.complete("a/a", {"a.py": text("one"), "huge.py": huge, "z.py": text("two")})
    await catch_up(journal, consumer)
    await assert_as_the_journal(journal, consumer, es)
    assert consumer.flight.most_bytes > len(huge) > 1 << 20


async def test_clusters_that_are_found_later_reach_their_documents(
    journal: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    clusters: SqliteClusters,
    es: AsyncElasticsearch,
) -> None:
    await ingest.complete("a/a", {f"{n}.py": text(f"word{n}") for n in range(3)})
    await catch_up(journal, consumer)
    first, second, third = ((one.content_hash) for one in await all_live(journal))
    holder = await clusters.claim("near_duplicates", this_process(), LEASE_S)
    assert holder is not None
    pair = [Cluster(first, first, first, 1), Cluster(second, first, first, 2)]
    await clusters.put(holder, pair, [], 3)
    await catch_up(journal, consumer)
    await es.indices.refresh(index=CODE)
    assert await _clusters(es) == {
        first.hex(): (first.hex(), first.hex()),
        second.hex(): (first.hex(), first.hex()),
        third.hex(): (None, None),
    }
    await clusters.put(holder, [], [first, second], 4)
    await catch_up(journal, consumer)
    await es.indices.refresh(index=CODE)
    assert set((await _clusters(es)).values()) == {(None, None)}
    await assert_as_the_journal(journal, consumer, es)


async def _clusters(es: AsyncElasticsearch) -> dict[str, tuple[str | None, str | None]]:
    answer = await es.search(index=CODE)
    return {
        hit["_id"]: (hit["_source"]["cluster_id"], hit["_source"]["cluster_winner"])
        for hit in answer["hits"]["hits"]
    }
