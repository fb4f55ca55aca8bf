"""What a service manager hears on its socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.observe.states import training
from trainer.observe.display import line
from trainer.observe.notify import Notifier
from trainer.observe.state import STALL_S, State


class Manager:
    """The receiving end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.socket.settimeout(10)

    def notifier(self, watchdog_us: int | None = None) -> Notifier:
        watchdog = {"WATCHDOG_USEC": str(watchdog_us), "WATCHDOG_PID": "1"} if watchdog_us else {}
        return Notifier({"NOTIFY_SOCKET": self.address, **watchdog})

    def heard(self) -> str:
        return self.socket.recv(4096).decode()

    def waiting(self) -> list[str]:
        """What was said and not heard yet; the queue is short."""
        said: list[str] = []
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(self.heard())
        self.socket.settimeout(10)
        return said


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    is_file = request.param == "file"
    address = str(tmp_path / "notify") if is_file else f"@codelupe-test-{os.getpid()}"
    manager = Manager(address)
    with manager.socket:
        yield manager


def test_ready_and_stopping(manager: Manager) -> None:
    notifier = manager.notifier()
    notifier.ready()
    notifier.stopping()
    assert [manager.heard(), manager.heard()] == ["READY=1", "STOPPING=1"]


async def follow(notifier: Notifier, state: State, manager: Manager, times: int) -> list[str]:
    """What is heard while the notifier follows the state."""
    task = asyncio.create_task(notifier.follow(state))
    heard = [await asyncio.to_thread(manager.heard) for _ in range(times)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return heard


async def test_the_watchdog_is_fed(manager: Manager) -> None:
    state = training()
    heard = await follow(manager.notifier(20_000), state, manager, 5)
    assert heard == [f"WATCHDOG=1\nSTATUS={line(state)}"] * 5


async def test_not_while_training_hangs(manager: Manager) -> None:
    state = training()
    state.moved_at_s = time.monotonic() - STALL_S - 1
    heard = await follow(manager.notifier(20_000), state, manager, 3)
    assert heard == [f"STATUS={line(state)}"] * 3


async def test_not_while_the_event_loop_hangs(manager: Manager) -> None:
    task = asyncio.create_task(manager.notifier(20_000).follow(training()))
    await asyncio.to_thread(manager.heard)
    time.sleep(0.1)  # noqa: ASYNC251 - it is to hang
    manager.waiting()
    time.sleep(0.1)  # noqa: ASYNC251 - likewise
    assert manager.waiting() == []
    assert "WATCHDOG=1" in await asyncio.to_thread(manager.heard)
    task.cancel()


async def test_the_status_without_a_watchdog(manager: Manager) -> None:
    state = State("tiny", problem="away\nSTOPPING=1")
    assert await follow(manager.notifier(), state, manager, 1) == [
        "STATUS=starting, away STOPPING=1"
    ]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"WATCHDOG_USEC": "1000"}])
async def test_without_a_manager_nothing_is_said(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    notifier.ready()
    await asyncio.wait_for(notifier.follow(training()), 10)


def test_a_manager_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_a_manager_that_does_not_listen_holds_up_nothing(manager: Manager) -> None:
    notifier = manager.notifier()
    for _ in range(10_000):  # more than its queue holds
        notifier.ready()
    assert manager.heard() == "READY=1"
