"""Every known repository is a document; an index that a crawler made stays the crawler's."""

from __future__ import annotations

from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch

from codelupe_daemon.consume import elasticsearch_repositories
from codelupe_daemon.consume.elasticsearch import ElasticsearchIndex
from codelupe_daemon.elastic import REPOSITORIES, WATERMARKS
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import Repo
from tests.consume.following import catch_up
from tests.contract.build import COMMIT, Ingest, repo, text

OWN = f"{REPOSITORIES}-001"


async def documents(es: AsyncElasticsearch, alias: str = REPOSITORIES) -> dict[str, dict[str, Any]]:
    """By their ids."""
    await es.indices.refresh(index=alias)
    found = await es.search(index=alias, size=10_000)
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


async def test_every_known_repository_is_a_document(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await ingest.complete(repo("a/one", "MIT", 7, 2, 1_700_000_000), {"a.py": text("word")})
    await journal.register(repo("b/two"))
    await journal.register(Repo("/srv/code/" + "x" * 600, "/srv/code", is_local=True))
    await catch_up(journal, consumer)
    found = await documents(es)
    assert len(found) == 3
    known = {key: found["a/one"].pop(key) for key in ("known_at", "visited_at")}
    assert all(value.endswith("Z") for value in known.values())
    assert found["a/one"] == {
        "full_name": "a/one",
        "clone_url": "https://host.example/a/one.git",
        "stars": 7,
        "forks": 2,
        "license": "MIT",
        "pushed_at": "2023-11-14T22:13:20Z",
        "repository_id": 1,
        "state": "done",
        "reason": None,
        "file_count": 1,
        "head": COMMIT.hex(),
    }
    assert found["b/two"]["state"] == "due"
    [local] = [one for id_, one in found.items() if "/" not in id_]
    assert "clone_url" not in local
    assert local["full_name"].startswith("/srv/code/xxx")


async def test_changes_follow_and_nothing_is_read_twice_while_nothing_changes(
    journal: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(elasticsearch_repositories, "PAGE_ROWS", 3)
    for number in range(10):
        await journal.register(repo(f"a/{number}"))
    await catch_up(journal, consumer)
    assert len(await documents(es)) == 10
    await ingest.complete(repo("a/3", stars=5), {"a.py": text("word")})
    await journal.register(repo("b/new"))
    await catch_up(journal, consumer)
    found = await documents(es)
    assert len(found) == 11
    assert (found["a/3"]["state"], found["a/3"]["stars"]) == ("done", 5)
    before = (await es.indices.stats(index=OWN))["_all"]["primaries"]["indexing"]
    await catch_up(journal, consumer)
    after = (await es.indices.stats(index=OWN))["_all"]["primaries"]["indexing"]
    assert after["index_total"] == before["index_total"]


async def test_a_change_that_becomes_visible_late_is_taken(
    journal: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Transactions end in another order than their changes were made."""
    since = journal.repositories_since
    hidden = {"a/late"}

    async def without(*cursor: Any) -> Any:
        return [row for row in await since(*cursor) if row.full_name not in hidden]

    monkeypatch.setattr(journal, "repositories_since", without)
    await journal.register(repo("a/late"))
    await journal.register(repo("a/soon"))
    await catch_up(journal, consumer)
    assert (await documents(es)).keys() == {"a/soon"}
    hidden.clear()
    await catch_up(journal, consumer)
    assert (await documents(es)).keys() == {"a/soon"}, "not looked at again yet"
    monkeypatch.setattr(consumer.repositories, "_looked_at", float("-inf"))  # a minute has passed
    await catch_up(journal, consumer)
    assert (await documents(es)).keys() == {"a/soon", "a/late"}


async def test_a_new_process_goes_on_where_the_last_one_was(
    journal: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    clusters: SqliteClusters,
    elasticsearch_url: str,
    es: AsyncElasticsearch,
) -> None:
    await journal.register(repo("a/one"))
    await catch_up(journal, consumer)
    [row] = await journal.repositories()
    saved = (await es.get(index=WATERMARKS, id=REPOSITORIES))["_source"]["changed_at"]
    assert saved == pytest.approx(row.changed_at - 120)
    await es.index(index=WATERMARKS, id=REPOSITORIES, document={"changed_at": row.changed_at + 500})
    await journal.register(repo("a/two"))
    later = ElasticsearchIndex(clusters, journal, elasticsearch_url)
    await later.open()
    await catch_up(journal, later)
    assert (await documents(es)).keys() == {"a/one"}, "it begins at what was saved"
    await catch_up(journal, later, replay=True)
    assert (await documents(es)).keys() == {"a/one", "a/two"}
    await later.close()


async def test_an_index_of_ours_that_is_gone_is_made_again(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    for number in range(5):
        await journal.register(repo(f"a/{number}"))
    await catch_up(journal, consumer)
    await es.indices.delete(index=OWN)
    await journal.register(repo("a/new"))
    await catch_up(journal, consumer)
    assert len(await documents(es)) == 6
    assert [*(await es.indices.get_alias(name=REPOSITORIES)).body] == [OWN]


# -- an index that a crawler made ---------------------------------------------------------------

CRAWLED = {
    "full_name": "a/one", "stars": 99, "language": "Go", "topics": ["cli"], "state": "crawled",
    "license": {"key": "mit"}, "pushed_at": "2024-05-05",
}  # fmt: skip


async def test_a_crawlers_documents_keep_what_they_say(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    """Whatever their ids are: the server made these."""
    await es.index(index=REPOSITORIES, document=CRAWLED, refresh=True)
    await es.index(index=REPOSITORIES, document={"full_name": "z/other"}, refresh=True)
    await ingest.complete(repo("a/one", "MIT", 7), {"a.py": text("word")})
    await journal.register(repo("b/two"))
    await catch_up(journal, consumer)
    found = {one["full_name"]: one for one in (await documents(es)).values()}
    assert len(await documents(es)) == len(found) == 3
    assert {key: found["a/one"][key] for key in CRAWLED} == CRAWLED | {"state": "done"}
    assert found["a/one"]["file_count"] == 1
    assert found["z/other"] == {"full_name": "z/other"}
    assert found["b/two"]["clone_url"] == "https://host.example/b/two.git"
    assert not await es.indices.exists(index=OWN)


@pytest.mark.parametrize(
    "mapping, refused",
    [
        ({"dynamic": "strict", "properties": {"full_name": {"type": "text"}}}, 2),
        ({"properties": {"state": {"type": "integer"}, "full_name": {"type": "keyword"}}}, 2),
        ({"dynamic": False, "properties": {"stars": {"type": "byte"}}}, 1),
    ],
    ids=["strict", "another type", "one document"],
)
async def test_what_a_crawlers_index_refuses_is_counted(
    journal: Journal,
    ingest: Ingest,
    consumer: ElasticsearchIndex,
    es: AsyncElasticsearch,
    mapping: dict[str, Any],
    refused: int,
) -> None:
    await es.indices.create(index=REPOSITORIES, mappings=mapping)
    await es.index(index=REPOSITORIES, id="kept", document={"full_name": "z/z"}, refresh=True)
    await ingest.complete(repo("a/one", stars=1000), {"a.py": text("word")})
    await journal.register(repo("b/two"))
    await catch_up(journal, consumer)
    assert consumer.repositories.refused == refused
    assert consumer.repositories.refused_reason is not None
    assert len(await documents(es)) == 3 - refused
    assert (await documents(es))["kept"] == {"full_name": "z/z"}
    assert await consumer.watermark() == 1


async def test_a_crawlers_index_that_takes_no_writes_stops_nothing(
    journal: Journal, ingest: Ingest, consumer: ElasticsearchIndex, es: AsyncElasticsearch
) -> None:
    await es.indices.create(index=REPOSITORIES, settings={"index.blocks.write": True})
    await ingest.complete(repo("a/one"), {"a.py": text("word")})
    await catch_up(journal, consumer)
    assert consumer.repositories.refused == 1
    assert "takes no writes" in str(consumer.repositories.refused_reason)
    assert await consumer.watermark() == 1
