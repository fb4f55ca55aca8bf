"""What stands between: replays, lost indices, full disks, mappings that somebody changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch

from codelupe_daemon.consume import elasticsearch as consuming
from codelupe_daemon.consume import elasticsearch_index
from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.consume.runner import Control, LeaseLost, Outcome, run
from codelupe_daemon.elastic import CODE, CODE_WRITE, WATERMARKS
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Entry
from tests.consume.elastic.looking import (
    aliases,
    assert_as_the_journal,
    count,
    marker,
    visible,
)
from tests.consume.following import catch_up
from tests.contract.build import LEASE_S, Ingest, hash_of, repo, text

BOTH = {CODE, CODE_WRITE}


@pytest.fixture
async def filled(journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex) -> Journal:
    """Thirty rows, all of them in the index."""
    await ingest.complete("a/a", {f"{n}.py": text(f"word{n}") for n in range(30)})
    await catch_up(journal, consumer)
    return journal


async def settings(es: AsyncElasticsearch, alias: str) -> tuple[str | None, str | None]:
    """refresh_interval and auto_expand_replicas."""
    [found] = (await es.indices.get_settings(index=alias, flat_settings=True)).values()
    got = found["settings"]
    return got.get("index.refresh_interval"), got.get("index.auto_expand_replicas")


async def follow_to(
    row_id: int, journal: Journal, consumer: ElasticsearchIndex, *, replay: bool = False
) -> None:
    """Stop in the middle: that row is read, and not taken any more."""
    control, read = Control(), journal.read

    async def stopping(after_id: int, limit: int) -> list[Entry]:
        if after_id + limit >= row_id:
            control.stop()
        return await read(after_id, limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "read", stopping)
        outcome = await run(
            journal, consumer, owner=this_process(), control=control, replay=replay, page_rows=3
        )
    assert outcome is Outcome.STOPPED


# -- the first index, and the next one ----------------------------------------------------------


async def test_an_empty_journal_has_an_empty_index(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await catch_up(journal, consumer)
    assert await aliases(es) == {f"{CODE}-001": BOTH}
    assert await marker(es) == 0
    await ingest.complete("a/a", {"a.py": text("word")})
    await catch_up(journal, consumer)
    assert await aliases(es) == {f"{CODE}-001": BOTH}
    await assert_as_the_journal(journal, consumer, es)


async def test_a_first_filling_is_searched_as_it_grows(
    journal: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consuming, "PUBLISH_S", 0.0)
    await ingest.complete("a/a", {f"{n}.py": text(f"word{n}") for n in range(200)})
    await follow_to(100, journal, consumer)
    told = await marker(es)
    assert 0 < told < 200
    assert len(await visible(es)) >= told
    assert await settings(es, CODE) == ("-1", "false")
    await catch_up(journal, consumer)
    assert await aliases(es) == {f"{CODE}-001": BOTH}
    assert await settings(es, CODE) == ("30s", "0-1")
    await assert_as_the_journal(journal, consumer, es)


async def test_a_component_of_ones_own_decides_on_settings(
    journal: Journal, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    own = {"index": {"number_of_shards": 2, "refresh_interval": "7s"}}
    await es.cluster.put_component_template(name=f"{CODE}@custom", template={"settings": own})
    await catch_up(journal, consumer)
    assert await settings(es, CODE) == ("7s", "0-1")
    [found] = (await es.indices.get_settings(index=CODE, flat_settings=True)).values()
    assert found["settings"]["index.number_of_shards"] == "2"


async def test_searches_go_on_while_it_is_replayed(
    filled: Journal,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elasticsearch_index, "SEARCHES_END_S", 1.0)
    before = await visible(es)
    replay = asyncio.create_task(catch_up(filled, consumer, replay=True))
    seen = []
    while not replay.done():
        seen.append(await visible(es))
        assert await marker(es) == 30
        await asyncio.sleep(0)
    assert await replay is Outcome.CAUGHT_UP
    assert len(seen) > 3
    assert all(found == before for found in seen)
    assert await aliases(es) == {f"{CODE}-002": BOTH}
    await assert_as_the_journal(filled, consumer, es)


async def test_a_replay_that_ends_in_the_middle_goes_on_where_it_was(
    filled: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
) -> None:
    await follow_to(15, filled, consumer, replay=True)
    assert await aliases(es) == {f"{CODE}-001": {CODE}, f"{CODE}-002": {CODE_WRITE}}
    assert 0 < await consumer.watermark() < 30
    assert len(await visible(es)) == 30
    await ingest.complete("a/a", {"0.py": text("word0"), "new.py": text("new")})
    await catch_up(filled, consumer)
    assert await aliases(es) == {f"{CODE}-002": BOTH}
    await assert_as_the_journal(filled, consumer, es)
    assert len(await visible(es)) == 2


async def test_a_replay_during_a_replay_begins_again(
    filled: Journal, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await follow_to(15, filled, consumer, replay=True)
    await catch_up(filled, consumer, replay=True)
    assert await aliases(es) == {f"{CODE}-003": BOTH}
    await assert_as_the_journal(filled, consumer, es)


async def test_a_journal_that_lost_rows_lowers_the_marker(
    filled: Journal,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
) -> None:
    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    await consumer._advance(lease, 99)
    await consumer.caught_up(lease)
    assert await marker(es) == 99
    await consumer.release(lease)
    await catch_up(filled, consumer)
    await assert_as_the_journal(filled, consumer, es)


async def test_an_index_of_another_journal_is_replaced(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    """A new store beside an old Elasticsearch: nothing of the old one stays."""
    await catch_up(journal, consumer)
    stray = {"content": "left", "content_hash": "00" * 16, "content_chars": 4, "journal_id": 7}
    await es.index(index=CODE, id="00" * 16, document=stray, refresh=True)
    await ingest.complete("a/a", {"a.py": text("word")})
    await catch_up(journal, consumer)
    assert await aliases(es) == {f"{CODE}-002": BOTH}
    await assert_as_the_journal(journal, consumer, es)


# -- what is lost -------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["index", "write alias", "everything"])
async def test_an_index_that_is_gone_is_filled_again(
    filled: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    lost: str,
) -> None:
    control = Control()
    running = asyncio.create_task(
        run(filled, consumer, owner=this_process(), control=control, page_rows=3, poll_s=0.01)
    )
    await ingest.complete("b/b", {"b.py": text("later")})
    while await marker(es) < 31:  # noqa: ASYNC110 - it happens on the server
        await asyncio.sleep(0.01)
    if lost == "write alias":
        await es.indices.delete_alias(index=f"{CODE}-001", name=CODE_WRITE)
    else:
        await es.indices.delete(index=f"{CODE}-001")
    if lost == "everything":
        await es.indices.delete(index=f"{WATERMARKS},github-coding-repos-001")
    assert await running is Outcome.LEASE_LOST, "its owner runs it again"
    assert await consumer.watermark() == 0
    await catch_up(filled, consumer)
    await assert_as_the_journal(filled, consumer, es)
    assert BOTH in (await aliases(es)).values()
    assert len(await aliases(es)) == 1


async def test_an_index_that_goes_while_pages_are_written_is_not_made_by_the_server(
    filled: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    await ingest.complete("b/b", {f"{n}.py": text(f"more{n}") for n in range(6)})
    await consumer.apply(await filled.read(30, 2), lease)
    await consumer.apply(await filled.read(32, 2), lease)
    assert await consumer.watermark() == 32, "the next page is on its way"
    await es.indices.delete(index=f"{CODE}-001")
    await consumer.apply(await filled.read(34, 1), lease)
    with pytest.raises(LeaseLost, match="is gone, and filled again"):
        await consumer.apply(await filled.read(35, 1), lease)
    assert await aliases(es) == {}
    assert await consumer.watermark() == 0
    await consumer.release(lease)
    await catch_up(filled, consumer)
    await assert_as_the_journal(filled, consumer, es)


async def test_only_the_searched_alias_is_lost(
    filled: Journal, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await es.indices.delete_alias(index=f"{CODE}-001", name=CODE)
    await catch_up(filled, consumer)
    assert await aliases(es) == {f"{CODE}-001": BOTH}
    await assert_as_the_journal(filled, consumer, es)


async def test_a_replay_whose_new_index_is_lost_does_not_go_on_with_the_old_one(
    filled: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await follow_to(15, filled, consumer, replay=True)
    await es.indices.delete(index=f"{CODE}-002")
    assert await catch_up(filled, consumer) is Outcome.LEASE_LOST
    await catch_up(filled, consumer)
    assert await aliases(es) == {f"{CODE}-002": BOTH}
    await assert_as_the_journal(filled, consumer, es)


# -- what does not let it write -----------------------------------------------------------------


@pytest.mark.parametrize(
    "block, message",
    [
        ("read_only_allow_delete", "the disk of Elasticsearch is full"),
        ("write", "takes no writes until its block is lifted"),
    ],
)
async def test_a_blocked_index_is_waited_for(
    filled: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    block: str,
    message: str,
) -> None:
    await ingest.complete("b/b", {f"{n}.py": text(f"more{n}") for n in range(6)})
    await es.indices.put_settings(index=CODE, settings={f"index.blocks.{block}": True})
    told: list[str] = []
    control = Control()
    control.drain()
    running = asyncio.create_task(
        run(
            filled,
            consumer,
            owner=this_process(),
            control=control,
            told=lambda error: told.append(str(error)),
        )
    )
    while not told:  # noqa: ASYNC110 - an event would need as many lines again
        await asyncio.sleep(0.01)
    assert message in told[0]
    assert await consumer.watermark() == 30
    await es.indices.put_settings(index=CODE, settings={f"index.blocks.{block}": None})
    assert await running is Outcome.CAUGHT_UP
    assert await consumer.dead_letters() == []
    await assert_as_the_journal(filled, consumer, es)


async def test_refused_documents_are_dead_letters_and_can_be_tried_again(
    filled: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await put_number(es, ignore_malformed=False)
    await ingest.complete("b/b", {name: text(f"more{name}") for name in ("1", "x.py", "2", "y.py")})
    rows = await filled.read(30, 10)
    bad = [row for row in rows if row.place.path.endswith(".py")]
    ids = [row.id for row in bad]
    await catch_up(filled, consumer)
    letters = await consumer.dead_letters()
    assert [letter.id for letter in letters] == ids
    assert all("failed to parse field [file_path.as_number]" in one.reason for one in letters)
    assert await consumer.watermark() == await marker(es) == 34
    assert set((await visible(es)).values()) == set(range(1, 35)) - set(ids)

    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    await consumer.retry(bad, lease)
    assert await consumer.dead_letters() == letters
    await put_number(es, ignore_malformed=True)
    await consumer.retry(bad, lease)
    await assert_as_the_journal(filled, consumer, es)
    assert await consumer.dead_letters() == []


async def put_number(es: AsyncElasticsearch, *, ignore_malformed: bool) -> None:
    """Change the mapping by hand: from now on a path has to be a number."""
    found = (await es.indices.get_mapping(index=CODE))[f"{CODE}-001"]["mappings"]["properties"]
    field = found["file_path"]
    number = {"type": "integer", "ignore_malformed": ignore_malformed}
    field["fields"]["as_number"] = number
    await es.indices.put_mapping(index=CODE, properties={"file_path": field})


async def test_a_dead_letter_whose_content_moved_on_is_none_any_more(
    filled: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    await consumer._advance(lease, 30, [])
    old = await filled.read(0, 2)
    await ingest.complete(repo("c/c", "MIT", 5), {"c.py": text("word0")})
    await ingest.complete("a/a", {"0.py": text("word0")})
    await consumer.apply(await filled.read(30, 100), lease)
    await consumer.retry(old, lease)
    await consumer.caught_up(lease)
    await assert_as_the_journal(filled, consumer, es)
    assert len(await visible(es)) == 1


async def test_an_index_that_refuses_everything_ends_the_process(
    filled: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await es.indices.put_settings(index=CODE, settings={"index.default_pipeline": "missing"})
    await ingest.complete("b/b", {f"{n}.py": text(f"more{n}") for n in range(25)})
    control = Control()
    control.drain()
    with pytest.raises(Fatal, match=r"refuses all of 25 documents.*codelupe replay elasticsearch"):
        await run(filled, consumer, owner=this_process(), control=control)
    assert await consumer.dead_letters() == []
    assert await consumer.watermark() == 30


async def test_a_mapping_in_conflict_is_told_before_anything_is_written(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    mappings = {"properties": {"content": {"type": "keyword"}, "language": {"type": "integer"}}}
    own: dict[str, Any] = {CODE: {}, CODE_WRITE: {}}
    await es.indices.create(index="codelupe-by-hand", aliases=own, mappings=mappings)
    await es.index(index=CODE, id="mine", document={"content": "kept"}, refresh=True)
    await ingest.complete("a/a", {"a.py": text("word")})
    with pytest.raises(Fatal, match=r"content is keyword, not text, .*language is integer"):
        await consumer.check()
    with pytest.raises(Fatal, match="codelupe replay elasticsearch"):
        await catch_up(journal, consumer)
    assert await count(es, {"match_all": {}}) == 1
    await catch_up(journal, consumer, replay=True)
    await assert_as_the_journal(journal, consumer, es)
    assert await aliases(es) == {f"{CODE}-001": BOTH}
    assert await count(es, {"match_all": {}}, "codelupe-by-hand") == 1, "it is not ours"


@pytest.mark.parametrize("name", [CODE, CODE_WRITE])
async def test_an_index_with_the_name_of_an_alias_is_told(
    journal: Journal, consumer: ElasticsearchIndex, es: AsyncElasticsearch, name: str
) -> None:
    await es.indices.create(index=name)
    for work in (consumer.check(), catch_up(journal, consumer), catch_up(journal, consumer,
                 replay=True)):  # fmt: skip
        with pytest.raises(Fatal, match=f"{name} is an index .* has to be an alias: .*DELETE"):
            await work


async def test_what_is_taken_down_leaves_the_files(
    filled: Journal, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await filled.forget_content(hash_of(text("word7")))
    await catch_up(filled, consumer)
    await consumer.erase()
    stats = (await es.indices.stats(index=CODE))["_all"]["primaries"]
    assert (stats["docs"]["count"], stats["docs"]["deleted"]) == (29, 0)
    assert stats["translog"]["operations"] == 0


async def test_a_closed_index_is_waited_for(
    filled: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    await consumer.caught_up(lease)
    await ingest.complete("b/b", {f"{n}.py": text(f"more{n}") for n in range(3)})
    await es.indices.close(index=CODE)
    await consumer.apply(await filled.read(30, 2), lease)
    for _ in range(2):
        with pytest.raises(Transient, match="is closed, until it is opened"):
            await consumer.apply(await filled.read(32, 2), lease)
    assert await consumer.watermark() == 30
    await es.indices.open(index=CODE)
    await consumer.apply(await filled.read(32, 2), lease)
    await consumer.caught_up(lease)
    assert await consumer.dead_letters() == []
    await assert_as_the_journal(filled, consumer, es)
