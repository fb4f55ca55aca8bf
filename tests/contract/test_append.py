"""What an append decides: new, known, returning, left out."""

from __future__ import annotations

import pytest

from codelupe_daemon.journal.base import Journal, Known
from codelupe_daemon.model import Occurrence, Op, Part, Place, Reason, Repo, Standing
from tests.contract.build import (
    COMMIT,
    EXAMINER,
    Ingest,
    all_live,
    content,
    hash_of,
    occurrence,
    oid_of,
    part,
    repo,
    text,
)

A, B, C = text("a"), text("b"), text("c")
HOME = repo("o/home", "MIT", 3, 2, 1_700_000_000)


async def test_an_accepted_file_is_an_add_with_everything_known_of_it(
    journal: Journal, ingest: Ingest
) -> None:
    done = await ingest.complete(HOME, {"src/a.py": A})
    assert done.ops == {Op.ADD: 1}
    [entry] = await journal.read(0, 10)
    assert (entry.op, entry.content_hash, entry.content) == (Op.ADD, hash_of(A), A)
    assert (entry.content_chars, entry.language, entry.quality) == (len(A), "Python", 80.0)
    assert (entry.signals, entry.license) == (b'{"lines": 6}', "MIT")
    assert entry.place[1:] == ("o/home", "src/a.py", COMMIT, oid_of(A))
    assert (entry.standing, entry.examiner_version) == (HOME.standing, EXAMINER)
    [live] = await all_live(journal)
    assert (live.id, live.newest_id, live.content) == (entry.id, entry.id, A)
    assert (live.place, live.quality, live.license) == (entry.place, 80.0, "MIT")
    assert live.created_at == entry.created_at


async def test_quality_keeps_one_decimal(journal: Journal, ingest: Ingest) -> None:
    visit = await ingest.begin(HOME)
    made = content(journal, A, score=0.699)
    piece = Part(visit, COMMIT, EXAMINER, [occurrence("a.py", A)], {made.key: made})
    await journal.append([piece])
    assert [entry.quality for entry in await journal.read(0, 9)] == [69.9]


async def test_equal_texts_in_one_batch_are_one_content(journal: Journal, ingest: Ingest) -> None:
    visit = await ingest.begin(HOME)
    pieces = [
        part(journal, visit, {"z.py": A, "m.py": A}),
        part(journal, visit, {"b.py": A, "c.py": B}),
    ]
    await journal.append(pieces)
    await ingest.end(visit, {"z.py": A, "m.py": A, "b.py": A, "c.py": B}, HOME.standing)
    assert await ingest.live() == {A: "o/home/b.py", B: "o/home/c.py"}
    adds = [entry for entry in await journal.read(0, 99) if entry.op is Op.ADD]
    assert len(adds) == 2
    stands = await journal.occurrences(hash_of(A))
    assert sorted(row.occurrence.path for row in stands) == ["b.py", "m.py", "z.py"]


async def test_two_repositories_in_one_batch_share_a_content(
    journal: Journal, ingest: Ingest
) -> None:
    low, high = await ingest.begin(repo("o/low")), await ingest.begin(repo("o/high", "MIT", 9))
    await journal.append([part(journal, low, {"a.py": A}), part(journal, high, {"a.py": A})])
    assert await ingest.live() == {A: "o/high/a.py"}
    assert [op for op, _ in await ingest.ops()].count(Op.ADD) == 1


