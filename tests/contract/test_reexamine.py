"""New verdicts of recorded texts, and what the figures and exports say afterwards."""

from __future__ import annotations

import pytest

from codelupe_daemon.journal.base import Counts, ExportRow, Journal, Judged, Rejudged
from codelupe_daemon.model import Content, Occurrence, Op, Reason, Recorded
from tests.contract.build import Ingest, all_live, content, hash_of, repo, text, where

A, B, C = text("a"), text("b"), text("c")
NEW = "examiner-2"


def left_out(reason: Reason = Reason.DATA) -> Occurrence:
    return Occurrence("", None, "", "Python", None, reason, 0.9)


def accepts_all(_license_id: str | None) -> bool:
    return True


async def rejudge(
    journal: Journal,
    source: str,
    kept: dict[str, Content],
    out: dict[str, Occurrence] | None = None,
) -> Recorded:
    return await journal.rejudge([Rejudged(hash_of(source), kept, out or {})], NEW, accepts_all)


async def judged(journal: Journal, examiner: str = NEW) -> list[Judged]:
    return await journal.judged_by_others(examiner, b"", 100)


async def test_what_another_examiner_judged(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B, "x/a.pyi": A, "big.py": Reason.TOO_LARGE})
    await Ingest(journal, examiner=NEW).complete("b/b", {"c.py": C})
    found = {one.content.content: one for one in await judged(journal)}
    assert found.keys() == {A, B}
    assert dict(found[A].path_classes) == {".py": "a.py", ".pyi": "x/a.pyi"}
    assert where(found[A].content) == "a/a/a.py"


async def test_judged_by_others_pages_by_hash(journal: Journal, ingest: Ingest) -> None:
    sources = [text(f"n{number}") for number in range(9)]
    await ingest.complete("a/a", {f"{n}.py": source for n, source in enumerate(sources)})
    seen: list[bytes] = []
    while page := await journal.judged_by_others(NEW, seen[-1] if seen else b"", 4):
        assert len(page) <= 4
        seen += [one.content.content_hash for one in page]
    assert seen == sorted(hash_of(source) for source in sources)


async def test_the_same_verdict_writes_no_op(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    assert (await rejudge(journal, A, {".py": content(journal, A)})).ops == {}
    assert await judged(journal) == []
    row = await journal.find("a/a", "a.py")
    assert row is not None
    assert row.examiner_version == NEW


async def test_a_new_verdict_is_a_revise(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"a.py": A})
    verdict = content(journal, A, language="Cython", score=0.4, signals=b'{"lines": 7}')
    assert (await rejudge(journal, A, {".py": verdict})).ops == {Op.REVISE: 1}
    add, revise = await journal.read(0, 9)
    assert (revise.op, revise.content, revise.license) == (Op.REVISE, None, "MIT")
    assert (revise.language, revise.quality, revise.examiner_version) == ("Cython", 40.0, NEW)
    assert revise.place[:3] == add.place[:3]
    [live] = await all_live(journal)
    assert (live.id, live.newest_id, live.content) == (add.id, revise.id, A)
    assert (live.language, live.quality, live.signals) == ("Cython", 40.0, b'{"lines": 7}')
    assert await judged(journal) == []


async def test_a_text_without_packed_can_be_judged_anew(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    bare = content(journal, A, score=0.3)._replace(packed=None)
    assert (await rejudge(journal, A, {".py": bare})).ops == {Op.REVISE: 1}
    assert [(one.content, one.quality) for one in await all_live(journal)] == [(A, 30.0)]


async def test_left_out_everywhere_is_a_remove(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    await ingest.complete("b/b", {"b.py": A})
    assert (await rejudge(journal, A, {}, {".py": left_out()})).ops == {Op.REMOVE: 1}
    assert await ingest.live() == {B: "a/a/b.py"}
    row = await journal.find("b/b", "b.py")
    assert row is not None
    assert row.examiner_version == NEW
    assert (row.occurrence.content_hash, row.occurrence.path) == (None, "b.py")
    assert (row.occurrence.reason, row.occurrence.measured) == (Reason.DATA, 0.9)


async def test_left_out_at_its_best_place_is_a_move(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"a.txt": A})
    await ingest.complete("b/b", {"b.py": A})
    done = await rejudge(journal, A, {".py": content(journal, A)}, {".txt": left_out()})
    assert done.ops == {Op.MOVE: 1}
    assert await ingest.live() == {A: "b/b/b.py"}


async def test_left_out_at_a_worse_place_writes_no_op(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"a.py": A})
    await ingest.complete("b/b", {"b.txt": A})
    done = await rejudge(journal, A, {".py": content(journal, A)}, {".txt": left_out()})
    assert done.ops == {}
    assert await ingest.live() == {A: "a/a/a.py"}
    assert [row.repo for row in await journal.occurrences(hash_of(A))] == ["a/a"]


