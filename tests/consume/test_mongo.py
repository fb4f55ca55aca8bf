"""What the collection holds after each op, whoever writes, and what is wrong with the server."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from codelupe_daemon.consume import mongo
from codelupe_daemon.consume.mongo import Mongo
from codelupe_daemon.consume.runner import DeadLetter, Holding, LeaseLost, Outcome
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.model import LiveContent
from tests.consume.following import catch_up
from tests.contract.build import COMMIT, EXPIRED_S, LEASE_S, Ingest, all_live, hash_of, repo, text

Code = Collection[dict[str, Any]]


@pytest.fixture
async def states(journal: Journal, tmp_path: Path) -> AsyncIterator[SqliteClusters]:
    opened = SqliteClusters(tmp_path / "codelupe.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def consumer(
    states: SqliteClusters, journal: Journal, mongo_url: str
) -> AsyncIterator[Mongo]:
    opened = Mongo(states, journal, mongo_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def code(mongo_url: str) -> Iterator[Code]:
    with MongoClient[dict[str, Any]](mongo_url) as client:
        yield client.get_default_database()["code"]


async def assert_the_live_contents(journal: Journal, code: Code) -> None:
    held = {
        document["_id"]: (document["journal_id"], document["content"]) for document in code.find()
    }
    live = await all_live(journal)
    assert held == {one.content_hash.hex(): (one.newest_id, one.content) for one in live}


async def test_a_document_has_the_fields_of_the_index(
    journal: Journal, ingest: Ingest, consumer: Mongo, code: Code
) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"src/größe.py": text("walrus")})
    assert await catch_up(journal, consumer) is Outcome.CAUGHT_UP
    content_hash = hash_of(text("walrus")).hex()
    [live] = await all_live(journal)
    assert list(code.find()) == [
        {
            "_id": content_hash,
            "journal_id": 1,
            "add_id": 1,
            "content_hash": content_hash,
            "repo": "a/a",
            "file_path": "src/größe.py",
            "commit": COMMIT.hex(),
            "content": text("walrus"),
            "content_chars": len(text("walrus")),
            "language": "Python",
            "quality_score": 0.8,
            "license": live.license,
            "signals": {"lines": 6},
            "created_at": live.created_at,
        }
    ]


async def test_follows_moves_removals_and_returns(
    journal: Journal, ingest: Ingest, consumer: Mongo, code: Code
) -> None:
    await ingest.complete("z/z", {"x.py": text("walrus"), "y.py": text("otter")})
    await catch_up(journal, consumer)
    await ingest.complete(repo("a/a", "MIT", 100), {"x.py": text("walrus")})
    await catch_up(journal, consumer)
    found = code.find_one({"_id": hash_of(text("walrus")).hex()})
    assert found is not None
    assert (found["repo"], found["journal_id"]) == ("a/a", 3)
    await ingest.complete("z/z", {})
    await catch_up(journal, consumer)
    assert [one["repo"] for one in code.find()] == ["a/a"]
    await ingest.complete("z/z", {"y.py": text("otter")})
    await catch_up(journal, consumer)
    await assert_the_live_contents(journal, code)
    assert code.count_documents({}) == 2
    assert await consumer.watermark() == await journal.last_id()


async def test_a_takedown_reaches_it_and_a_replay_gives_the_same(
    journal: Journal, ingest: Ingest, consumer: Mongo, code: Code
) -> None:
    await ingest.complete("a/a", {f"{n}.py": text(f"animal{n}") for n in range(20)})
    await catch_up(journal, consumer)
    await journal.forget_places("a/a", "1*.py")
    await catch_up(journal, consumer)
    await assert_the_live_contents(journal, code)
    assert code.count_documents({}) == 9
    code.insert_one({"_id": "00" * 16, "journal_id": 4, "content": "left by somebody"})
    await catch_up(journal, consumer, replay=True)
    await assert_the_live_contents(journal, code)
    holdings = [one async for page in consumer.holdings() for one in page]
    assert sorted(holdings) == sorted(
        Holding(one.content_hash, one.newest_id, one.content_hash)
        for one in await all_live(journal)
    )


async def test_many_long_texts_come_in_groups(
    journal: Journal, ingest: Ingest, consumer: Mongo, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo, "BULK_CHARS", 400)
    monkeypatch.setattr(mongo, "PAGE_ROWS", 4)
    groups: list[int] = []
    read = journal.live_by_hashes

    async def watched(hashes: Sequence[bytes], *, content: bool) -> list[LiveContent]:
        groups.extend([len(hashes)] * content)
        return await read(hashes, content=content)

    monkeypatch.setattr(journal, "live_by_hashes", watched)
    await ingest.complete("a/a", {f"{n}.py": text(f"walrus{n}" * 2) for n in range(9)})
    await catch_up(journal, consumer)
    assert sum(groups) == 9
    assert max(groups) == 2
    await assert_the_live_contents(journal, code)
    assert [len(page) async for page in consumer.holdings()] == [4, 4, 1]


async def test_a_runner_that_was_overtaken_writes_nothing(
    journal: Journal, ingest: Ingest, consumer: Mongo, code: Code
) -> None:
    await ingest.complete("a/a", {"x.py": text("walrus")})
    page = await journal.read(0, 10)
    old = await consumer.claim(this_process(), EXPIRED_S)
    new = await consumer.claim(this_process(), LEASE_S)
    assert old is not None
    assert new is not None
    for write in (
        consumer.apply(page, old), consumer.reset(old), consumer.bury(DeadLetter(1, "no"), old)
    ):  # fmt: skip
        with pytest.raises(LeaseLost):
            await write
    assert code.count_documents({}) == 0
    await consumer.apply(page, new)
    await assert_the_live_contents(journal, code)


async def test_a_runner_that_slept_in_the_middle_of_a_page_leaves_nothing_behind(
    journal: Journal,
    ingest: Ingest,
    consumer: Mongo,
    states: SqliteClusters,
    code: Code,
    mongo_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has read what lived; meanwhile some of it died, moved, and another runner said so."""
    files = {"dies.py": text("dies"), "moves.py": text("moves"), "stays.py": text("stays")}
    await ingest.complete("z/z", files)
    sleeper = Mongo(states, journal, mongo_url)
    await sleeper.open()
    lease = await sleeper.claim(this_process(), EXPIRED_S)
    assert lease is not None
    write = sleeper._write

    async def asleep(operations: Sequence[Any]) -> None:
        monkeypatch.setattr(sleeper, "_write", write)
        await ingest.complete(repo("a/a", "MIT", 100), {"moves.py": text("moves")})
        await ingest.complete("z/z", {"stays.py": text("stays")})
        assert await catch_up(journal, consumer) is Outcome.CAUGHT_UP
        await write(operations)
        assert code.find_one({"_id": hash_of(text("dies")).hex()}) is not None

    monkeypatch.setattr(sleeper, "_write", asleep)
    with pytest.raises(LeaseLost):
        await sleeper.apply(await journal.read(0, 3), lease)
    await sleeper.close()
    await assert_the_live_contents(journal, code)
    assert code.count_documents({}) == 2


