"""What only CodeLupe's own stores can tell: moves, new verdicts, clusters, benchmarks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from codelupe_daemon import elastic
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Rejudged
from codelupe_daemon.journal.clusters import Cluster, Member, WindowRow
from codelupe_daemon.journal.sqlite import SqliteJournal
from tests.contract.build import content, hash_of, repo, text
from tests.trainer.intake.build import InElasticsearch, InJournal, all_rows, profile
from tests.trainer.intake.conftest import JOURNALS
from tests.trainer.intake.test_freeze import trained
from trainer.intake import base
from trainer.intake import elasticsearch as source
from trainer.intake.elasticsearch import ElasticsearchSource
from trainer.intake.freeze import pending
from trainer.intake.journal import JournalSource
from trainer.registry.base import Registry
from trainer.types import NotTaken, Origin, Verdict

ANT, BEE, CAT = (text(word) for word in ("ant", "bee", "cat"))
on_journals = pytest.mark.parametrize("kind", JOURNALS)
on_elasticsearch = pytest.mark.parametrize("kind", ["elasticsearch"])
on_all = pytest.mark.parametrize("kind", [*JOURNALS, "elasticsearch"])


@pytest.fixture
def journal(corpus: object) -> InJournal:
    assert isinstance(corpus, InJournal)
    return corpus


async def move_and_revise(corpus: InJournal) -> None:
    """ANT goes from z/z to a/a, and is judged anew, as part of a benchmark; BEE is removed."""
    await corpus.add({"z/z": {"ant.py": ANT, "bee.py": BEE}})
    await corpus.ingest.complete("z/z", {"ant.py": ANT})
    await corpus.ingest.complete(repo("a/a", "MIT"), {"new.py": ANT})
    judged = content(
        corpus.journal, ANT, language="Cython", score=0.9, signals=b'{"benchmark": 1.0}'
    )
    await corpus.journal.rejudge(
        [Rejudged(hash_of(ANT), {".py": judged}, {})], "examiner-2", lambda _: True
    )
    await corpus.put_clusters()


@on_journals
async def test_facts_come_from_the_newest_row(journal: InJournal) -> None:
    await move_and_revise(journal)
    await journal.source.open()
    rows = await all_rows(journal.source)
    found = [row for row in rows if row.content_hash == hash_of(ANT)]
    told = [(row.is_candidate, row.quality, row.before) for row in found]
    before = Verdict(80.0, "Python", "MIT", is_contaminated=False)
    assert told == [(True, 90.0, None), (False, 90.0, None), (True, 90.0, before)]
    assert {(row.repo, row.path, row.language, row.license) for row in found} == {
        ("a/a", "new.py", "Cython", "MIT")
    }
    assert all(row.is_contaminated and row.is_live for row in found)
    gone = [row for row in rows if row.content_hash == hash_of(BEE)]
    assert [(row.is_candidate, row.is_live) for row in gone] == [(True, False), (False, False)]


@on_elasticsearch
async def test_a_document_is_a_row_under_its_newest_id(journal: InJournal) -> None:
    await move_and_revise(journal)
    await journal.source.open()
    [row] = await all_rows(journal.source)
    assert row.id == await journal.journal.last_id()
    assert (row.repo, row.path, row.language, row.license) == ("a/a", "new.py", "Cython", "MIT")
    assert (row.quality, row.before, row.is_contaminated) == (90.0, None, True)


@on_all
async def test_losers_and_clusters(journal: InJournal) -> None:
    await journal.ingest.complete("a/a", {"ant.py": ANT})
    await journal.ingest.complete("b/b", {"bee.py": BEE, "cat.py": CAT})
    ant, bee = hash_of(ANT), hash_of(BEE)
    await journal.put_clusters(Cluster(ant, bee, bee, 1), Cluster(bee, bee, bee, 2))
    await journal.source.open()
    rows = {row.content_hash: row for row in await all_rows(journal.source)}
    assert {one: (row.cluster, row.is_winner) for one, row in rows.items()} == {
        ant: (bee, False), bee: (bee, True), hash_of(CAT): (None, True),
    }  # fmt: skip
    members = [Member(ant, "a/a"), Member(bee, "b/b")]
    assert await journal.source.members([bee, hash_of(CAT)]) == {bee: members}


@on_journals
async def test_a_license_that_comes_later_lets_a_text_pass(
    journal: InJournal, registry: Registry
) -> None:
    """Also where its score did before."""
    plan = profile(licenses="permissive")
    await journal.add({"a/a": {"ant.py": ANT}})
    await journal.source.open()
    first = await trained(journal.source, registry, plan)
    assert (first.taken, first.not_taken) == ([], {NotTaken.LICENSE: 1})
    part = journal.ingest.part(await journal.ingest.begin("a/a"), {"ant.py": ANT})
    licensed = [one._replace(license="MIT") for one in part.occurrences]
    await journal.journal.append([part._replace(occurrences=licensed)])
    await journal.put_clusters()
    second = await trained(journal.source, registry, plan, 2)
    assert [row.content_hash for row in second.taken] == [hash_of(ANT)]


async def redacted(corpus: InJournal, old: str, new: str) -> None:
    clean = content(corpus.journal, new)
    await corpus.journal.rejudge(
        [Rejudged(hash_of(old), {".py": clean}, {})], "examiner-2", lambda _: True
    )
    await corpus.put_clusters()


@on_all
async def test_what_is_taken_down_for_good(journal: InJournal) -> None:
    """Neither what was only removed, nor a text whose secret was redacted, and then not any more:
    else the round of it would never end."""
    await journal.add({"a/a": {"ant.py": ANT, "bee.py": BEE, "cat.py": CAT}})
    await journal.source.open()
    asked = [hash_of(body) for body in (ANT, BEE, CAT)]
    assert await journal.source.taken_down(asked) == set()
    await journal.ingest.complete("a/a", {"ant.py": ANT, "cat.py": CAT})
    await redacted(journal, ANT, text("clean"))
    assert await journal.source.alive(asked) == {hash_of(CAT)}
    assert await journal.source.taken_down(asked) == {hash_of(ANT)}
    await journal.add({"b/b": {"again.py": ANT}})
    assert await journal.source.taken_down(asked) == set()


@on_elasticsearch
async def test_a_journal_that_is_not_the_indexs_is_not_believed(
    journal: InJournal, elasticsearch_url: str, tmp_path: Path
) -> None:
    await journal.add({"a/a": {"ant.py": ANT, "bee.py": BEE}})
    await journal.ingest.complete("a/a", {"ant.py": ANT})
    await journal.put_clusters()
    (tmp_path / "other").mkdir()
    other = await InJournal.sqlite(tmp_path / "other")
    await other.add({"c/c": {"cat.py": CAT}})
    await other.close()
    for path in (tmp_path / "other" / "codelupe.db", tmp_path / "none.db"):
        alone = ElasticsearchSource(elasticsearch_url, journal=SqliteJournal(path))
        await alone.open()
        assert await alone.taken_down([hash_of(ANT), hash_of(BEE)]) == {hash_of(BEE)}
        await alone.close()


@on_elasticsearch
async def test_a_shard_that_is_away_is_no_death(
    journal: InJournal, elasticsearch_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "PATIENCE_S", 0.0)
    await journal.add({"a/a": {"ant.py": ANT}})
    await journal.source.open()
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.close(index="codelupe-code")
        for ask in (journal.source.texts, journal.source.alive, journal.source.members):
            with pytest.raises(Transient, match="closed"):
                await ask([hash_of(ANT)])
        client.indices.open(index="codelupe-code", wait_for_active_shards=1)
    assert await journal.source.alive([hash_of(ANT)]) == {hash_of(ANT)}


@on_journals
async def test_the_head_waits_for_near_duplicates(journal: InJournal) -> None:
    await journal.add({"a/a": {"ant.py": ANT}})
    await journal.ingest.complete("b/b", {"bee.py": BEE})
    await journal.source.open()
    assert await journal.source.head() == 1
    await journal.put_clusters()
    assert await journal.source.head() == 2


@on_elasticsearch
async def test_the_head_is_what_a_search_sees(journal: InJournal) -> None:
    await journal.add({"a/a": {"ant.py": ANT}})
    await journal.ingest.complete("b/b", {"bee.py": BEE})
    await journal.source.open()
    assert await journal.source.head() == 1
    await journal.put_clusters()
    assert await journal.source.head() == 2


@on_elasticsearch
async def test_an_index_that_is_gone(journal: InJournal) -> None:
    assert isinstance(journal, InElasticsearch)
    await journal.source.open()
    assert await journal.source.head() == 0
    assert await journal.source.told(5) is None
    with pytest.raises(Fatal, match="codelupe replay elasticsearch"):
        await all_rows(journal.source, 0, 5)
    with pytest.raises(Fatal, match="codelupe replay elasticsearch"):
        await journal.source.alive([hash_of(ANT)])


async def test_no_server_there() -> None:
    away = ElasticsearchSource("http://127.0.0.1:1")
    with pytest.raises(Transient, match="cannot be reached"):
        await away.open()
    await away.close()


@on_journals
async def test_a_store_that_is_busy_is_asked_again(
    journal: InJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.add({"a/a": {"ant.py": ANT, "bee.py": BEE}})
    await journal.source.open()
    assert isinstance(journal.source, JournalSource)
    window = journal.source._clusters.window
    asked: list[int] = []

    async def failing(after_id: int, to_id: int, _limit: int) -> list[WindowRow]:
        asked.append(after_id)
        if len(asked) == 2:
            raise Transient("busy")
        return await window(after_id, to_id, 1)

    monkeypatch.setattr(journal.source._clusters, "window", failing)
    assert [row.id for row in await all_rows(journal.source)] == [1, 2]
    assert asked == [0, 1, 1, 2]


@on_elasticsearch
async def test_a_server_that_was_away_goes_on_where_it_was(
    journal: InJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.add({"a/a": {"ant.py": ANT, "bee.py": BEE, "cat.py": CAT}})
    await journal.source.open()
    pages = elastic.pages
    begun: list[int] = []

    async def breaking(*args: Any, **asked: Any) -> AsyncGenerator[list[dict[str, Any]], None]:
        begun.append(asked["query"]["range"]["journal_id"]["gt"])
        async for page in pages(*args, **(asked | {"size": 1})):
            yield page
            if len(begun) == 1:
                raise Transient("away")

    monkeypatch.setattr(elastic, "pages", breaking)
    assert [row.id for row in await all_rows(journal.source)] == [1, 2, 3]
    assert begun == [0, 1]
    monkeypatch.setattr(source, "PATIENCE_S", -1.0)
    begun.clear()
    with pytest.raises(Transient, match="away"):
        await all_rows(journal.source)


@on_journals
async def test_every_row_is_considered_once_while_others_write(
    journal: InJournal, registry: Registry
) -> None:
    await journal.source.open()
    is_written = asyncio.Event()

    async def write() -> None:
        """Adds, moves and removes; a text taken down; one that comes back."""
        for number in range(12):
            shared = {f"{n}.py": text(f"word{n}") for n in range(number, number + 4)}
            await journal.ingest.complete(repo(f"r/{number % 5}", "MIT", number), shared)
            if number == 6:
                await journal.journal.forget_content(hash_of(text("word5")))
            await journal.put_clusters()
        is_written.set()

    writing = asyncio.create_task(write())
    plan, number, new = profile(max_window_rows=7), 0, []
    while not is_written.is_set() or (await pending(journal.source, registry, plan)).rows:
        number += 1
        manifest = await trained(journal.source, registry, plan, number)
        assert manifest.to_id - manifest.from_id <= 7
        new += [row.content_hash for row in manifest.taken if row.origin is Origin.NEW]
    await writing
    assert await registry.watermark(plan.name, "journal") == await journal.journal.last_id()
    assert len(set(new)) == len(new)
    live = await journal.journal.live(0, 100, content=False)
    assert {one.content_hash for one in live} <= set(new)