async def test_what_is_gone_is_not_judged(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await ingest.complete("a/a", {})
    assert await judged(journal) == []
    assert (await rejudge(journal, A, {".py": content(journal, A, score=0.1)})).ops == {}
    assert await ingest.live() == {}


async def test_a_visit_with_a_newer_examiner_revises(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    newer = Ingest(journal, examiner=NEW)
    visit = await newer.begin("a/a")
    await journal.append([newer.part(visit, {"a.py": A}, language="Cython")])
    await newer.end(visit, {"a.py": A}, repo("a/a").standing)
    assert [op for op, _ in await ingest.ops()] == [Op.ADD, Op.REVISE]
    assert [one.language for one in await all_live(journal)] == ["Cython"]
    assert await judged(journal) == []


async def test_left_out_files_make_their_repository_due(journal: Journal, ingest: Ingest) -> None:
    newer = Ingest(journal, examiner=NEW)
    await ingest.complete("a/left-out", {"a.py": Reason.MINIFIED, "b.py": B})
    await ingest.complete("a/kept", {"a.py": A})
    await ingest.complete("a/settled", {"link": Reason.SYMLINK, "dep": Reason.SUBMODULE})
    await newer.complete("a/new", {"a.py": Reason.MINIFIED})
    assert await journal.repositories(due_only=True) == []
    due = await journal.mark_due(NEW)
    assert [(row.full_name, row.state, files) for row, files in due.items()] == [
        ("a/left-out", "due", 1)
    ]
    assert await journal.repositories(due_only=True) == list(due)
    await newer.complete("a/left-out", {"a.py": Reason.MINIFIED, "b.py": B})
    assert await journal.mark_due(NEW) == {}


async def test_a_takedown_makes_nobody_due(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await journal.forget_places("a/a", None)
    assert await journal.mark_due(NEW) == {}


async def test_counts(journal: Journal, ingest: Ingest) -> None:
    assert await journal.counts() == Counts({}, 0, 0, 0, 0, {}, 0)
    await ingest.complete("a/a", {"a.py": A, "b.py": A, "c.py": C, "big": Reason.TOO_LARGE})
    await ingest.complete("b/b", {"a.py": A, "big": Reason.TOO_LARGE, "no": Reason.NOT_CODE})
    await journal.register(repo("c/c"))
    await journal.release(await ingest.begin("d/d"), "failed", "no such repository")
    counts = await journal.counts()
    assert dict(counts.repositories) == {"done": 2, "due": 1, "failed": 1}
    assert (counts.listed, counts.accepted, counts.left_out, counts.distinct) == (7, 4, 3, 2)
    assert dict(counts.reasons) == {Reason.TOO_LARGE: 2, Reason.NOT_CODE: 1}
    assert counts.last_id == await journal.last_id() == 2


async def test_exports_are_known_by_their_path(journal: Journal) -> None:
    first = ExportRow("/out/a.jsonl", "jsonl", 7, {"min_quality": 0.7, "language": ["Ä"]}, 100)
    second = ExportRow("/out/b.parquet", "parquet", 8, {}, 101)
    again = first._replace(watermark=9, written_at=102, options={"duplicates": "skip"})
    for export in (first, second):
        await journal.record_export(export)
    assert sorted(await journal.exports(), key=lambda one: one.path) == [first, second]
    await journal.record_export(again)
    assert sorted(await journal.exports(), key=lambda one: one.path) == [again, second]


@pytest.mark.parametrize("visits", [0, 1, 3])
async def test_verify_counts_what_it_checked(journal: Journal, ingest: Ingest, visits: int) -> None:
    for number in range(visits):
        await ingest.complete(f"a/{number}", {"a.py": text(f"n{number}"), "b.py": B})
    checked, problems = await journal.verify()
    assert problems == []
    assert all(count == 0 for count in checked.values()) == (visits == 0)
    assert await journal.last_id() in checked.values()
