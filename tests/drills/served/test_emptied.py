"""What Redis and Elasticsearch hold is lost under way, and is there again by itself."""

from __future__ import annotations

import pytest
from elastic_transport import TransportError
from elasticsearch import ApiError
from elasticsearch import Elasticsearch as ElasticsearchClient
from redis import Redis as RedisClient

from tests.drills.served.state import Site
from tests.servers.elasticsearch import wipe

pytestmark = pytest.mark.timeout(600)


def test_redis_is_flushed_and_the_index_deleted(
    site: Site, urls: dict[str, str], *, full: bool
) -> None:
    texts = site.corpus.texts
    site.start()
    with (
        RedisClient.from_url(urls["redis"]) as redis,
        ElasticsearchClient(urls["elasticsearch"]) as elasticsearch,
    ):
        for share in (0.1, 0.3, 0.5):
            site.reaches(int(share * texts))
            redis.flushall()
            if full or share == 0.3:
                site.wait(lambda: indexed(elasticsearch) > 0)
                wipe(urls["elasticsearch"])
        site.wait(site.is_done)
        site.wait(lambda: in_redis(redis) == (0, 0, len(site.corpus.sources), texts))
        site.wait(lambda: indexed(elasticsearch) == texts)
    site.assert_undisturbed()


def in_redis(redis: RedisClient) -> tuple[int, ...]:
    """What the lists and sets hold."""
    lists = [redis.llen(f"pipeline:{name}") for name in ("repos", "files")]
    sets = [redis.scard(f"pipeline:processed:{name}") for name in ("repos", "files")]
    return (*lists, *sets)


def indexed(elasticsearch: ElasticsearchClient) -> int:
    """Searchable documents; 0 where there is no index."""
    try:
        return int(elasticsearch.count(index="codelupe-code")["count"])
    except (ApiError, TransportError):
        return 0
