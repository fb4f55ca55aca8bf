"""A round from its manifest to its end: all or nothing, once, and from where the last one ended."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.errors import Fatal
from tests.trainer.registry.build import (
    PROFILE,
    SOURCE,
    hash_of,
    manifest,
    rounds,
    row,
    version,
)
from tests.trainer.registry.conftest import STORES
from trainer.registry import manifests
from trainer.registry.base import Registry, Totals
from trainer.types import ENDED, Origin, SessionStatus, Side, Taken

REPO = {"repo:a": Side.TRAIN, "cluster:00ff": Side.HOLDOUT}
MANY = 100_000


async def test_the_way_of_a_round(registry: Registry) -> None:
    holder = (await rounds(registry)).holder
    taken = [row(1, "a"), row(2, "b"), row(3, "c", Side.VALIDATION)]
    begun = await registry.begin(holder, manifest("one", taken), REPO)
    assert (begun.id, begun.profile, begun.source) == ("one", PROFILE, SOURCE)
    assert (begun.from_id, begun.to_id, begun.samples) == (0, 100, 2)
    assert (begun.status, begun.detail, begun.ended_at) == (SessionStatus.FROZEN, {}, None)
    await registry.mark(holder, "one", SessionStatus.TRAINING, {"folder": "/w", "x": [1.5]})
    await registry.mark(holder, "one", SessionStatus.TRAINED, {"loss": 1.25})
    trained = await registry.open_session(PROFILE)
    assert trained == begun._replace(status=SessionStatus.TRAINED, detail={"loss": 1.25})
    assert await registry.watermark(PROFILE, SOURCE) == 0

    made = version("one", "v1")
    await registry.finish(
        holder, "one", SessionStatus.COMPLETED, reason="odd \0 and \udcff", version=made
    )
    assert await registry.open_session(PROFILE) is None
    [ended] = await registry.sessions(PROFILE, 9)
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.started_at
    assert (ended.status, ended.reason) == (SessionStatus.COMPLETED, r"odd \x00 and \udcff")
    assert await registry.versions(PROFILE) == [made]
    assert await registry.watermark(PROFILE, SOURCE) == 100
    assert await registry.totals(PROFILE) == Totals(1, 2, ended.ended_at)
    assert await registry.totals("other") == Totals(0, 0, None)


async def test_a_manifest_comes_back_as_it_was_frozen(registry: Registry) -> None:
    holder = (await rounds(registry)).holder
    frozen = manifest(
        "one", [row(9, "z"), row(2, "b", Side.HOLDOUT), row(5, "r", origin=Origin.REPLAY)]
    )
    await registry.begin(holder, frozen, {})
    assert await registry.manifest("one") == frozen


async def test_begun_twice_it_is_one_round(registry: Registry) -> None:
    """An answer may be lost on its way."""
    holder = (await rounds(registry)).holder
    frozen = manifest("one", [row(1, "a")])
    first = await registry.begin(holder, frozen, REPO)
    assert await registry.begin(holder, frozen, REPO) == first
    assert await registry.sessions(None, 9) == [first]


async def test_one_round_is_open(registry: Registry) -> None:
    holder = (await rounds(registry)).holder
    await registry.begin(holder, manifest("one", [row(1, "a")]), {})
    for other in (manifest("two", [row(1, "a")]), manifest("one", [row(1, "b")])):
        with pytest.raises(Fatal, match="one of demo has not ended"):
            await registry.begin(holder, other, REPO)
    assert [session.id for session in await registry.sessions(None, 9)] == ["one"]
    assert await registry.sides(PROFILE, list(REPO)) == {}


@pytest.mark.parametrize("from_id", [0, 99, 101])
async def test_a_window_that_does_not_begin_at_the_watermark(
    registry: Registry, from_id: int
) -> None:
    done = await rounds(registry)
    await done.end(status=SessionStatus.EMPTY)
    with pytest.raises(Fatal, match="the watermark is at 100"):
        await registry.begin(done.holder, manifest("late", window=(from_id, 300)), REPO)
    assert await registry.open_session(PROFILE) is None
    assert await registry.sides(PROFILE, list(REPO)) == {}


async def test_watermarks_are_of_a_profile_and_a_source(registry: Registry) -> None:
    demo, other = await rounds(registry), await rounds(registry, "other")
    await demo.end(status=SessionStatus.EMPTY)
    session = await demo.begin(source="elasticsearch")
    await registry.finish(demo.holder, session.id, SessionStatus.EMPTY)
    await demo.end(status=SessionStatus.EMPTY)
    await other.begin()
    at = [
        await registry.watermark(profile, source)
        for profile in (PROFILE, "other")
        for source in (SOURCE, "elasticsearch", "file:/x")
    ]
    assert at == [200, 100, 0, 0, 0, 0]


@pytest.mark.parametrize("status", sorted(ENDED))
async def test_a_round_that_ended_considered_its_window(
    registry: Registry, status: SessionStatus
) -> None:
    """But for one that was withdrawn: its rows come again."""
    done = await rounds(registry)
    session = await done.end(row(1, "a"), status=status)
    considered = 0 if status is SessionStatus.WITHDRAWN else 100
    assert await registry.watermark(PROFILE, SOURCE) == considered
    with pytest.raises(Fatal, match=f"it is {status}"):
        await registry.mark(done.holder, session.id, SessionStatus.TRAINING, {})
    await done.begin(row(2, "b"))


async def test_done_twice_it_is_done_once(registry: Registry) -> None:
    done = await rounds(registry)
    session = await done.end(row(1, "a"), status=SessionStatus.COMPLETED, made="v1")
    before = await registry.sessions(None, 9), await registry.versions()
    again = version(session.id, "v1")
    await registry.finish(done.holder, session.id, SessionStatus.COMPLETED, version=again)
    with pytest.raises(Fatal, match="it is completed, not withdrawn"):
        await registry.finish(done.holder, session.id, SessionStatus.WITHDRAWN)
    assert (await registry.sessions(None, 9), await registry.versions()) == before
    assert await registry.watermark(PROFILE, SOURCE) == 100


async def test_an_end_is_all_or_nothing(registry: Registry) -> None:
    """The last statement of it is refused: nothing of those before stays."""
    done = await rounds(registry)
    await done.end(row(1, "a"), status=SessionStatus.COMPLETED, made="v1")
    session = await done.begin(row(2, "b"))
    with pytest.raises(Fatal, match="v1 already"):
        await registry.finish(
            done.holder, session.id, SessionStatus.COMPLETED, version=version(session.id, "v1")
        )
    assert await registry.open_session(PROFILE) == session
    assert await registry.watermark(PROFILE, SOURCE) == 100
    assert [one.is_active for one in await registry.versions()] == [True]


async def test_a_beginning_is_all_or_nothing(registry: Registry) -> None:
    """Sides are decided once and for all; the last statement of a beginning stores them."""
    done = await rounds(registry)
    await registry.begin(done.holder, manifest("one"), REPO)
    await registry.finish(done.holder, "one", SessionStatus.EMPTY)
    moved = {"repo:b": Side.TRAIN, "repo:a": Side.VALIDATION}
    with pytest.raises(Fatal, match="repo:a of demo is on the side train"):
        await registry.begin(done.holder, manifest("two", [row(1, "a")], (100, 200)), moved)
    assert [session.id for session in await registry.sessions(None, 9)] == ["one"]
    assert await registry.sides(PROFILE, ["repo:a", "repo:b"]) == {"repo:a": Side.TRAIN}


async def test_a_round_that_nobody_knows(registry: Registry) -> None:
    holder = (await rounds(registry)).holder
    for attempt in (
        registry.manifest("x"),
        registry.mark(holder, "x", SessionStatus.TRAINING, {}),
        registry.finish(holder, "x", SessionStatus.EMPTY),
    ):
        with pytest.raises(Fatal, match="no round x"):
            await attempt


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.trainer.registry.build import manifest, rounds, row
from tests.trainer.registry.conftest import STORES
from trainer.types import SessionStatus, Side

class Deadly(dict):
    def items(self):  # the last that a beginning asks for
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    registry = STORES[sys.argv[1]](Path(sys.argv[2]))
    await registry.open()
    await (await rounds(registry)).end(row(1, "a"), status=SessionStatus.EMPTY)
    done = await rounds(registry, "killed")
    taken = [row(number, f"w{number}") for number in range(2000)]
    await registry.begin(done.holder, manifest("k", taken, profile="killed"), Deadly(x=Side.TRAIN))

asyncio.run(main())
"""


