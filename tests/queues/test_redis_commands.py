"""Only commands that Redis 6.2 has: whatever is done, the server's own statistics show no other."""

from __future__ import annotations

from pathlib import Path

from redis import Redis as Client

from codelupe_daemon.consume.redis_sets import RedisSets
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.queues.redis_link import LEAST_VERSION, Key
from tests.consume.following import catch_up
from tests.contract.build import DEAD, ELSEWHERE, Ingest, hash_of, text
from tests.queues.conftest import opened, register, until
from tests.servers.fixtures import had
from tests.servers.redis import Redis

# command -> the version that brought it, or the form in which it is used.
COMMANDS = {
    "auth": (1, 0),
    "blpop": (6, 0),  # a time-out that is no whole number
    "eval": (2, 6),
    "evalsha": (2, 6),
    "get": (1, 0),
    "hdel": (2, 4),
    "hget": (2, 0),
    "hgetall": (2, 0),
    "hincrby": (2, 0),
    "hkeys": (2, 0),
    "hmget": (2, 0),
    "hset": (4, 0),  # several fields
    "hsetnx": (2, 0),
    "info": (1, 0),
    "llen": (1, 0),
    "lrange": (1, 0),
    "ltrim": (1, 0),
    "pexpire": (2, 6),
    "rpush": (2, 4),  # several values
    "sadd": (2, 4),
    "scard": (1, 0),
    "script|load": (2, 6),
    "select": (1, 0),
    "set": (2, 6, 12),  # NX, PX
    "smismember": (6, 2),
    "srem": (2, 4),
    "sscan": (2, 8),
    "time": (2, 6),
    "type": (1, 0),
    "unlink": (4, 0),
    "zadd": (1, 2),
    "zremrangebyscore": (1, 2),
    "zscore": (1, 2),
}


async def test_only_commands_that_the_oldest_version_has(
    journal: Journal, ingest: Ingest, tmp_path: Path
) -> None:
    with had(lambda: Redis(password="s3cret")) as server, server.client() as keys:
        keys.config_resetstat()
        before = set(used(keys))
        await exercise(journal, ingest, tmp_path, f"redis://:s3cret@127.0.0.1:{server.port}/3")
        commands = used(keys)
    assert before <= {"config|resetstat", "info"}
    assert set(commands) - before - set(COMMANDS) == set(), "they are not in the list"
    assert set(COMMANDS) - set(commands) == set(), "they are in the list and not used"
    assert max(COMMANDS.values()) <= LEAST_VERSION
    assert {name: stats for name, stats in commands.items() if stats["failed_calls"]}.keys() <= {
        "evalsha"  # a script that the server does not know yet
    }


def used(keys: Client) -> dict[str, dict[str, int]]:
    return {name.removeprefix("cmdstat_"): of for name, of in keys.info("commandstats").items()}


async def exercise(journal: Journal, ingest: Ingest, folder: Path, url: str) -> None:
    """Everything that is ever asked of Redis."""
    await ingest.complete("ada/done", {"a.py": text("a"), "b.py": text("b")})
    await ingest.partial("ada/partial", {"c.py": text("c")})
    ids = await register(journal, 3)
    sets = RedisSets(SqliteClusters(folder / "codelupe.db"), url)
    await sets.open()
    await catch_up(journal, sets)
    await ingest.complete("ada/done", {"a.py": text("a")})
    await catch_up(journal, sets)
    await catch_up(journal, sets, replay=True)
    assert [len(page) async for page in sets.holdings()] == [2]
    await sets.close()
    async with opened(journal, url) as one, opened(journal, url, has_file_set=False) as other:
        for queues in (one, other):
            assert await queues.claim(ELSEWHERE, 60.0, 10.0)
            await queues.listed("ada/lib", ["a", "b", "c"])
            await queues.recorded(2)
            await queues.visited(ids[0], is_done=True)
            await queues.visited(ids[0], is_done=False)
        assert await one.known([hash_of(text("a")), hash_of("x")]) == [True, False]
        await one._link.client.unlink(Key.DONE, Key.FILES)
        await one._link.client.hset(Key.OUTSTANDING, f"{DEAD}:1", "2")
        await one._repair()
        await other._repair()
        await other.rebuild()
        assert await one.claim(ELSEWHERE, 60.0, 10.0)
        assert await one.claim(ELSEWHERE, 60.0, 0.5) is None
        await until(lambda: one.state == other.state == "redis")
