"""The best place wins, whatever came first."""

from __future__ import annotations

from itertools import permutations

import pytest

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import Op, Repo, Standing, place_key
from codelupe_daemon.spdx import license_class
from tests.contract.build import EXAMINER, Ingest, all_live, hash_of, part, repo, text, where

A, B = text("a"), text("b")

# From best to worst; each loses to the one before it in one thing alone.
FIVE = [
    ("MIT", 10, 5, 200, "e"),
    ("MIT", 10, 5, 200, "f"),
    ("MIT", 10, 5, 100, "d"),
    ("MIT", 10, 4, 900, "c"),
    ("GPL-3.0-only", 9000, 900, 900, "a"),
]


@pytest.mark.timeout(300)
async def test_five_repositories_in_every_order_end_in_one_state(
    journal: Journal, ingest: Ingest
) -> None:
    """Each order has a text and five repositories of its own, in one store."""
    orders = list(permutations(FIVE))
    for number, order in enumerate(orders):
        for license_id, stars, forks, pushed_at, name in order:
            visited = repo(f"{number}/{name}", license_id, stars, forks, pushed_at)
            await ingest.complete(visited, {"z.py": text(f"n{number}"), "b.py": text(f"n{number}")})
    ends = {(where(one).partition("/")[2], one.license) for one in await all_live(journal)}
    assert ends == {("e/b.py", "MIT")}
    expected = {text(f"n{number}"): f"{number}/e/b.py" for number in range(len(orders))}
    assert await ingest.live() == expected
    ops = [entry.op for entry in await journal.read(0, 100_000)]
    assert ops.count(Op.ADD) == len(orders) == 120
    assert set(ops) == {Op.ADD, Op.MOVE}


async def test_five_visits_at_once_end_in_the_same_state(journal: Journal, ingest: Ingest) -> None:
    """All record before any finishes, and they finish in another order than they began."""
    for number, order in enumerate(permutations(FIVE, 3)):
        source = text(f"n{number}")
        repos = [repo(f"{number}/{one[-1]}", *one[:4]) for one in order]
        visits = [await ingest.begin(one) for one in repos]
        await journal.append([part(journal, visit, {"a.py": source}) for visit in visits])
        for visit, one in zip(reversed(visits), reversed(repos), strict=True):
            await ingest.end(visit, {"a.py": source}, one.standing)
        best = min(repos, key=lambda one: place_key(one.standing, one.full_name, "a.py"))
        assert (await ingest.live())[source] == f"{best.full_name}/a.py"


@pytest.mark.parametrize("better_first", [True, False])
@pytest.mark.parametrize(
    "better, worse",
    [
        (repo("z/z", "MIT"), repo("a/a", "GPL-3.0-only", 10**9, 10**9, 10**10)),
        (repo("z/z", "LicenseRef-odd"), repo("a/a", None, 10**9, 10**9, 10**10)),
        (repo("z/z", "MIT", 2), repo("a/a", "Apache-2.0", 1, 10**9, 10**10)),
        (repo("z/z", "MIT", 0), repo("a/a", "MIT", None, 10**9, 10**10)),
        (repo("z/z", None, 1, 2), repo("a/a", None, 1, 1, 10**10)),
        (repo("z/z", None, 1, 0), repo("a/a", None, 1, None, 10**10)),
        (repo("z/z", None, 1, 1, 2), repo("a/a", None, 1, 1, 1)),
        (repo("z/z", None, 1, 1, 0), repo("a/a", None, 1, 1)),
        (repo("Z/z"), repo("a/a")),
        (repo("a/z"), repo("a/ä")),
    ],
    ids=[
        "permissive",
        "any-license",
        "stars",
        "no-stars",
        "forks",
        "no-forks",
        "pushed",
        "never-pushed",
        "upper-case",
        "umlaut",
    ],
)
async def test_the_better_place_wins(
    ingest: Ingest, better: Repo, worse: Repo, *, better_first: bool
) -> None:
    for one in (better, worse) if better_first else (worse, better):
        await ingest.complete(one, {"a.py": A})
    assert await ingest.live() == {A: f"{better.full_name}/a.py"}
    kinds = [op for op, _ in await ingest.ops()]
    assert kinds == ([Op.ADD] if better_first else [Op.ADD, Op.MOVE])