async def test_killed_between_two_statements(store: str, place: Path) -> None:
    command = [sys.executable, "-c", KILLED, store, str(place)]
    ended = await asyncio.to_thread(subprocess.run, command, check=False, timeout=50)
    assert ended.returncode == -signal.SIGKILL
    registry = STORES[store](place)
    await registry.open()
    assert [session.profile for session in await registry.sessions(None, 9)] == [PROFILE]
    done = await rounds(registry, "killed")  # its holder is dead
    await registry.begin(done.holder, manifest("k", [row(1, "a")], profile="killed"), REPO)
    assert len((await registry.manifest("k")).taken) == 1
    await registry.close()


async def test_a_hundred_thousand_rows(registry: Registry, another: Callable[[], Registry]) -> None:
    done = await rounds(registry)
    sides = [Side.VALIDATION if number % 20 == 0 else Side.TRAIN for number in range(MANY)]
    taken = [row(number, f"w{number}", side) for number, side in enumerate(sides)]
    frozen = manifest("many", taken, (0, MANY))
    decided = {f"repo:{number}": Side.TRAIN for number in range(MANY // 20)}
    begun = await registry.begin(done.holder, frozen, decided)
    assert begun.samples == MANY - MANY // 20
    apart = another()
    await apart.open()
    back = await apart.manifest("many")
    assert manifests.digest(back) == manifests.digest(frozen)
    await registry.finish(done.holder, "many", SessionStatus.NOT_PROMOTED)
    hashes = [one.content_hash for one in taken]
    assert len(await apart.trained(PROFILE, hashes)) == begun.samples
    assert len(await apart.sides(PROFILE, list(decided))) == len(decided)
    assert [one.id for one in await apart.replay(PROFILE, 3)] == [MANY - 1, MANY - 2, MANY - 3]
    await apart.close()


# -- digests --------------------------------------------------------------------------------------


def test_equal_manifests_have_equal_digests() -> None:
    one, other = (manifest("one", [row(1, "a"), row(2, "b")]) for _ in range(2))
    assert manifests.digest(one) == manifests.digest(other)
    whole = one.taken[0]._replace(quality=80.0)
    rounded = whole._replace(quality=80)
    assert digest_of(whole) == digest_of(rounded)


def digest_of(*taken: Taken) -> str:
    return manifests.digest(manifest("one", taken))


@pytest.mark.parametrize(
    "change",
    [
        {"content_hash": hash_of("b")}, {"side": Side.VALIDATION}, {"origin": Origin.REPLAY},
        {"license": None}, {"path": "b"}, {"id": 3},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_fact_of_a_row_is_in_the_digest(change: dict[str, Any]) -> None:
    one = row(2, "a")
    assert digest_of(one) != digest_of(one._replace(**change))


def test_so_is_the_order_and_the_head() -> None:
    a, b = row(1, "a"), row(2, "b")
    digests = {
        digest_of(a, b), digest_of(b, a), digest_of(a),
        *(manifests.digest(manifest("one", [a], window)) for window in ((0, 101), (1, 100))),
        *(manifests.digest(manifest("one", [a], profile=name)) for name in ("x", "y")),
    }  # fmt: skip
    assert len(digests) == 7
