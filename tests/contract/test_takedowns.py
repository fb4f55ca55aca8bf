"""What was taken down stays down, and what also stands elsewhere lives on there."""

from __future__ import annotations

import pytest

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import Op, Reason, Standing
from tests.contract.build import COMMIT, DEAD, EXAMINER, Ingest, all_live, hash_of, repo, text

A, B, C = text("a"), text("b"), text("c")


async def reason_of(journal: Journal, name: str, path: str) -> Reason | None:
    row = await journal.find(name, path)
    assert row is not None
    assert (row.occurrence.content_hash is None) == (row.occurrence.reason is not None)
    return row.occurrence.reason


async def texts_of(journal: Journal, source: str) -> list[str | None]:
    """What the journal's add rows of this text still hold."""
    rows = await journal.read(0, 1000)
    return [row.content for row in rows if row.content_hash == hash_of(source) and row.op is Op.ADD]


async def test_a_repository_is_taken_down(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B, "big.py": Reason.TOO_LARGE})
    await ingest.complete("b/b", {"c.py": C})
    ids = {one.id for one in await all_live(journal) if one.content != C}
    forgotten = await journal.forget_places("a/a", None)
    assert (set(forgotten.removed_ids), forgotten.moved) == (ids, 0)
    assert await ingest.live() == {C: "b/b/c.py"}
    assert await reason_of(journal, "a/a", "a.py") is Reason.TAKEN_DOWN
    assert await texts_of(journal, A) == [None]
    assert await texts_of(journal, B) == [None]
    assert await texts_of(journal, C) == [C]
    assert await journal.blanked([hash_of(A), hash_of(B), hash_of(C)]) == {hash_of(A), hash_of(B)}


@pytest.mark.parametrize(
    "pattern, gone",
    [
        ("a.py", {"a.py"}),
        ("src/*.py", {"src/b.py"}),
        ("src", {"src/b.py", "src/c.c"}),
        ("*.c", {"src/c.c"}),
        ("nothing/*", set()),
    ],
    ids=["path", "glob", "folder", "suffix", "none"],
)
async def test_paths_are_taken_down_by_pattern(
    journal: Journal, ingest: Ingest, pattern: str, gone: set[str]
) -> None:
    files = {"a.py": A, "src/b.py": B, "src/c.c": C}
    await ingest.complete("a/a", files)
    forgotten = await journal.forget_places("a/a", pattern)
    assert forgotten.occurrences == len(forgotten.removed_ids) == len(gone)
    stands = {source: f"a/a/{path}" for path, source in files.items() if path not in gone}
    assert await ingest.live() == stands
    for path in gone:
        assert await reason_of(journal, "a/a", path) is Reason.TAKEN_DOWN


async def test_a_content_is_taken_down_everywhere(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    await ingest.complete("b/b", {"again.py": A})
    [add_id] = [one.id for one in await all_live(journal) if one.content == A]
    forgotten = await journal.forget_content(hash_of(A))
    assert (forgotten.occurrences, forgotten.removed_ids, forgotten.moved) == (2, [add_id], 0)
    assert await ingest.live() == {B: "a/a/b.py"}
    assert await reason_of(journal, "a/a", "a.py") is Reason.TAKEN_DOWN
    assert await reason_of(journal, "b/b", "again.py") is Reason.TAKEN_DOWN
    assert await journal.occurrences(hash_of(A)) == []
    assert (await ingest.ops())[-1][0] is Op.REMOVE


async def test_every_row_of_a_content_is_blanked(journal: Journal, ingest: Ingest) -> None:
    for files in ({"a.py": A}, {}, {"a.py": A}, {}, {"a.py": A}):
        await ingest.complete("a/a", files)
    assert await texts_of(journal, A) == [A, A, A]
    await journal.forget_content(hash_of(A))
    assert await texts_of(journal, A) == [None, None, None]


async def test_a_content_that_is_not_live_is_blanked_too(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await ingest.complete("a/a", {})
    forgotten = await journal.forget_content(hash_of(A))
    assert forgotten.removed_ids == []
    assert await texts_of(journal, A) == [None]
    await ingest.complete("b/b", {"a.py": A})
    assert await ingest.live() == {}


async def test_what_stands_elsewhere_moves_there(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"a.py": A, "b.py": B})
    await ingest.complete("b/b", {"x.py": A})
    forgotten = await journal.forget_places("a/a", None)
    assert (len(forgotten.removed_ids), forgotten.moved) == (1, 1)
    assert await ingest.live() == {A: "b/b/x.py"}
    assert await texts_of(journal, A) == [A]
    assert await texts_of(journal, B) == [None]


async def test_a_worse_place_leaves_without_an_op(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"a.py": A})
    await ingest.complete("b/b", {"x.py": A})
    last = await journal.last_id()
    forgotten = await journal.forget_places("b/b", None)
    assert (forgotten.removed_ids, forgotten.moved) == ([], 0)
    assert await ingest.ops(last) == []
    assert await ingest.live() == {A: "a/a/a.py"}


