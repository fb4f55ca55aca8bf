"""What `codelupe` says of training, on both kinds of store, without knowing the trainer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from codelupe_daemon.app.keep import forget
from codelupe_daemon.app.look import status, verify, why
from codelupe_daemon.app.stores import journal
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal
from codelupe_daemon.observe import report
from tests.contract.build import Ingest, text
from tests.servers.postgres import query
from tests.trainer.registry.build import hash_of, manifest, rounds, row, version
from trainer.registry.opening import registry
from trainer.types import SessionStatus

A, B = text("a"), text("b")
DEFAULT = Settings().profile
OK = {"dead_letters": 0, "state": "ok"}
SAW = {
    "profile": DEFAULT, "version": "v1", "path": f"/models/{DEFAULT}/v1", "is_active": True,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
async def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A store of two files."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = str(tmp_path / "store" / "codelupe.db")
    is_file = request.param == "sqlite"
    made = Settings(store=path if is_file else request.getfixturevalue("postgres_url"))
    async with journal(made, create=True) as opened:
        await Ingest(opened).complete("a/a", {"a.py": A, "b.py": B})
    return made


async def train(settings: Settings) -> None:
    """A round of the default profile, whose version saw `A`; an open one of another, and one of
    another source."""
    async with registry(settings) as opened:
        one = await rounds(opened, DEFAULT)
        await opened.begin(one.holder, manifest("s", [row(1, A)], (0, 1), profile=DEFAULT), {})
        made = version("s", "v1", profile=DEFAULT)
        await opened.finish(one.holder, "s", SessionStatus.COMPLETED, version=made)
        demo = await rounds(opened, "demo")
        await opened.begin(demo.holder, manifest("d", [row(1, B)], (0, 2)), {})
        other = await rounds(opened, "other")
        await other.begin(source="elasticsearch")


async def trainers(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = (await status(settings))["consumers"]
    return {name: state for name, state in found.items() if name.startswith("trainer")}


async def test_a_store_that_nobody_trains_on(settings: Settings, tmp_path: Path) -> None:
    assert await trainers(settings) == {}
    assert (await forget(settings, "a/a/a.py", None))["versions"] == []
    assert not list(tmp_path.rglob("*-trainer.db"))


async def test_status_tells_how_far_trainers_are(settings: Settings) -> None:
    await train(settings)
    assert await trainers(settings) == {
        "trainer": {"watermark": 1, "lag": 1} | OK, "trainer@demo": {"watermark": 0, "lag": 2} | OK
    }  # fmt: skip
    told = io.StringIO()
    report.status(Console(file=told), await status(settings))
    assert "consumer: trainer@demo     at 0, 2 behind\n" in told.getvalue()
    assert (await verify(settings, deep=False))["ok"]


@pytest.mark.parametrize("by", ["place", "content", "repository"])
async def test_forget_names_the_versions_that_saw_it(settings: Settings, by: str) -> None:
    await train(settings)
    targets = {
        "place": ("a/a/a.py", None), "content": (None, hash_of(A).hex()),
        "repository": ("a/a", None),
    }  # fmt: skip
    for _ in range(2):  # it may be run again
        done = await forget(settings, *targets[by])
        assert done["versions"] == [SAW]
    told = io.StringIO()
    report.forgotten(Console(file=told, width=200), done)
    named = f"trained on it: {DEFAULT}/v1, which is active (/models/{DEFAULT}/v1)\n"
    assert named in told.getvalue()


async def test_forget_of_what_no_version_saw(settings: Settings) -> None:
    await train(settings)
    assert (await forget(settings, "a/a/b.py", None))["versions"] == []


async def test_tables_that_cannot_be_read(settings: Settings) -> None:
    """A takedown is refused before it begins, not when it cannot be told any more."""
    await train(settings)
    if settings.is_served:
        query(settings.store, "alter table model_versions rename to mine")
        query(settings.store, "alter table training_watermarks rename to others")
    else:
        for path in settings.store_path.parent.glob("codelupe-trainer.db*"):
            path.write_bytes(b"no database at all" * 99)
    with pytest.raises(Fatal):
        await forget(settings, "a/a/a.py", None)
    assert (await why(settings, "a/a/a.py"))["kept"]
    [(name, state)] = (await trainers(settings)).items()
    assert (name, state["watermark"]) == ("trainer", None)
    assert state["state"] != "ok"
