"""Published models: one active of a profile, and which of them saw a text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from codelupe_daemon.errors import UsageError
from codelupe_daemon.journal import training
from codelupe_daemon.journal.postgres_server import Server
from tests.contract.stores import URL
from tests.trainer.registry.build import PROFILE, hash_of, rounds, row, version
from tests.trainer.registry.conftest import FILE
from trainer.registry.base import Registry
from trainer.types import Origin, SessionStatus, Side

COMPLETED, NOT_PROMOTED = SessionStatus.COMPLETED, SessionStatus.NOT_PROMOTED


async def active(registry: Registry, profile: str = PROFILE) -> list[str]:
    return [one.version for one in await registry.versions(profile) if one.is_active]


async def test_the_newest_that_is_promoted_is_active(registry: Registry) -> None:
    done, other = await rounds(registry), await rounds(registry, "other")
    await done.end(status=COMPLETED, made="v1")
    await other.end(status=COMPLETED, made="v1")
    await done.end(status=COMPLETED, made="v2", parent="v1")
    last = await done.end(status=NOT_PROMOTED, made="v3", parent="v2")
    versions = await registry.versions(PROFILE)
    assert [one.version for one in versions] == ["v3", "v2", "v1"]
    assert versions[0] == version(last.id, "v3", parent="v2", is_active=False)
    assert await active(registry) == ["v2"]
    assert await active(registry, "other") == ["v1"]
    assert len(await registry.versions()) == 4


async def test_a_version_is_made_active(registry: Registry) -> None:
    done, other = await rounds(registry), await rounds(registry, "other")
    await done.end(status=COMPLETED, made="v1")
    await done.end(status=COMPLETED, made="v2")
    await other.end(status=COMPLETED, made="v9")
    for name in ("v1", "v1", "v2"):
        await registry.activate(PROFILE, name)
        assert await active(registry) == [name]
    for unknown in ("v9", "V1", ""):
        with pytest.raises(UsageError, match="codelupe-trainer versions"):
            await registry.activate(PROFILE, unknown)
    assert await active(registry) == ["v2"]
    assert await active(registry, "other") == ["v9"]


Saw = Callable[..., Awaitable[list[str]]]


@pytest.fixture
async def saw(store: str, place: Path) -> AsyncIterator[Saw]:
    """The versions that saw one of these words' texts, as the daemon asks it."""
    where: training.Place = place / FILE
    if store != "sqlite":
        where = Server((place / URL).read_text(), connections_max=1)
        await where.open()

    async def ask(*words: str) -> list[str]:
        found = await training.versions_that_saw(where, map(hash_of, words))
        return sorted(f"{one.profile}/{one.version}" for one in found)

    yield ask
    if isinstance(where, Server):
        await where.close()


async def test_versions_that_saw_a_text_themselves_or_by_what_they_began_from(
    registry: Registry, saw: Saw
) -> None:
    done, other = await rounds(registry), await rounds(registry, "other")
    await done.end(row(1, "a"), row(2, "v", Side.VALIDATION), status=COMPLETED, made="v1")
    await done.end(row(3, "b"), status=NOT_PROMOTED, made="v2", parent="v1")
    await done.end(row(4, "c"), status=COMPLETED, made="v3", parent="v2")
    again = row(5, "b", origin=Origin.REPLAY)
    await done.end(again, status=COMPLETED, made="v4")
    await done.end(row(6, "lost"), status=SessionStatus.WITHDRAWN)
    await other.end(row(1, "c"), status=COMPLETED, made="v2")
    await other.end(row(2, "d"), status=COMPLETED, made="v5", parent="v1")
    assert await saw("a") == ["demo/v1", "demo/v2", "demo/v3"]
    assert await saw("b") == ["demo/v2", "demo/v3", "demo/v4"]
    assert await saw("c") == ["demo/v3", "other/v2"]
    assert await saw("b", "d") == ["demo/v2", "demo/v3", "demo/v4", "other/v5"]
    assert await saw("v", "lost", "never") == []
    assert await saw() == []


async def test_a_circle_of_versions_has_an_end(registry: Registry, saw: Saw) -> None:
    done = await rounds(registry)
    await done.end(row(1, "a"), status=COMPLETED, made="v1", parent="v2")
    await done.end(row(2, "b"), status=COMPLETED, made="v2", parent="v1")
    assert await saw("a") == ["demo/v1", "demo/v2"]