@pytest.mark.parametrize("by", ["repository", "pattern", "content"])
async def test_no_later_visit_or_fork_brings_it_back(
    journal: Journal, ingest: Ingest, by: str
) -> None:
    files = {"a.py": A, "b.py": B}
    await ingest.complete("a/a", files)
    if by == "content":
        await journal.forget_content(hash_of(A))
    else:
        await journal.forget_places("a/a", "a.py" if by == "pattern" else None)
    left = {} if by == "repository" else {B: "a/a/b.py"}
    for name in ("a/a", "f/fork"):
        await ingest.complete(repo(name), files)
        assert (await ingest.live()).keys() == left.keys()
        assert await reason_of(journal, name, "a.py") is Reason.TAKEN_DOWN
    await ingest.complete("g/renamed", {"elsewhere.txt": A})
    assert (await ingest.live()).keys() == left.keys()
    assert await texts_of(journal, A) == [None]


async def test_a_place_is_closed_to_any_later_text(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"secret/a.py": A})
    await journal.forget_places("a/a", "secret/*")
    await ingest.complete("a/a", {"secret/a.py": B, "secret/new.py": C})
    assert await ingest.live() == {}
    await ingest.complete("b/b", {"b.py": B})
    assert await ingest.live() == {B: "b/b/b.py"}


async def test_a_repository_may_be_taken_down_before_it_is_known(
    journal: Journal, ingest: Ingest
) -> None:
    forgotten = await journal.forget_places("a/a", None)
    assert (forgotten.occurrences, forgotten.removed_ids) == (0, [])
    await ingest.complete("a/a", {"a.py": A})
    assert await ingest.live() == {}
    await ingest.complete("a/ab", {"a.py": A})
    assert await ingest.live() == {A: "a/ab/a.py"}


@pytest.mark.parametrize("by", ["repository", "pattern", "content"])
async def test_a_takedown_in_the_middle_of_a_visit(
    journal: Journal, ingest: Ingest, by: str
) -> None:
    files = {"a.py": A, "b.py": B, "z.py": A}
    visit = await ingest.begin("a/a")
    await ingest.record(visit, {"a.py": A})
    if by == "content":
        await journal.forget_content(hash_of(A))
    else:
        await journal.forget_places("a/a", "a.py" if by == "pattern" else None)
    await ingest.record(visit, {"b.py": B, "z.py": A})
    await ingest.end(visit, files, Standing())
    assert await ingest.live() == ({} if by == "repository" else {B: "a/a/b.py"})
    assert await reason_of(journal, "a/a", "z.py") is Reason.TAKEN_DOWN
    assert await texts_of(journal, A) == [None]


