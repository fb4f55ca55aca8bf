"""On servers, what the first CodeLupe's own commands ask is answered with the truth."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.cli.conftest import build
from tests.drills.process import done, run
from tests.git_server import git_server
from tests.servers.postgres import query

TRAINER = """
select id, content, language, quality_score from processed_files
where id > $1 and quality_score >= 70 and length(content) between 50 and 8000
order by quality_score desc"""
HISTOGRAM = {
    "size": 0,
    "aggs": {"quality": {"histogram": {"field": "quality_score", "interval": 0.1}}},
}
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def site(
    postgres_url: str,
    redis_url: str,
    elasticsearch_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Three sources, one of them not yet visited, on all servers."""
    for name, url in (
        ("STORE", postgres_url), ("REDIS", redis_url), ("ELASTICSEARCH", elasticsearch_url)
    ):  # fmt: skip
        monkeypatch.setenv(f"CODELUPE_{name}", url)
    home = build(tmp_path / "sources").path
    done(run("ingest", "--later", "--json", home / "one", home / "two"))
    done(run("daemon", "--until-idle", "--json"))
    done(run("ingest", "--later", "--json", home / "three.git"))
    return home


def redis(url: str, *command: str) -> int:
    said = subprocess.run(
        ["redis-cli", "-u", url, *command], check=True, capture_output=True, text=True
    )
    return int(said.stdout)


def found(words: str) -> tuple[int, list[str]]:
    answer = done(run("search", words, "--json"))
    return answer["total"], [hit["id"] for hit in answer["hits"]]


def elasticsearch(url: str, question: str, body: object = None, method: str = "POST") -> Any:
    with Elasticsearch(url) as client:
        answer = client.perform_request(
            method,
            f"/{question}",
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
        )
    return answer.body


def test_the_first_commands_tell_the_truth(
    site: Path, postgres_url: str, redis_url: str, elasticsearch_url: str
) -> None:
    for consumer in ("redis", "elasticsearch"):  # no daemon runs that would tell them
        done(run("replay", consumer, "--json"))
    status = done(run("status", "--json"))
    texts = status["files"]["distinct"]
    assert status["repositories"] == {"known": 3, "done": 2, "failed": 0, "due": 1}

    assert redis(redis_url, "LLEN", "pipeline:repos") == 1
    assert redis(redis_url, "LLEN", "pipeline:files") == 0
    assert redis(redis_url, "SCARD", "pipeline:processed:repos") == 2
    assert redis(redis_url, "SCARD", "pipeline:processed:files") == texts

    assert elasticsearch(elasticsearch_url, "codelupe-code/_count")["count"] == texts
    told = elasticsearch(elasticsearch_url, "codelupe-code/_search", HISTOGRAM)
    buckets = told["aggregations"]["quality"]["buckets"]
    assert sum(bucket["doc_count"] for bucket in buckets) == texts
    assert all(0 <= bucket["key"] <= 1 for bucket in buckets)
    assert elasticsearch(elasticsearch_url, "github-coding-repos/_count")["count"] == 3

    rows = query(postgres_url, TRAINER, 0)
    assert 0 < len(rows) <= texts
    scores = [row[3] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(score >= 70 and 50 <= len(content) <= 8000 for _, content, _, score in rows)
    assert query(postgres_url, TRAINER, max(row[0] for row in rows)) == []


def test_a_crawlers_index_is_a_source(site: Path, elasticsearch_url: str) -> None:
    with git_server(site) as git_url:
        crawled = {"full_name": "ada/three", "clone_url": f"{git_url}/three.git", "stars": 12}
        elasticsearch(elasticsearch_url, "crawled/_doc/1?refresh=true", crawled)
        try:
            answer = done(run("ingest", "--json", "elasticsearch:crawled"))
        finally:
            elasticsearch(elasticsearch_url, "crawled", method="DELETE")
    assert (answer["sources"], answer["failed"]) == (1, [])
    assert found("rotate")[0] == 1


def test_every_command_works_on_servers(site: Path) -> None:
    done(run("daemon", "--until-idle", "--json"))
    total, ids = found("greet")
    assert total > 0
    shown = done(run("show", ids[0], "--json"))
    place = f"{shown['repo']}/{shown['path']}"
    assert done(run("why", place, "--json"))["kept"]
    exported = site / "rows.jsonl"
    done(run("export", "--json", "--min-quality", "0", "--output", exported))
    texts = done(run("status", "--json"))["files"]["distinct"]
    assert len(exported.read_text().splitlines()) <= texts
    done(run("forget", "--json", "--content", ids[0]))
    assert ids[0] not in found("greet")[1]
    assert done(run("dead-letters", "--json")) == []
    done(run("replay", "--json", "elasticsearch"))
    done(run("replay", "--json", "near_duplicates"))
    assert done(run("verify", "--deep", "--json"))["problems"] == []
