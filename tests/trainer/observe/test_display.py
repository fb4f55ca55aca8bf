"""What people read: the line on a terminal and in a pipe, and results as plain columns."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest

from codelupe_daemon.observe import progress
from tests.trainer.observe.states import training
from trainer.observe import report
from trainer.observe.display import line, shown

SESSION = {
    "name": "tiny: journal 1 to 9", "status": "completed", "reason": None, "from_id": 0, "to_id": 9,
    "samples": 7,
}  # fmt: skip
VERSION = {
    "version": "v0002", "is_active": False, "path": "/models/tiny/v0002", "created_at": 0,
    "evaluation_results": {
        "recent loss": 2.5, "recent loss before": 3.0, "validation loss": 1.5, "holdout loss": 2.75,
    },
    "performance_metrics": {"samples": 1234},
}  # fmt: skip
STATUS = {
    "profile": "tiny", "state": "waiting", "session": None, "watermark": 1000, "head": 2000,
    "pending": 50, "needed": 5, "runs": 2, "samples_trained": 9, "last_run": None,
    "active_version": None,
}  # fmt: skip
MEMORY = {
    "micro_batch": 2, "accumulation": 8, "items": {"adapter": 3 << 20}, "total_bytes": 3 << 20,
    "card_bytes": 4 << 30, "fits": True,
}  # fmt: skip
PLAN = {
    "profile": "tiny", "device": "cpu", "rows": {"from": 0, "to": 9, "head": 1000},
    "taken": {"train": 7}, "not_taken": {"near-duplicate on another side": 2}, "memory": MEMORY,
}  # fmt: skip


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What stands behind each name; a name that touches its value is not found."""
    rows = (text.split("  ", 1) for text in capsys.readouterr().out.splitlines())
    return {name: rest[0].strip() if rest else "" for name, *rest in rows}


def test_how_a_round_ended(capsys: pytest.CaptureFixture[str]) -> None:
    report.once({"session": SESSION, "version": VERSION, "is_stopped": False})
    told = found(capsys)
    assert (told["state"], told["active"], told["rows"]) == ("completed", "no", "0 to 9")
    assert told["recent loss"] == "3.0000 -> 2.5000"
    assert "because" not in told


@pytest.mark.parametrize(
    "is_stopped, said", [(False, "nothing to train on: "), (True, "stopped before it began")]
)
def test_no_round(capsys: pytest.CaptureFixture[str], said: str, *, is_stopped: bool) -> None:
    report.once({"session": None, "version": None, "is_stopped": is_stopped})
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize("pending, said", [(49, "49 (a"), (50, "50 or more (a")])
def test_how_far_it_is(capsys: pytest.CaptureFixture[str], pending: int, said: str) -> None:
    report.status(STATUS | {"pending": pending})
    told = found(capsys)
    assert told["new rows that pass"].startswith(said)
    assert told["watermark"] == "1,000 of 2,000"
    assert told.keys() & {"round", "active version", "last round ended"} == set()


def test_a_plan_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    report.plan(PLAN)
    told = found(capsys)
    assert told["not taken: near-duplicate on another side"] == "2"
    assert (told["adapter"], told["there is"]) == ("3.00 MiB", "4,096.00 MiB")
    report.plan(PLAN | {"memory": MEMORY | {"fits": False, "total_bytes": 5 << 30}})
    assert "it does not fit: lower model.max_length" in capsys.readouterr().out


def test_versions_and_that_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    report.versions([])
    report.samples([])
    said = capsys.readouterr().out.splitlines()
    assert [text.split(":")[0] for text in said] == [
        "no version was published yet",
        "nothing to see",
    ]
    report.versions([VERSION | {"is_active": True}])
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["version", "active"]
    assert row.split()[:4] == ["v0002", "yes", "2.7500", "1,234"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def until_written(text: str, terminal: Terminal) -> None:
    """At most for as long as a test may take."""
    while text not in terminal.getvalue():  # noqa: ASYNC110 - nobody tells of what is written
        await asyncio.sleep(0.01)


async def test_live_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "LIVE_PERIOD_S", 0.01)
    state = training()
    async with shown(state):
        await until_written("r4: step 10/40, ", terminal)
        state.progress.step = 11
        await until_written("r4: step 11/40, ", terminal)


async def test_plain_lines_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_PERIOD_S", 0.01)
    written = ""
    async with shown(training()):
        while written.count("\n") < 2:
            await asyncio.sleep(0.01)
            written += capsys.readouterr().err
    assert set(written.splitlines()) == {line(training())}