async def test_a_takedown_between_the_last_append_and_the_end(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await ingest.complete("b/b", {"b.py": A})
    visit = await ingest.begin("a/a")
    await ingest.record(visit, {"a.py": B, "c.py": A})
    await journal.forget_places("a/a", "c.py")
    await ingest.end(visit, {"a.py": B, "c.py": A}, Standing())
    assert await ingest.live() == {A: "b/b/b.py", B: "a/a/a.py"}


async def test_a_text_that_an_unfinished_visit_replaced_goes_too(
    journal: Journal, ingest: Ingest
) -> None:
    """It is still live under that place, although no occurrence says so any more."""
    await ingest.complete("a/a", {"a.py": A})
    await ingest.partial("a/a", {"a.py": B})
    await journal.forget_places("a/a", "a.py")
    assert await ingest.live() == {}
    assert await texts_of(journal, A) == [None]
    assert await texts_of(journal, B) == [None]


async def test_older_texts_of_a_place_go_too(journal: Journal, ingest: Ingest) -> None:
    """`forget REPO` speaks of every text that was recorded there, not of today's alone."""
    await ingest.complete("a/a", {"key.py": A})
    await ingest.complete("a/a", {"key.py": B})
    await journal.forget_places("a/a", None)
    assert await texts_of(journal, A) == [None]
    await ingest.complete("f/fork-of-the-past", {"key.py": A})
    assert await ingest.live() == {}


async def test_a_content_that_never_was_recorded_may_be_taken_down(
    journal: Journal, ingest: Ingest
) -> None:
    forgotten = await journal.forget_content(hash_of(A))
    assert (forgotten.occurrences, forgotten.removed_ids) == (0, [])
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    assert await ingest.live() == {B: "a/a/b.py"}


async def test_taking_down_twice_is_once(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await journal.forget_places("a/a", None)
    before = await ingest.ops()
    assert (await journal.forget_places("a/a", None)).removed_ids == []
    assert (await journal.forget_content(hash_of(A))).removed_ids == []
    assert await ingest.ops() == before


async def test_known_and_taken_down_do_not_mix(journal: Journal, ingest: Ingest) -> None:
    """What is taken down must be re-read where it is allowed, never answered from memory."""
    await ingest.complete("a/a", {"a.py": A})
    await journal.forget_places("a/a", "a.py")
    visit = await ingest.begin("a/a")
    known = await journal.known_paths(visit.repo_id, ["a.py"])
    assert known["a.py"].reason is Reason.TAKEN_DOWN
    assert known["a.py"].content_hash is None


async def test_a_crashed_visit_does_not_bring_it_back(journal: Journal, ingest: Ingest) -> None:
    dead = await journal.claim(await journal.register(repo("a/a")), DEAD, 60)
    assert dead is not None
    await ingest.record(dead, {"a.py": A})
    await journal.forget_content(hash_of(A))
    visit = await ingest.begin("a/a")
    await journal.finish(visit, COMMIT, Standing(), EXAMINER)
    assert await ingest.live() == {}


async def test_erase_keeps_everything_else(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    await journal.forget_places("a/a", "a.py")
    before = await journal.read(0, 99)
    await journal.erase()
    assert await journal.read(0, 99) == before
    assert await ingest.live() == {B: "a/a/b.py"}


async def test_rows_that_died_before_are_named_too(journal: Journal, ingest: Ingest) -> None:
    """An export that was written while they lived still holds the text."""
    for files in ({"a.py": A}, {}, {"a.py": A}, {}):
        await ingest.complete("a/a", files)
    adds = [row.id for row in await journal.read(0, 99) if row.op is Op.ADD]
    forgotten = await journal.forget_content(hash_of(A))
    assert (forgotten.removed_ids, forgotten.blanked_ids) == ([], adds)
    assert await journal.hashes(adds) == {hash_of(A)}
    assert await journal.hashes([]) == set()
    await ingest.complete("b/b", {"b.py": B, "c.py": C})
    await ingest.complete("c/c", {"c.py": C})
    [of_b] = [row.id for row in await journal.read(0, 99) if row.content == B]
    assert (await journal.forget_places("b/b", None)).blanked_ids == [of_b]
