"""What becomes of files over visits: complete ones decide, others leave everything standing."""

from __future__ import annotations

import pytest

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import Op, Reason, Standing
from tests.contract.build import COMMIT, DEAD, EXAMINER, Ingest, all_live, hash_of, repo, text

A, B, C = text("a"), text("b"), text("c")
UNREADABLE = Reason.UNREADABLE


async def test_nothing_changed_is_nothing_written(ingest: Ingest) -> None:
    files = {"a.py": A, "b.py": B, "big.py": Reason.TOO_LARGE}
    await ingest.complete("a/a", files)
    before = await ingest.ops()
    assert (await ingest.complete("a/a", files)).ops == {}
    visit = await ingest.begin("a/a")
    assert (await ingest.end(visit, files, Standing())).ops == {}
    assert await ingest.ops() == before


async def test_a_moved_file_is_a_move(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"old.py": A})
    [before] = await all_live(journal)
    done = await ingest.complete("a/a", {"new.py": A})
    assert done.ops == {Op.MOVE: 1}
    [after] = await all_live(journal)
    assert (after.id, after.place.path) == (before.id, "new.py")


async def test_a_file_moved_before_its_old_path_is_still_one_content(ingest: Ingest) -> None:
    """The new path sorts first, so the append already moves it; the end has nothing to add."""
    await ingest.complete("a/a", {"z.py": A})
    assert (await ingest.complete("a/a", {"a.py": A})).ops == {Op.MOVE: 1}
    assert await ingest.live() == {A: "a/a/a.py"}


