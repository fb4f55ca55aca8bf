"""Readers page by id, and no row is ever missed or seen twice."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import Entry, Op, Standing
from tests.builders import FULL
from tests.contract.build import Ingest, all_live, hash_of, text
from tests.contract.stores import STORES
from tests.contract.writer import SHARED, own_text, shared_text

WRITERS = 8
APPENDS = 1000 if FULL else 60
WORDS = [f"n{number}" for number in range(10)]


async def ten(ingest: Ingest) -> None:
    await ingest.complete("a/a", {f"{word}.py": text(word) for word in WORDS})


async def test_read_pages_in_order(journal: Journal, ingest: Ingest) -> None:
    await ten(ingest)
    await ingest.complete("a/a", {"n3.py": text("n3")})
    rows = await journal.read(0, 1000)
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    assert Counter(row.op for row in rows) == {Op.ADD: 10, Op.REMOVE: 9}
    assert await journal.last_id() == rows[-1].id
    paged: list[Entry] = []
    while page := await journal.read(paged[-1].id if paged else 0, 4):
        assert len(page) <= 4
        paged += page
    assert paged == rows
    assert await journal.read(rows[-1].id, 4) == []


async def test_live_pages_by_the_id_of_the_add(journal: Journal, ingest: Ingest) -> None:
    await ten(ingest)
    await ingest.complete("a/a", {f"{word}.py": text(word) for word in WORDS[::2]})
    everything = await all_live(journal)
    assert [one.content for one in everything if one.content] == [
        one.content for one in sorted(everything, key=lambda one: one.id)
    ]
    first = await journal.live(0, 2)
    rest = await journal.live(first[-1].id, 100)
    assert first + rest == everything
    assert {one.content for one in everything} == {text(word) for word in WORDS[::2]}


async def test_live_without_its_text(journal: Journal, ingest: Ingest) -> None:
    await ten(ingest)
    full = await all_live(journal)
    assert await journal.live(0, 100, content=False) == [one._replace(content=None) for one in full]


async def test_live_by_id(journal: Journal, ingest: Ingest) -> None:
    await ten(ingest)
    full = {one.id: one for one in await all_live(journal)}
    await ingest.complete("a/a", {f"{word}.py": text(word) for word in WORDS[1:]})
    gone = next(key for key, one in full.items() if one.content == text("n0"))
    some = [*list(full)[:4], 10**9, gone]
    found = await journal.live_by_id(some, content=True)
    expected = {key: full[key] for key in some if key in full and key != gone}
    assert {one.id: one for one in found} == expected
    bare = await journal.live_by_id(list(expected), content=False)
    assert {one.content for one in bare} == {None}
    assert await journal.live_by_id([], content=True) == []


async def test_live_by_hash(journal: Journal, ingest: Ingest) -> None:
    await ten(ingest)
    name = hash_of(text("n1")).hex()
    for prefix in (name, name[:31], name[:12]):
        assert [one.content for one in await journal.live_by_hash(prefix)] == [text("n1")]
    assert len(await journal.live_by_hash("")) == 10
    await ingest.complete("a/a", {})
    assert await journal.live_by_hash(name) == []


async def test_live_by_hash_ends_at_ten(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {f"{n}.py": text(f"n{n}") for n in range(30)})
    assert len(await journal.live_by_hash("")) == 10


async def test_occurrences_of_a_content_have_a_limit(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {f"{number}.py": text("same") for number in range(9)})
    rows = await journal.occurrences(hash_of(text("same")), 4)
    assert len(rows) == 4
    assert {row.repo for row in rows} == {"a/a"}
    assert await journal.occurrences(hash_of("nowhere")) == []


async def test_reads_run_beside_each_other_and_beside_a_write(
    journal: Journal, ingest: Ingest
) -> None:
    await ten(ingest)
    visit = await ingest.begin("b/b")
    reads = [journal.read(0, 100) for _ in range(20)]
    write = asyncio.create_task(ingest.record(visit, {"x.py": text("x")}))
    pages = await asyncio.gather(*reads)
    await write
    rows = await journal.read(0, 100)
    assert len(rows) == 11
    assert all(page in (rows[:10], rows) for page in pages)


async def test_two_writers_at_once_both_finish(store: str, place: Path) -> None:
    """Two processes' worth of journals on one store, visits interleaved as they come."""
    journals = [STORES[store](place) for _ in range(2)]
    for one in journals:
        await one.open(create=True)

    async def visit(one: Journal, name: str) -> None:
        words = Ingest(one)
        begun = await words.begin(name)
        for number in range(20):
            files = {f"{number}.py": text(f"n{number}"), f"own{number}.py": text(name + "own")}
            await words.record(begun, files)
        everything = {path: "" for n in range(20) for path in (f"{n}.py", f"own{n}.py")}
        await words.end(begun, everything, Standing())

    await asyncio.gather(visit(journals[0], "a"), visit(journals[1], "b"))
    assert (await Ingest(journals[0]).live()).keys() == (await Ingest(journals[1]).live()).keys()
    assert [row.state for row in await journals[1].repositories()] == ["done", "done"]
    assert Counter(op for op, _ in await Ingest(journals[0]).ops())[Op.ADD] == 22
    assert (await journals[0].verify())[1] == []
    for one in journals:
        await one.close()


async def write(store: str, folder: Path, number: int) -> None:
    """One writer process, to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.writer", store, folder, str(number), str(APPENDS),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()


@pytest.mark.timeout(600 if FULL else 60)
async def test_a_polling_reader_sees_every_row_of_eight_writers_once(
    journal: Journal, store: str, place: Path
) -> None:
    writers = asyncio.gather(*(write(store, place, number) for number in range(WRITERS)))
    seen: list[Entry] = []
    polls_with_rows = 0
    while True:
        ended = writers.done()
        page = await journal.read(seen[-1].id if seen else 0, 50)
        seen += page
        polls_with_rows += bool(page)
        if ended and not page:
            break
    await writers
    assert seen == await journal.read(0, 10**6)
    assert [row.id for row in seen] == sorted({row.id for row in seen})
    adds = Counter(row.content for row in seen if row.op is Op.ADD)
    own = {own_text(writer, n) for writer in range(WRITERS) for n in range(APPENDS)}
    assert adds == Counter(own | {shared_text(number) for number in range(SHARED)})
    assert polls_with_rows > WRITERS
    best = {one.place.repo for one in await all_live(journal) if one.content == shared_text(0)}
    assert best == {f"writer/{WRITERS - 1}"}
