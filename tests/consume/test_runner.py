"""One runner at a time, at least once, nothing lost to one bad row."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from codelupe_daemon.consume import runner
from codelupe_daemon.consume.runner import Control, DeadLetter, Lease, LeaseLost, Outcome, run
from codelupe_daemon.consume.search_index import SearchIndex
from codelupe_daemon.errors import Rejected, Transient
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.model import Entry
from tests.consume.following import catch_up, rowids
from tests.contract.build import DEAD, ELSEWHERE, Ingest, text


class Picky(SearchIndex):
    """Takes no text that holds "poison", and is busy as often as it is told."""

    busy = 0

    async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
        if self.busy:
            self.busy -= 1
            raise Transient("busy")
        if any("poison" in str(entry.content) for entry in entries):
            raise Rejected("poisoned")
        await super().apply(entries, lease)


@pytest.fixture
async def filled(journal: Journal, ingest: Ingest) -> Journal:
    await ingest.complete("a/one", {f"{n}.py": text(f"word{n:c}x") for n in range(97, 107)})
    return journal


async def test_catches_up_and_goes_on_when_woken(
    filled: Journal, ingest: Ingest, index: SearchIndex
) -> None:
    control = Control()
    running = asyncio.create_task(
        run(filled, index, owner=this_process(), control=control, page_rows=4)
    )
    while await index.watermark() < 10:
        await filled.last_id()  # something to wait for: the loop runs meanwhile
    await ingest.complete("b/two", {"new.py": text("fresh")})
    control.drain()
    assert await running is Outcome.CAUGHT_UP
    assert await index.watermark() == await filled.last_id() == 11


async def test_stops_when_asked(filled: Journal, index: SearchIndex) -> None:
    control = Control()
    control.stop()
    outcome = await run(filled, index, owner=this_process(), control=control)
    assert outcome is Outcome.STOPPED
    assert await catch_up(filled, index) is Outcome.CAUGHT_UP


async def test_a_living_runner_keeps_others_out(filled: Journal, index: SearchIndex) -> None:
    lease = await index.claim(ELSEWHERE, lease_s=60)
    assert lease is not None
    assert await catch_up(filled, index) is Outcome.HELD
    await index.release(lease)
    assert await catch_up(filled, index) is Outcome.CAUGHT_UP


async def test_a_dead_runner_is_replaced_at_once(filled: Journal, index: SearchIndex) -> None:
    assert await index.claim(DEAD, lease_s=3600) is not None
    assert await catch_up(filled, index) is Outcome.CAUGHT_UP


async def test_an_expired_lease_is_replaced_and_fenced(filled: Journal, index: SearchIndex) -> None:
    old = await index.claim(ELSEWHERE, lease_s=-1)
    new = await index.claim(this_process(), lease_s=60)
    assert old is not None
    assert new is not None
    page = await filled.read(0, 10)
    for write in (
        index.apply(page, old), index.renew(old, 60), index.reset(old),
        index.bury(DeadLetter(1, "no"), old),
    ):  # fmt: skip
        with pytest.raises(LeaseLost):
            await write
    await index.release(old)
    assert await index.watermark() == 0
    await index.apply(page, new)
    assert await index.watermark() == 10


async def test_a_runner_that_lost_its_lease_ends(
    filled: Journal, index: SearchIndex, tmp_path: Path
) -> None:
    class Robbed(SearchIndex):
        async def watermark(self) -> int:
            lease = await self.claim(this_process(), 60)  # this process's own lease is alive
            assert lease is None
            await self._on_thread(lambda: self._cx.execute("update leases set epoch = epoch + 1"))
            return 0

    robbed = Robbed(tmp_path / "codelupe-search.db")
    await robbed.open()
    assert await catch_up(filled, robbed) is Outcome.LEASE_LOST
    await robbed.close()
    assert await index.watermark() == 0


async def test_a_rejected_row_is_a_dead_letter_and_the_rest_goes_on(
    journal: Journal, ingest: Ingest, tmp_path: Path
) -> None:
    words = ["good", "poison", "better", "best", "poisonous", "last"]
    for number, word in enumerate(words):
        await ingest.complete(f"a/{number}", {"a.py": text(word)})
    picky = Picky(tmp_path / "codelupe-search.db")
    await picky.open()
    assert await catch_up(journal, picky) is Outcome.CAUGHT_UP
    assert await picky.dead_letters() == [DeadLetter(2, "poisoned"), DeadLetter(5, "poisoned")]
    assert await picky.watermark() == 6
    found = [rowids(tmp_path / "codelupe-search.db", word) for word in words]
    assert found == [[1], [], [3], [4], [], [6]]
    await catch_up(journal, picky, replay=True)
    assert len(await picky.dead_letters()) == 2
    await picky.close()


async def test_a_busy_store_is_tried_again_until_the_patience_ends(
    filled: Journal, tmp_path: Path
) -> None:
    picky = Picky(tmp_path / "codelupe-search.db")
    await picky.open()
    picky.busy = 1
    assert await catch_up(filled, picky) is Outcome.CAUGHT_UP
    await picky.close()

    impatient = Picky(tmp_path / "other-search.db")
    await impatient.open()
    impatient.busy = 1
    with pytest.raises(Transient):
        await run(
            filled, impatient, owner=this_process(), control=Control(), patience_s=0.0
        )  # fmt: skip
    assert await impatient.claim(this_process(), 60) is not None, "the lease was given back"
    await impatient.close()


async def test_pages_shrink_where_texts_are_long(
    journal: Journal, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PAGE_CHARS", 2000)
    pages: list[int] = []

    class Counting(SearchIndex):
        async def apply(self, entries: Sequence[Entry], lease: Lease) -> None:
            pages.append(len(entries))
            await super().apply(entries, lease)

    for size in (10, 400):
        files = {f"{n}.py": f"{'x ' * size}{n}" for n in range(20)}
        await ingest.complete(f"a/{size}", files)
    counting = Counting(tmp_path / "codelupe-search.db")
    await counting.open()
    control = Control()
    control.drain()
    await run(journal, counting, owner=this_process(), control=control, page_rows=10)
    await counting.close()
    assert sum(pages) == 40
    assert pages[0] == 10
    assert set(pages[3:-1]) == {2}


async def test_rows_that_come_twice_change_nothing(
    filled: Journal, index: SearchIndex, tmp_path: Path
) -> None:
    lease = await index.claim(this_process(), 60)
    assert lease is not None
    page = await filled.read(0, 10)
    await index.apply(page, lease)
    await index.apply(page[:4], lease)
    assert await index.watermark() == 10
    assert rowids(tmp_path / "codelupe-search.db", "return") == [entry.id for entry in page]


async def test_a_store_that_is_ahead_of_its_journal_is_filled_anew(
    filled: Journal, index: SearchIndex, tmp_path: Path
) -> None:
    """The journal was deleted, or a power cut took its last rows: ids are given out again."""
    await catch_up(filled, index)
    other = SqliteJournal(tmp_path / "other.db")
    await other.open(create=True)
    await Ingest(other).complete("a/other", {"a.py": text("newcomer")})
    assert await catch_up(other, index) is Outcome.CAUGHT_UP
    assert await index.watermark() == 1
    assert rowids(tmp_path / "codelupe-search.db", "newcomer") == [1]
    await other.close()


async def test_the_lease_is_renewed_while_there_is_much_to_take(
    filled: Journal, index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[int] = []
    renew = index.renew

    async def watched(lease: Lease, lease_s: float) -> None:
        renewed.append(await index.watermark())
        await renew(lease, lease_s)

    monkeypatch.setattr(index, "renew", watched)
    control = Control()
    control.drain()
    await run(filled, index, owner=this_process(), control=control, page_rows=3, lease_s=0)
    assert any(0 < at < 10 for at in renewed)