async def test_a_changed_file_is_an_add_and_a_remove(ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    done = await ingest.complete("a/a", {"a.py": B})
    assert done.ops == {Op.ADD: 1, Op.REMOVE: 1}
    assert await ingest.live() == {B: "a/a/a.py"}


async def test_two_files_that_change_places_are_two_moves(ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    done = await ingest.complete("a/a", {"a.py": B, "b.py": A})
    assert Op.ADD not in done.ops
    assert Op.REMOVE not in done.ops
    assert await ingest.live() == {A: "a/a/b.py", B: "a/a/a.py"}


async def test_a_deleted_file_is_a_remove(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    assert (await ingest.complete("a/a", {"b.py": B})).ops == {Op.REMOVE: 1}
    assert await ingest.live() == {B: "a/a/b.py"}
    assert await journal.find("a/a", "a.py") is None
    last = (await journal.read(0, 9))[-1]
    assert (last.op, last.content_hash, last.content) == (Op.REMOVE, hash_of(A), None)
    assert await ingest.ops(last.id) == []


async def test_a_file_deleted_where_it_stood_best_moves(ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"a.py": A})
    await ingest.complete("b/b", {"b.py": A})
    assert (await ingest.complete(repo("a/a", "MIT"), {})).ops == {Op.MOVE: 1}
    assert await ingest.live() == {A: "b/b/b.py"}
    assert (await ingest.complete("b/b", {})).ops == {Op.REMOVE: 1}
    assert await ingest.live() == {}


async def test_a_restored_file_is_a_new_add(journal: Journal, ingest: Ingest) -> None:
    for files in ({"a.py": A}, {}, {"a.py": A}):
        await ingest.complete("a/a", files)
    assert [op for op, _ in await ingest.ops()] == [Op.ADD, Op.REMOVE, Op.ADD]
    [live] = await all_live(journal)
    assert live.id == await journal.last_id()


async def test_a_file_that_is_now_left_out_takes_its_text_away(ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    assert (await ingest.complete("a/a", {"a.py": Reason.MINIFIED})).ops == {Op.REMOVE: 1}
    assert await ingest.live() == {}


async def test_a_retired_path_takes_its_text_only_at_the_end(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete("a/a", {"a.py": A})
    visit = await ingest.begin("a/a")
    await journal.retire(visit, ["a.py", "never-there.py"])
    assert await ingest.live() == {A: "a/a/a.py"}
    assert await journal.paths(visit.repo_id, "", 9) == []
    await journal.finish(visit, None, Standing(), EXAMINER)
    assert await ingest.live() == {}


async def test_a_partial_visit_removes_nothing(ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    done = await ingest.partial("a/a", {"a.py": C})
    assert Op.REMOVE not in done.ops
    assert (await ingest.live()).keys() == {A, B, C}
    done = await ingest.complete("a/a", {"a.py": C, "b.py": B})
    assert done.ops == {Op.REMOVE: 1}
    assert await ingest.live() == {B: "a/a/b.py", C: "a/a/a.py"}


async def test_what_a_partial_visit_lost_may_stand_elsewhere(ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT"), {"a.py": A})
    await ingest.complete("b/b", {"b.py": A})
    await ingest.partial(repo("a/a", "MIT"), {"a.py": B})
    assert (await ingest.live()).keys() == {A, B}
    await ingest.complete(repo("a/a", "MIT"), {"a.py": B})
    assert await ingest.live() == {A: "b/b/b.py", B: "a/a/a.py"}


async def test_a_partial_visit_may_be_undone_by_the_next(ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await ingest.partial("a/a", {"a.py": B})
    await ingest.complete("a/a", {"a.py": A})
    assert await ingest.live() == {A: "a/a/a.py"}


async def test_unreadable_is_not_gone(ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    await ingest.partial("a/a", {"a.py": UNREADABLE})
    assert await ingest.live() == {A: "a/a/a.py", B: "a/a/b.py"}
    assert (await ingest.complete("a/a", {"a.py": A, "b.py": B})).ops == {}
    assert await ingest.live() == {A: "a/a/a.py", B: "a/a/b.py"}


async def test_unreadable_here_is_not_gone_when_deleted_there(ingest: Ingest) -> None:
    """The complete visit is of the other repository: it cannot speak for the unread file."""
    await ingest.complete("a/a", {"a.py": A})
    await ingest.complete("b/b", {"b.py": A})
    await ingest.partial("a/a", {"a.py": UNREADABLE})
    await ingest.complete("b/b", {})
    assert (await ingest.live()).keys() == {A}
    await ingest.complete("a/a", {"a.py": A})
    assert await ingest.live() == {A: "a/a/a.py"}


async def test_a_crash_before_the_end_is_resolved_by_the_next_visit(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": B})
    dead = await journal.claim(await journal.register(repo("a/a")), DEAD, 60)
    assert dead is not None
    await ingest.record(dead, {"a.py": C, "c.py": A})
    await journal.retire(dead, ["b.py"])
    assert (await ingest.live()).keys() == {A, B, C}
    visit = await ingest.begin("a/a")
    done = await ingest.end(visit, {"a.py": C, "c.py": A}, Standing())
    assert done.ops[Op.REMOVE] == 1
    assert await ingest.live() == {A: "a/a/c.py", C: "a/a/a.py"}


async def test_a_crash_of_a_first_visit_loses_nothing(journal: Journal, ingest: Ingest) -> None:
    dead = await journal.claim(await journal.register(repo("a/a")), DEAD, 60)
    assert dead is not None
    await ingest.record(dead, {"a.py": A, "b.py": B})
    done = await ingest.complete("a/a", {"a.py": A, "c.py": C})
    assert done.ops == {Op.ADD: 1, Op.REMOVE: 1}
    assert await ingest.live() == {A: "a/a/a.py", C: "a/a/c.py"}


@pytest.mark.parametrize("split", [1, 2, 3])
async def test_pieces_of_a_visit_may_come_in_any_number(
    journal: Journal, ingest: Ingest, split: int
) -> None:
    files = {f"{number}.py": text(f"n{number}") for number in range(6)}
    await ingest.complete("a/a", {"0.py": text("n5"), "gone.py": C})
    visit = await ingest.begin("a/a")
    for start in range(0, 6, split):
        await ingest.record(visit, dict(list(files.items())[start : start + split]))
    await ingest.end(visit, files, Standing())
    assert await ingest.live() == {source: f"a/a/{path}" for path, source in files.items()}


async def test_a_large_visit_ends_whole(journal: Journal, ingest: Ingest) -> None:
    """More than any internal page: half of it is replaced, the rest is removed."""
    first = {f"{number}.py": text(f"n{number}") for number in range(3000)}
    await ingest.complete("a/a", first)
    second = {f"{number}.py": text(f"m{number}") for number in range(0, 3000, 2)}
    done = await ingest.complete("a/a", second)
    assert done.ops == {Op.ADD: 1500, Op.REMOVE: 3000}
    assert await ingest.live() == {source: f"a/a/{path}" for path, source in second.items()}


async def test_ops_replay_to_the_live_contents(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("b/b", {"a.py": A, "b.py": B})
    await ingest.complete(repo("a/a", "MIT"), {"x.py": A, "y.py": C})
    await ingest.complete("b/b", {"b.py": C})
    stands: dict[bytes, str] = {}
    for entry in await journal.read(0, 99):
        if entry.op is Op.REMOVE:
            del stands[entry.content_hash]
        else:
            stands[entry.content_hash] = f"{entry.place.repo}/{entry.place.path}"
    assert stands == {hash_of(source): at for source, at in (await ingest.live()).items()}


async def test_the_next_visit_knows_the_last_complete_one(ingest: Ingest) -> None:
    """Only what changed needs listing then; after an interrupted visit nothing is sure."""
    await ingest.complete("r/one", {"a.py": A})
    visit = await ingest.begin("r/one")
    assert (visit.last_commit, visit.last_version) == (COMMIT, ingest.examiner)
    await ingest.record(visit, {"a.py": B})
    await ingest.journal.release(visit, "failed", "the network went away")
    again = await ingest.begin("r/one")
    assert (again.last_commit, again.last_version) == (None, None)
    await ingest.end(again, {"a.py": A}, Standing())
    assert (await ingest.begin("r/one")).last_commit == COMMIT