async def test_what_is_too_large_is_a_dead_letter_until_it_does(
    journal: Journal, ingest: Ingest, consumer: Mongo, code: Code
) -> None:
    large = "x" * (17 << 20)
    await ingest.complete("a/a", {"a.py": text("walrus"), "b.py": large, "c.py": text("otter")})
    await catch_up(journal, consumer)
    [letter] = await consumer.dead_letters()
    [entry] = [entry for entry in await journal.read(0, 10) if entry.content_chars == len(large)]
    assert (letter.id, "too many" in letter.reason) == (entry.id, True)
    assert code.count_documents({}) == 2
    assert await consumer.watermark() == 3
    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    await consumer.retry([entry], lease)
    assert await consumer.dead_letters() == [letter]
    await ingest.complete("a/a", {"a.py": text("walrus"), "c.py": text("otter")})
    await consumer.retry([entry], lease)
    assert await consumer.dead_letters() == []
    await consumer.release(lease)


async def test_what_the_server_refuses_is_a_dead_letter(
    journal: Journal, ingest: Ingest, consumer: Mongo, code: Code
) -> None:
    code.create_index("file_path", unique=True)
    await ingest.complete("a/a", {"a.py": text("walrus"), "b.py": text("otter")})
    await ingest.complete("b/b", {"a.py": text("seal")})
    await catch_up(journal, consumer)
    [letter] = await consumer.dead_letters()
    [entry] = await journal.read(letter.id - 1, 1)
    assert entry.place.path == "a.py"
    assert "file_path_1" in letter.reason
    assert code.count_documents({}) == 2
    code.drop_index("file_path_1")
    lease = await consumer.claim(this_process(), LEASE_S)
    assert lease is not None
    await consumer.retry([entry], lease)
    assert await consumer.dead_letters() == []
    await assert_the_live_contents(journal, code)


async def test_the_url_may_name_no_database(
    mongo_url: str, journal: Journal, states: SqliteClusters
) -> None:
    consumer = Mongo(states, journal, mongo_url.rpartition("/")[0])
    await consumer.open()
    assert consumer._code.full_name == "codelupe.code"
    await consumer.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1", "mongodb://me:s3:cret@127.0.0.1", "mongodb://me:s3cr/et@127.0.0.1:1/x",
        "mongodb://me:s3cret@127.0.0.1:port",
    ],
    ids=["other scheme", "colon", "slash", "no port"],
)  # fmt: skip
async def test_a_url_that_is_none(url: str, journal: Journal, states: SqliteClusters) -> None:
    with pytest.raises(Fatal, match="CODELUPE_MONGO") as caught:
        await Mongo(states, journal, url).open()
    assert "s3" not in str(caught.value)


async def test_a_user_whom_the_server_does_not_know(
    mongo_url: str, journal: Journal, states: SqliteClusters
) -> None:
    consumer = Mongo(states, journal, mongo_url.replace("//", "//me:s3cret@"))
    with pytest.raises(Fatal, match=r"CODELUPE_MONGO.*password") as caught:
        await consumer.open()
    assert "s3cret" not in str(caught.value)
    await consumer.close()


async def test_a_server_that_does_not_answer(
    journal: Journal, states: SqliteClusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that listens: the client leaks a socket where it is closed while it is refused."""
    monkeypatch.setattr(mongo, "TIMEOUT_MS", 200)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        consumer = Mongo(states, journal, f"mongodb://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Transient, match="CODELUPE_MONGO"):
            await consumer.open()
        await consumer.close()


def test_without_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    monkeypatch.delitem(sys.modules, mongo.__name__)
    with pytest.raises(Fatal, match=r"pip install 'codelupe\[mongo\]'"):
        importlib.import_module(mongo.__name__)
