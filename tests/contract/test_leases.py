"""Whose a repository is: register, claim, renew, release, and visits that were taken over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from codelupe_daemon.errors import StaleVisit
from codelupe_daemon.journal.base import Journal, RepositoryRow
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Op, Reason, Repo, Standing, Visit
from tests.contract.build import (
    COMMIT,
    DEAD,
    ELSEWHERE,
    EXAMINER,
    EXPIRED_S,
    LEASE_S,
    Ingest,
    part,
    repo,
    text,
)

A = text("a")


async def row_of(journal: Journal, repo_id: int) -> RepositoryRow:
    return next(row for row in await journal.repositories() if row.id == repo_id)


async def test_a_registered_repository_is_due_under_one_id(journal: Journal) -> None:
    first = await journal.register(repo("a/a", "MIT", 5))
    second = await journal.register(Repo("/srv/b", "/srv/b", Standing(), is_local=True))
    assert first != second
    assert await journal.register(repo("a/a", "MIT", 6, 1, 99)) == first
    rows = await journal.repositories(due_only=True)
    assert [(row.id, row.full_name, row.state, row.attempts) for row in rows] == [
        (first, "a/a", "due", 0),
        (second, "/srv/b", "due", 0),
    ]
    assert rows[0].standing == Standing("MIT", 6, 1, 99)
    assert (rows[1].location, rows[1].is_local) == ("/srv/b", True)


async def test_registering_again_keeps_what_was_recorded(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT", 5), {"x.py": A})
    [before] = await journal.repositories()
    assert (before.state, before.file_count, before.reason) == ("done", 1, None)
    await journal.register(repo("a/a", None, 900))
    [after] = await journal.repositories(due_only=True)
    assert (after.id, after.file_count, after.standing) == (before.id, 1, Standing("MIT", 5))
    assert await ingest.live() == {A: "a/a/x.py"}


async def test_a_claim_is_a_visit_and_leaves_its_trace(journal: Journal) -> None:
    repo_id = await journal.register(repo("a/a"))
    visit = await journal.claim(repo_id, this_process(), LEASE_S)
    assert visit is not None
    assert (visit.repo_id, visit.full_name, visit.is_first) == (repo_id, "a/a", True)
    row = await row_of(journal, repo_id)
    assert (row.state, row.attempts) == ("visiting", 1)
    assert await journal.repositories(due_only=True) == []


async def test_a_second_visit_is_not_the_first(ingest: Ingest) -> None:
    await ingest.complete("a/a", {"x.py": A})
    assert not (await ingest.begin("a/a")).is_first


@pytest.mark.parametrize("owner", [this_process(), ELSEWHERE], ids=["here", "elsewhere"])
async def test_a_living_owner_is_left_alone(journal: Journal, owner: str) -> None:
    repo_id = await journal.register(repo("a/a"))
    held = await journal.claim(repo_id, owner, LEASE_S)
    assert held is not None
    taker = ELSEWHERE if owner == this_process() else this_process()
    assert await journal.claim(repo_id, taker, LEASE_S) is None
    assert (await row_of(journal, repo_id)).attempts == 1
    await journal.renew(held, LEASE_S)


@pytest.mark.parametrize(
    ("owner", "lease_s"), [(DEAD, LEASE_S), (ELSEWHERE, EXPIRED_S)], ids=["dead", "expired"]
)
async def test_a_dead_or_expired_owner_is_taken_over(
    journal: Journal, owner: str, lease_s: float
) -> None:
    repo_id = await journal.register(repo("a/a"))
    old = await journal.claim(repo_id, owner, lease_s)
    new = await journal.claim(repo_id, this_process(), LEASE_S)
    assert old is not None
    assert new is not None
    assert new.epoch > old.epoch
    assert (await row_of(journal, repo_id)).attempts == 2


async def test_attempts_count_visits_that_ended_with_their_process(journal: Journal) -> None:
    repo_id = await journal.register(repo("a/a"))
    claims = [await journal.claim(repo_id, DEAD, LEASE_S) for _ in range(3)]
    assert len({visit.attempts for visit in claims if visit is not None}) == 3
    last = await journal.claim(repo_id, this_process(), LEASE_S)
    assert last is not None
    assert (await row_of(journal, repo_id)).attempts == 4
    assert last.attempts - (claims[0].attempts if claims[0] else 0) == 3


async def test_release_ends_a_visit_under_its_reason(journal: Journal, ingest: Ingest) -> None:
    visit = await ingest.begin("a/a")
    await journal.release(visit, "failed", "no such repository")
    row = await row_of(journal, visit.repo_id)
    assert (row.state, row.reason, row.attempts) == ("failed", "no such repository", 0)
    assert await journal.claim(visit.repo_id, ELSEWHERE, LEASE_S) is not None


async def test_finish_clears_attempts(journal: Journal, ingest: Ingest) -> None:
    await journal.claim(await journal.register(repo("a/a")), DEAD, LEASE_S)
    await ingest.complete("a/a", {"x.py": A})
    [row] = await journal.repositories()
    assert (row.state, row.attempts, row.file_count) == ("done", 0, 1)


async def test_a_renewed_lease_lives_on(journal: Journal) -> None:
    repo_id = await journal.register(repo("a/a"))
    visit = await journal.claim(repo_id, ELSEWHERE, EXPIRED_S)
    assert visit is not None
    await journal.renew(visit, LEASE_S)
    assert await journal.claim(repo_id, this_process(), LEASE_S) is None


async def taken_over(ingest: Ingest) -> tuple[Visit, Visit]:
    """A visit in which something was recorded, and the visit of the process that took over."""
    repo_id = await ingest.journal.register(repo("a/a"))
    stale = await ingest.journal.claim(repo_id, DEAD, LEASE_S)
    assert stale is not None
    await ingest.record(stale, {"x.py": A})
    fresh = await ingest.journal.claim(repo_id, this_process(), LEASE_S)
    assert fresh is not None
    return stale, fresh


async def test_a_stale_visit_cannot_append(journal: Journal, ingest: Ingest) -> None:
    stale, fresh = await taken_over(ingest)
    good = part(journal, fresh, {"good.py": text("good")})
    with pytest.raises(StaleVisit):
        await journal.append([good, part(journal, stale, {"late.py": text("late")})])
    assert await ingest.ops() == [(Op.ADD, "a/a/x.py")]
    assert await journal.paths(fresh.repo_id, "", 9) == ["x.py"]
    await ingest.record(fresh, {"good.py": text("good")})


async def test_a_stale_visit_cannot_end_or_go_on(journal: Journal, ingest: Ingest) -> None:
    stale, fresh = await taken_over(ingest)
    for attempt in (
        journal.retire(stale, ["x.py"]),
        journal.finish(stale, COMMIT, Standing("MIT", 9), EXAMINER),
        journal.renew(stale, LEASE_S),
    ):
        with pytest.raises(StaleVisit):
            await attempt
    row = await row_of(journal, fresh.repo_id)
    assert (row.state, row.standing) == ("visiting", Standing())
    assert await journal.paths(fresh.repo_id, "", 9) == ["x.py"]
    assert await ingest.ops() == [(Op.ADD, "a/a/x.py")]


async def test_a_stale_release_leaves_the_new_owner_his_claim(
    journal: Journal, ingest: Ingest
) -> None:
    stale, fresh = await taken_over(ingest)
    with pytest.raises(StaleVisit):
        await journal.release(stale, "failed", "killed")
    assert (await row_of(journal, fresh.repo_id)).state == "visiting"
    await journal.renew(fresh, LEASE_S)


async def test_a_finished_visit_is_over(journal: Journal, ingest: Ingest) -> None:
    visit = await ingest.begin("a/a")
    await ingest.end(visit, {}, Standing())
    with pytest.raises(StaleVisit):
        await ingest.record(visit, {"x.py": A})
    assert await ingest.ops() == []


Ending = Callable[[Journal, Visit], Awaitable[object]]


async def finished(journal: Journal, visit: Visit) -> None:
    ended = await journal.finish(visit, COMMIT, Standing("MIT", 9), EXAMINER, due_in_s=60.0)
    assert ended.ops == {}


async def released(journal: Journal, visit: Visit) -> None:
    await journal.release(visit, "failed", "no such repository", due_in_s=60.0)


async def released_as_due(journal: Journal, visit: Visit) -> None:
    await journal.release(visit, "due", "away")


async def doubted(ingest: Ingest) -> None:
    """Asked for again, judged anew, partly taken down, and another repository was visited."""
    await ingest.journal.register(repo("a/a"))
    await ingest.journal.rejudge([], "examiner-2", lambda _: True)
    await ingest.journal.mark_due("examiner-2")
    await ingest.journal.forget_places("a/a", "*.c")
    await ingest.complete("b/b", {"b.py": text("b")})


@pytest.mark.parametrize(
    ("ends", "again"),
    [(finished, finished), (released, released), (finished, released_as_due)],
    ids=["finished", "released", "given up after its end"],
)
async def test_a_visit_that_is_ended_again_stays_as_it_was(
    journal: Journal, ingest: Ingest, ends: Ending, again: Ending
) -> None:
    """The first answer was lost, so whoever ended the visit tries once more."""
    visit = await ingest.begin("a/a")
    await ingest.record(visit, {"x.py": A, "big.py": Reason.TOO_LARGE})
    await ends(journal, visit)
    await doubted(ingest)
    rows, ops = await journal.repositories(), await ingest.ops()
    await again(journal, visit)
    assert (await journal.repositories(), await ingest.ops()) == (rows, ops)
    with pytest.raises(StaleVisit):
        await journal.renew(visit, LEASE_S)


@pytest.mark.parametrize("ends", [finished, released])
@pytest.mark.parametrize("then", [None, finished], ids=["lasts", "ended"])
async def test_an_ended_visit_that_another_followed_is_refused(
    journal: Journal, ingest: Ingest, ends: Ending, then: Ending | None
) -> None:
    """Whether the other visit lasts or has ended, too."""
    visit = await ingest.begin("a/a")
    await ends(journal, visit)
    following = await ingest.begin("a/a")
    if then is not None:
        await then(journal, following)
    [before] = await journal.repositories()
    with pytest.raises(StaleVisit):
        await ends(journal, visit)
    assert [before] == await journal.repositories()


async def test_what_a_dead_process_visited_is_due(journal: Journal) -> None:
    owners = {"a/dead": DEAD, "a/alive": this_process(), "a/elsewhere": ELSEWHERE}
    for name, owner in owners.items():
        await journal.claim(await journal.register(repo(name)), owner, LEASE_S)
    expired = await journal.register(repo("a/expired"))
    await journal.claim(expired, ELSEWHERE, EXPIRED_S)
    due = {row.full_name for row in await journal.repositories(due_only=True)}
    assert due == {"a/dead", "a/expired"}