async def test_an_equal_text_elsewhere_is_an_occurrence_only(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete(HOME, {"a.py": A})
    done = await ingest.complete("p/fork", {"a.py": A})
    assert done.ops == {}
    assert await ingest.ops() == [(Op.ADD, "o/home/a.py")]
    assert [row.repo for row in await journal.occurrences(hash_of(A))] == ["o/home", "p/fork"]


async def test_a_known_content_needs_no_text(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("p/first", {"a.py": A, "b.py": B})
    visit = await ingest.begin(HOME)
    bare = content(journal, B)._replace(packed=None)
    listed = {"a.py": A, "b.py": B}
    where = [occurrence(path, what) for path, what in listed.items()]
    done = await journal.append([Part(visit, COMMIT, EXAMINER, where, {bare.key: bare})])
    await ingest.end(visit, listed, HOME.standing)
    assert done.ops == {Op.MOVE: 2}
    assert await ingest.live() == {A: "o/home/a.py", B: "o/home/b.py"}


async def test_a_returning_content_is_a_new_add_with_its_text(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete(HOME, {"a.py": A})
    await ingest.complete(HOME, {})
    assert await ingest.live() == {}
    visit = await ingest.begin(HOME)
    piece = Part(visit, COMMIT, EXAMINER, [occurrence("back.py", A)], {})
    assert (await journal.append([piece])).ops == {Op.ADD: 1}
    await ingest.end(visit, {"back.py": A}, HOME.standing)
    first, gone, back = await journal.read(0, 9)
    assert [first.op, gone.op, back.op] == [Op.ADD, Op.REMOVE, Op.ADD]
    assert (back.content, gone.content) == (A, None)
    [live] = await all_live(journal)
    assert (live.id, live.content, live.place.path) == (back.id, A, "back.py")
    assert (live.language, live.quality, live.signals) == ("Python", 80.0, b'{"lines": 6}')


async def test_left_out_files_keep_reason_and_measurement(journal: Journal, ingest: Ingest) -> None:
    done = await ingest.complete(HOME, {"big.py": Reason.TOO_LARGE, "a.py": A})
    assert done.ops == {Op.ADD: 1}
    row = await journal.find("o/home", "big.py")
    assert row is not None
    assert (row.repo, row.examiner_version) == ("o/home", EXAMINER)
    assert row.occurrence == occurrence("big.py", Reason.TOO_LARGE)
    kept = await journal.find("o/home", "a.py")
    assert kept is not None
    assert kept.occurrence == occurrence("a.py", A)
    assert await journal.find("o/home", "b.py") is None
    assert await journal.find("o/nowhere", "a.py") is None


async def test_a_submodule_has_no_blob(journal: Journal, ingest: Ingest) -> None:
    visit = await ingest.begin(HOME)
    listed = Occurrence("dep", None, "", None, None, Reason.SUBMODULE, None)
    await journal.append([Part(visit, COMMIT, EXAMINER, [listed], {})])
    row = await journal.find("o/home", "dep")
    assert row is not None
    assert row.occurrence == listed


async def test_a_folder_without_commits_is_recorded_too(journal: Journal, ingest: Ingest) -> None:
    folder = Repo("/srv/code", "/srv/code", Standing("MIT"), is_local=True)
    visit = await ingest.begin(folder)
    await journal.append([part(journal, visit, {"a.py": A})._replace(commit=None)])
    await journal.finish(visit, None, folder.standing, EXAMINER)
    [live] = await all_live(journal)
    assert live.place == Place(visit.repo_id, "/srv/code", "a.py", None, oid_of(A))


async def test_an_append_of_nothing_is_nothing(journal: Journal, ingest: Ingest) -> None:
    assert (await journal.append([])).ops == {}
    visit = await ingest.begin(HOME)
    assert (await ingest.record(visit, {})).ops == {}
    assert await journal.last_id() == 0


@pytest.mark.parametrize(
    "path",
    ["-rf.py", "näh/ß.py", "a b\\x0ac.py", "x" * 4096, "%_*?[a].py", "'; drop table--.py"],
    ids=["dash", "umlaut", "escape", "long", "glob", "quote"],
)
async def test_any_path_comes_back_as_it_was(journal: Journal, ingest: Ingest, path: str) -> None:
    await ingest.complete(HOME, {path: A})
    assert await ingest.live() == {A: f"o/home/{path}"}
    assert await journal.find("o/home", path) is not None
    assert list(await journal.known_paths((await all_live(journal))[0].place.repo_id, [path]))


@pytest.mark.parametrize(
    "source",
    ["", "x", "\x01\x7f\r\r\n", "🦀 \U0010ffff ﷺ" * 50, "x" * 3_000_000],
    ids=["empty", "short", "control", "wide", "large"],
)
async def test_any_text_comes_back_as_it_was(journal: Journal, ingest: Ingest, source: str) -> None:
    await ingest.complete(HOME, {"a.py": source})
    assert [(one.content, one.content_chars) for one in await all_live(journal)] == [
        (source, len(source))
    ]
    assert [entry.content for entry in await journal.read(0, 9)] == [source]


async def test_pack_takes_slices_of_one_buffer(journal: Journal, ingest: Ingest) -> None:
    buffer = memoryview(b"...one.....two...")
    packed = journal.pack(buffer, [3, 11], [3, 3])
    visit = await ingest.begin(HOME)
    made = [
        content(journal, what)._replace(packed=one)
        for what, one in zip(("one", "two"), packed, strict=True)
    ]
    where = [occurrence(f"{what}.py", what) for what in ("one", "two")]
    await journal.append([Part(visit, COMMIT, EXAMINER, where, {one.key: one for one in made})])
    assert await ingest.live() == {"one": "o/home/one.py", "two": "o/home/two.py"}


async def test_known_paths_is_what_was_recorded(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(HOME, {"a.py": A, "big.c": Reason.TOO_LARGE})
    await ingest.complete("p/other", {"c.py": C})
    [live] = [one for one in await all_live(journal) if one.content == A]
    known = await journal.known_paths(live.place.repo_id, ["a.py", "big.c", "c.py"])
    assert known == {
        "a.py": Known(oid_of(A), ".py", EXAMINER, hash_of(A), None, None, "Python"),
        "big.c": Known(oid_of("big.c"), ".c", EXAMINER, None, Reason.TOO_LARGE, 7.5, None),
    }
    assert await journal.known_paths(live.place.repo_id, []) == {}


async def test_known_paths_takes_many(journal: Journal, ingest: Ingest) -> None:
    files = {f"{number:05}.py": Reason.TOO_SMALL for number in range(5000)}
    visit = await ingest.begin(HOME)
    await ingest.record(visit, files)
    assert (await journal.known_paths(visit.repo_id, list(files))).keys() == files.keys()


async def test_known_oids_are_verdicts_from_anywhere(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(HOME, {"a.py": A, "b.py": B, "big.c": Reason.TOO_LARGE})
    await ingest.complete("p/other", {"a.pyi": A})
    wanted = [oid_of(A), oid_of("big.c"), oid_of("nowhere")]
    assert await journal.known_oids(wanted, EXAMINER) == {
        (oid_of(A), ".py"): Known(oid_of(A), ".py", EXAMINER, hash_of(A), None, None, "Python"),
        (oid_of(A), ".pyi"): Known(oid_of(A), ".pyi", EXAMINER, hash_of(A), None, None, "Python"),
        (oid_of("big.c"), ".c"): Known(
            oid_of("big.c"), ".c", EXAMINER, None, Reason.TOO_LARGE, 7.5, None
        ),
    }
    assert await journal.known_oids(wanted, "examiner-2") == {}
    assert await journal.known_oids([], EXAMINER) == {}


async def test_known_oids_leave_out_what_the_bytes_do_not_decide(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete(HOME, {"a.py": A})
    await ingest.partial("p/bad", {"x.py": Reason.UNREADABLE, "y.py": Reason.CHANGED_WHILE_READ})
    await journal.forget_content(hash_of(A))
    wanted = [oid_of(A), oid_of("x.py"), oid_of("y.py")]
    assert await journal.known_oids(wanted, EXAMINER) == {}


async def test_paths_page_in_byte_order(journal: Journal, ingest: Ingest) -> None:
    names = ["B", "a", "a/b", "a.py", "ä", "Z", "\uffff", "\U0001f600"]
    visit = await ingest.begin(HOME)
    await ingest.record(visit, dict.fromkeys(names, Reason.TOO_SMALL))
    in_order = sorted(names, key=str.encode)
    assert await journal.paths(visit.repo_id, "", 100) == in_order
    assert await journal.paths(visit.repo_id, "a.py", 2) == ["a/b", "ä"]
    assert await journal.paths(visit.repo_id, in_order[-1], 2) == []
    assert sum((await journal.reason_counts(visit.repo_id)).values()) == len(names)


async def test_a_returning_content_without_its_text_is_completed(
    journal: Journal, ingest: Ingest
) -> None:
    """Its verdict is new; its text is that of the older row."""
    await ingest.complete(HOME, {"a.py": A})
    await ingest.complete(HOME, {})
    visit = await ingest.begin(HOME)
    bare = content(journal, A, score=0.5)._replace(packed=None)
    await journal.append([Part(visit, COMMIT, EXAMINER, [occurrence("a.py", A)], {bare.key: bare})])
    [live] = await all_live(journal)
    assert (live.content, live.quality) == (A, 50.0)
