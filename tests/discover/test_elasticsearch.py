"""Repositories from an index that somebody else filled, whatever its documents look like."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk

from codelupe_daemon.discover import elasticsearch as source
from codelupe_daemon.discover.elasticsearch import Refused, repositories
from codelupe_daemon.discover.score import Filter
from codelupe_daemon.elastic import REPOSITORIES, connect
from codelupe_daemon.errors import Rejected, Transient
from codelupe_daemon.model import Repo, Standing

GITHUB_SAYS = {
    "full_name": "rust-lang/rust",
    "html_url": "https://github.com/rust-lang/rust",
    "clone_url": "https://github.com/rust-lang/rust.git",
    "url": "https://api.github.com/repos/rust-lang/rust",
    "description": "Empowering everyone to build reliable and efficient software.",
    "topics": ["compiler", "rust"],
    "language": "Rust",
    "license": {"key": "apache-2.0", "name": "Apache License 2.0", "spdx_id": "Apache-2.0"},
    "stargazers_count": 90_000,
    "forks_count": 12_000,
    "pushed_at": "2026-01-01T00:00:00Z",
    "created_at": "2010-06-16T20:39:03Z",
    "size": 1_000_000,
    "fork": False,
    "archived": False,
}
NEW_YEAR = 1_767_225_600


@pytest.fixture
async def es(elasticsearch_url: str) -> AsyncIterator[AsyncElasticsearch]:
    async with connect(elasticsearch_url) as client:
        yield client


async def found(
    es: AsyncElasticsearch, documents: Sequence[Mapping[str, Any]], filter_: Filter | None = None
) -> list[Repo | Refused]:
    """What an index that holds these documents gives, in their order."""
    actions = [
        {"_index": REPOSITORIES, "_id": str(number), "_source": document}
        for number, document in enumerate(documents)
    ]
    mappings = {"dynamic": False}
    await es.indices.create(index=REPOSITORIES, mappings=mappings, settings={"number_of_shards": 1})
    await async_bulk(es, actions, refresh=True)
    return [one async for one in repositories(es, REPOSITORIES, filter_)]


async def test_what_github_says_of_a_repository(es: AsyncElasticsearch) -> None:
    standing = Standing("Apache-2.0", 90_000, 12_000, NEW_YEAR)
    [repo] = await found(es, [GITHUB_SAYS])
    assert repo == Repo("rust-lang/rust", "https://github.com/rust-lang/rust.git", standing)


async def test_any_subset_will_do_that_names_it(es: AsyncElasticsearch) -> None:
    names = {
        "full_name": "o/n",
        "html_url": "https://github.com/o/n",
        "clone_url": "https://github.com/o/n.git",
        "git_url": "git://github.com/o/n.git",
        "ssh_url": "git@github.com:o/n.git",
    }
    repos = await found(es, [{field: name} for field, name in names.items()])
    assert [repo.full_name for repo in repos if isinstance(repo, Repo)] == ["o/n"] * len(names)
    assert repos[0] == Repo("o/n", "https://github.com/o/n")


async def test_repositories_elsewhere(es: AsyncElasticsearch) -> None:
    documents = [
        {"full_name": "gitlab.com/group/sub/name"},
        {"full_name": "git.example.org:8443/name"},
        {"full_name": "group/name", "url": "https://gitlab.com/group/name"},
    ]
    repos = await found(es, documents)
    assert [repo.full_name for repo in repos if isinstance(repo, Repo)] == [
        "gitlab.com/group/sub/name", "git.example.org:8443/name", "gitlab.com/group/name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stars": 7, "forks": 8}, Standing(stars=7, forks=8)),
        ({"stars": None, "stargazers_count": 9.0}, Standing(stars=9)),
        ({"stars": -1, "forks": True}, Standing()),
        ({"stars": "many", "forks": [1]}, Standing()),
        ({"stars": 10**30}, Standing()),
        ({"license": "mit"}, Standing("MIT")),
        ({"license": {"key": "mit", "spdx_id": None}}, Standing("MIT")),
        ({"license": {"key": "other", "spdx_id": "NOASSERTION"}}, Standing("NOASSERTION")),
        ({"license": "None"}, Standing()),
        ({"license": {}}, Standing()),
        ({"license": ["MIT"]}, Standing()),
        ({"pushed_at": NEW_YEAR}, Standing(pushed_at=NEW_YEAR)),
        ({"pushed_at": NEW_YEAR * 1000}, Standing(pushed_at=NEW_YEAR)),
        ({"pushed_at": "2026-01-01"}, Standing(pushed_at=NEW_YEAR)),
        ({"pushed_at": "2026-01-01T01:00:00+01:00"}, Standing(pushed_at=NEW_YEAR)),
        ({"pushed_at": "yesterday"}, Standing()),
        ({"pushed_at": "0001-01-01T00:00:00+14:00"}, Standing()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_standing_as_far_as_it_is_told(fields: dict[str, Any], expected: Standing) -> None:
    adopted = source._adopted("1", {"full_name": "o/n", **fields}, None, NEW_YEAR)
    assert adopted == Repo("o/n", "https://github.com/o/n", expected)


@pytest.mark.parametrize(
    ("document", "shown", "reason"),
    [
        ({}, "1", "names no repository"),
        ({"full_name": "plain"}, "plain", "names no repository"),
        ({"full_name": ["o/n"]}, "['o/n']", "names no repository"),
        ({"full_name": "a/b/c"}, "a/b/c", "names no repository"),
        ({"full_name": "/srv/code"}, "/srv/code", "is a folder"),
        ({"clone_url": "/etc"}, "1", "is a folder"),
        ({"clone_url": "file:///etc"}, "1", "is a folder"),
        ({"clone_url": "ext::sh -c true"}, "1", "names no repository"),
        ({"clone_url": "ftp://h.org/x"}, "1", "refused"),
        ({"clone_url": "https://s3cret@h.org/x"}, "1", "password or token"),
        ({"clone_url": "https://h.org/\x1b", "full_name": "\x1b[31m"}, r"'\x1b[31m'", "control"),
        ({"full_name": "o" * 300}, "o" * 200, "names no repository"),
    ],
    ids=range(12),
)  # fmt: skip
def test_a_document_that_gives_no_repository(
    document: dict[str, Any], shown: str, reason: str
) -> None:
    refused = source._adopted("1", document, None, NEW_YEAR)
    assert isinstance(refused, Refused)
    assert refused.document == shown
    assert reason in refused.reason
    assert "s3cret" not in refused.reason


async def test_the_crawlers_filter_where_it_is_asked_for(es: AsyncElasticsearch) -> None:
    documents: list[dict[str, Any]] = [
        GITHUB_SAYS,
        {**GITHUB_SAYS, "full_name": "o/fork", "clone_url": None, "html_url": None, "fork": True},
        {"full_name": "o/few", "stars": 3},
        {"full_name": "o/unknown"},
    ]
    taken = await found(es, documents, Filter())
    assert [one.full_name for one in taken if isinstance(one, Repo)] == [
        "rust-lang/rust", "o/unknown",
    ]  # fmt: skip
    assert [one for one in taken if isinstance(one, Refused)] == [
        Refused("o/fork", "fork"), Refused("o/few", "few stars (3.0)"),
    ]  # fmt: skip


async def test_page_by_page_each_document_once(
    es: AsyncElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PAGE_ROWS", 3)
    repos = await found(es, [{"full_name": f"o/n{number}"} for number in range(10)])
    assert [repo.full_name for repo in repos if isinstance(repo, Repo)] == [
        f"o/n{number}" for number in range(10)
    ]


async def test_whoever_has_enough_leaves_nothing_open(
    es: AsyncElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PAGE_ROWS", 1)
    await found(es, [{"full_name": f"o/n{number}"} for number in range(3)])
    asked = repositories(es, REPOSITORIES)
    assert isinstance(await anext(asked), Repo)
    assert await _open_searches(es) == 1
    await asked.aclose()
    assert await _open_searches(es) == 0


async def _open_searches(es: AsyncElasticsearch) -> int:
    stats = await es.indices.stats(index=REPOSITORIES, metric="search")
    return int(stats["_all"]["total"]["search"]["open_contexts"])


async def test_no_index_and_no_server(es: AsyncElasticsearch) -> None:
    with pytest.raises(Rejected, match="no such index"):
        await anext(repositories(es, REPOSITORIES))
    async with connect("http://127.0.0.1:9") as away:
        with pytest.raises(Transient, match="CODELUPE_ELASTICSEARCH"):
            await anext(repositories(away, REPOSITORIES))