async def test_a_move_carries_the_new_place_and_no_text(journal: Journal, ingest: Ingest) -> None:
    await ingest.complete("a/poor", {"a.py": A})
    await ingest.complete(repo("b/rich", "MIT", 7), {"b.py": A})
    add, move = await journal.read(0, 9)
    assert (move.op, move.content, move.license) == (Op.MOVE, None, "MIT")
    assert (move.place.repo, move.place.path) == ("b/rich", "b.py")
    assert move.standing == Standing("MIT", 7)
    [live] = await all_live(journal)
    assert (live.id, live.newest_id, live.content) == (add.id, move.id, A)
    assert (live.place, live.license) == (move.place, "MIT")


async def test_a_risen_standing_moves_at_the_end_of_the_visit(ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT", 5), {"a.py": A, "b.py": B})
    await ingest.complete(repo("b/b", "MIT", 3), {"a.py": A})
    visit = await ingest.begin(repo("b/b", "MIT", 90))
    assert (await ingest.live())[A] == "a/a/a.py"
    done = await ingest.end(visit, {"a.py": A}, Standing("MIT", 90))
    assert done.ops == {Op.MOVE: 1}
    assert await ingest.live() == {A: "b/b/a.py", B: "a/a/b.py"}


async def test_a_fallen_standing_moves_at_the_end_of_the_visit(ingest: Ingest) -> None:
    await ingest.complete(repo("a/a", "MIT", 5), {"a.py": A, "b.py": B})
    await ingest.complete(repo("b/b", "MIT", 3), {"a.py": A})
    done = await ingest.complete(repo("a/a", None, 5), {"a.py": A, "b.py": B})
    assert done.ops[Op.MOVE] == 1
    live = await ingest.live()
    assert live == {A: "b/b/a.py", B: "a/a/b.py"}


async def test_a_standing_ranks_only_once_its_visit_is_complete(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete(repo("a/a", "MIT", 5), {"a.py": A})
    await ingest.complete(repo("b/b", "MIT", 3), {"x.py": B})
    await ingest.partial(repo("b/b", "MIT", 90), {"a.py": A})
    assert (await ingest.live())[A] == "a/a/a.py"
    visit = await ingest.begin(repo("b/b", "MIT", 4))
    await ingest.end(visit, {"a.py": A, "x.py": B}, Standing("MIT", 4))
    assert (await ingest.live())[A] == "a/a/a.py"


async def test_the_license_of_a_content_is_that_of_its_place(
    journal: Journal, ingest: Ingest
) -> None:
    await ingest.complete(repo("a/a", "GPL-3.0-only"), {"a.py": A})
    await ingest.complete(repo("a/a", "ISC"), {"a.py": A})
    assert (await all_live(journal))[0].license == "ISC"


@pytest.mark.parametrize("c_first", [True, False])
async def test_the_verdict_of_a_content_is_that_of_its_place(
    journal: Journal, ingest: Ingest, *, c_first: bool
) -> None:
    """One header, C in one repository and C++ in the other: order must not decide."""
    as_c, as_cpp = repo("a/c", "MIT", 1), repo("b/cpp", "MIT", 2)
    for one in (as_c, as_cpp) if c_first else (as_cpp, as_c):
        visit = await ingest.begin(one)
        language = "C" if one is as_c else "C++"
        await journal.append([ingest.part(visit, {"a.h": A}, language=language)])
        await journal.finish(visit, None, one.standing, EXAMINER)
    [live] = await all_live(journal)
    assert (where(live), live.language) == ("b/cpp/a.h", "C++")


async def test_the_key_orders_as_the_store_does() -> None:
    """`place_key` is what the tests above compare with; here it is held to the rule itself."""
    assert [license_class(one) for one in ("MIT", "GPL-3.0-only", None, "")] == [0, 1, 2, 2]
    keys = [place_key(Standing(*one[:4]), one[4], "p") for one in FIVE]
    assert keys == sorted(keys)
    assert place_key(Standing(), "a", "b") < place_key(Standing(), "a", "c")
    assert hash_of("a") != hash_of("b")
