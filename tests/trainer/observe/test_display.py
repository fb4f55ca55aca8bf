"""The line on a terminal, and in a pipe."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest

from codelupe_daemon.observe import progress
from tests.trainer.observe.states import training
from trainer.observe.display import line, shown


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
