"""Licences of places, verdicts in several languages, and texts that are redacted later."""

from __future__ import annotations

from collections.abc import Callable

from codelupe_daemon.journal.base import Journal, Rejudged
from codelupe_daemon.model import Content, Occurrence, Op, Part, Reason, Recorded
from tests.contract.build import (
    COMMIT,
    EXAMINER,
    Ingest,
    all_live,
    content,
    hash_of,
    occurrence,
    repo,
    text,
    where,
)

A, B = text("a"), text("b")
NEW = "examiner-2"
Accepts = Callable[[str | None], bool]


def everything(_license_id: str | None) -> bool:
    return True


def nothing_unknown(license_id: str | None) -> bool:
    return license_id is not None


async def visit(ingest: Ingest, name: str, places: list[Occurrence], *made: Content) -> None:
    """A whole visit of a repository that lists these places."""
    known = repo(name)
    begun = await ingest.begin(known)
    part = Part(begun, COMMIT, EXAMINER, places, {one.key: one for one in made})
    await ingest.journal.append([part])
    await ingest.end(begun, {at.path: "" for at in places}, known.standing)


def licensed(path: str, source: str, license_id: str | None, own: str | None = None) -> Occurrence:
    return occurrence(path, source)._replace(license=license_id, own_license=own)


async def last_op(journal: Journal) -> tuple[Op, str | None]:
    entry = (await journal.read(0, 1000))[-1]
    return entry.op, entry.license


async def test_the_license_of_a_place_ranks_it(journal: Journal, ingest: Ingest) -> None:
    await visit(ingest, "a/a", [licensed("a.py", A, "GPL-3.0-only")], content(journal, A))
    await visit(ingest, "b/b", [licensed("a.py", A, "MIT")])
    [live] = await all_live(journal)
    assert (where(live), live.license) == ("b/b/a.py", "MIT")
    assert await last_op(journal) == (Op.MOVE, "MIT")


async def test_a_license_that_got_worse_moves_the_text(journal: Journal, ingest: Ingest) -> None:
    await visit(ingest, "a/a", [licensed("a.py", A, "MIT")], content(journal, A))
    await visit(ingest, "b/b", [licensed("a.py", A, "ISC")])
    await visit(ingest, "a/a", [licensed("a.py", A, None)])
    [live] = await all_live(journal)
    assert where(live) == "b/b/a.py"


async def test_a_new_license_is_a_revision(journal: Journal, ingest: Ingest) -> None:
    await visit(ingest, "a/a", [licensed("a.py", A, None)], content(journal, A))
    await visit(ingest, "a/a", [licensed("a.py", A, "MIT")])
    assert await last_op(journal) == (Op.REVISE, "MIT")
    await visit(ingest, "a/a", [licensed("a.py", A, "MIT")])
    assert len(await journal.read(0, 100)) == 2


async def test_what_is_recorded_of_a_place_tells_its_licenses(
    journal: Journal, ingest: Ingest
) -> None:
    await visit(ingest, "a/a", [licensed("a.py", A, "ISC", "ISC")], content(journal, A))
    row = await journal.find("a/a", "a.py")
    assert row is not None
    assert (row.occurrence.license, row.occurrence.own_license) == ("ISC", "ISC")
    known = (await journal.known_paths(row.repo_id, ["a.py"]))["a.py"]
    assert (known.license, known.own_license) == ("ISC", "ISC")


async def test_a_text_in_two_languages_has_the_verdict_of_its_best_place(
    journal: Journal, ingest: Ingest
) -> None:
    """The same bytes as a.js and b.ts: whichever place is the best one, its verdict counts."""
    script = content(journal, A, language="JavaScript", score=0.3, signals=b'{"js":1}')
    typed = content(journal, A, language="TypeScript", score=0.9, signals=b'{"ts":1}')
    as_script = occurrence("a.js", A, language="JavaScript")
    as_typed = occurrence("a.ts", A, language="TypeScript")
    await visit(ingest, "b/b", [as_script], script)
    await visit(ingest, "a/a", [as_typed], typed)
    [live] = await all_live(journal)
    assert (live.language, live.quality, live.signals) == ("TypeScript", 90.0, b'{"ts":1}')
    await visit(ingest, "a/a", [])
    [live] = await all_live(journal)
    assert (live.language, live.quality, live.signals) == ("JavaScript", 30.0, b'{"js":1}')
    await visit(ingest, "a/a", [as_typed])  # known: not read again
    [live] = await all_live(journal)
    assert (live.language, live.quality, live.signals) == ("TypeScript", 90.0, b'{"ts":1}')


async def test_two_languages_in_one_batch(journal: Journal, ingest: Ingest) -> None:
    script = content(journal, A, language="JavaScript", score=0.3)
    typed = content(journal, A, language="TypeScript", score=0.9)
    as_script = occurrence("a.js", A, language="JavaScript")
    as_typed = occurrence("b.ts", A, language="TypeScript")
    await visit(ingest, "a/a", [as_script, as_typed], typed, script)
    [live] = await all_live(journal)
    assert (live.language, live.quality) == ("JavaScript", 30.0)
    await visit(ingest, "a/a", [as_typed])
    [live] = await all_live(journal)
    assert (live.language, live.quality) == ("TypeScript", 90.0)


async def rejudge(
    journal: Journal, source: str, new: Content, accepts: Accepts = everything
) -> Recorded:
    return await journal.rejudge([Rejudged(hash_of(source), {".py": new}, {})], NEW, accepts)


async def test_a_redacted_text_replaces_the_one_with_the_secret(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete("a/a", {"a.py": A, "b.py": A})
    assert (await rejudge(journal, A, content(journal, B))).ops == {Op.REMOVE: 1, Op.ADD: 1}
    [live] = await all_live(journal)
    assert (live.content, where(live)) == (B, "a/a/a.py")
    assert {one.content for one in await journal.read(0, 100)} == {None, B}
    assert (await journal.verify())[1] == []


async def test_two_texts_may_become_one(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"b.py": A, "a.py": B})
    clean = content(journal, text("clean"))
    await rejudge(journal, A, clean)
    await rejudge(journal, B, clean)
    [live] = await all_live(journal)
    assert where(live) == "a/a/a.py"
    assert (await journal.verify())[1] == []


async def test_a_text_that_was_replaced_may_return(journal: Journal, ingest: Ingest) -> None:
    """Under settings that redact nothing: the blanked row bars nobody."""
    await ingest.complete("a/a", {"a.py": A})
    await rejudge(journal, A, content(journal, B))
    await ingest.complete("b/b", {"c.py": A})
    assert set(await ingest.live()) == {A, B}


async def test_a_new_verdict_may_find_a_license(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    await rejudge(journal, A, content(journal, A)._replace(license="MIT"), nothing_unknown)
    [live] = await all_live(journal)
    assert live.license == "MIT"
    await rejudge(journal, A, content(journal, A))
    [live] = await all_live(journal)


async def test_a_license_that_is_not_accepted_leaves_out(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/a", {"a.py": A})
    assert (await rejudge(journal, A, content(journal, A), nothing_unknown)).ops == {Op.REMOVE: 1}
    row = await journal.find("a/a", "a.py")
    assert row is not None
    assert row.occurrence.reason is Reason.LICENSE


async def test_a_takedown_leaves_no_signals(journal: Journal, ingest: Ingest) -> None:
    """Signals hold the names that a text defines."""
    await ingest.complete("a/a", {"a.py": A})
    await journal.forget_content(hash_of(A))
    rows = await journal.read(0, 100)
    assert {row.signals for row in rows if row.op is Op.ADD} == {b"{}"}
