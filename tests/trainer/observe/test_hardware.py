"""Cards that tell, that do not tell everything, that vanish and return; and no driver at all.

The driver is played: no test can take a real card away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from codelupe_daemon.observe.events import Events
from trainer.observe import hardware
from trainer.observe.hardware import Gpus, sample, watching
from trainer.observe.state import State

FIGURES = {
    "nvmlDeviceGetName": "Card", "nvmlDeviceGetTemperature": 60,
    "nvmlDeviceGetPowerUsage": 250_500, "nvmlDeviceGetClockInfo": 1800,
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=5, total=9),
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=75),
}  # fmt: skip


class Driver:
    """NVML's functions and errors, over cards that tests break."""

    def __init__(self, cards: int = 2) -> None:
        self.cards = cards
        self.broken: dict[str, int] = {}
        """Function, or function and card -> NVML's error."""
        self.is_open = False

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            return getattr(pynvml, name)

        def answer(*arguments: Any) -> Any:
            for key in (name, f"{name} {arguments[0] if arguments else ''}"):
                if key in self.broken:
                    raise pynvml.NVMLError(self.broken[key])
            return FIGURES[name]

        return answer

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's own name
        if "nvmlInit" in self.broken:
            raise pynvml.NVMLError(self.broken["nvmlInit"])
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802 - likewise
        if not self.is_open:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - likewise
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - likewise
        key = f"card {index}"
        if key in self.broken:
            raise pynvml.NVMLError(self.broken[key])
        return index


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock that decides when a driver is asked again; its only element may be changed."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def gpus(driver: Driver, now: list[float]) -> Gpus:
    return Gpus(Events(), driver)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines without their time."""
    return [line[20:] for line in capsys.readouterr().err.splitlines()]


def test_what_cards_tell(gpus: Gpus, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = gpus.read()
    assert (first.index, second.index, first.name) == (0, 1, "Card")
    assert (first.utilization, first.temperature_c) == (0.75, 60)
    assert (first.power_w, first.clock_hz) == (250.5, 1.8e9)
    assert (first.memory_used_bytes, first.memory_total_bytes) == (5, 9)
    assert told(capsys) == []


def test_a_card_that_does_not_tell_its_power(
    gpus: Gpus, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.broken["nvmlDeviceGetPowerUsage 1"] = pynvml.NVML_ERROR_NOT_SUPPORTED
    assert [gpu.power_w for gpu in gpus.read()] == [250.5, None]
    assert told(capsys) == []


def test_a_card_that_vanishes_and_returns(
    gpus: Gpus, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(gpus.read()) == 2
    driver.broken["nvmlDeviceGetTemperature 1"] = pynvml.NVML_ERROR_GPU_IS_LOST
    for _ in range(3):
        assert [gpu.index for gpu in gpus.read()] == [0]
    driver.broken.clear()
    assert [gpu.index for gpu in gpus.read()] == [0, 1]
    assert told(capsys) == ["GPU 1: GPU is lost: no figures of it", "GPU 1: works again"]


def test_the_only_card_vanishes(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """The driver is opened anew once in a while, which may bring the card back."""
    driver = Driver(cards=1)
    gpus = Gpus(Events(), driver)
    assert len(gpus.read()) == 1
    driver.broken["card 0"] = pynvml.NVML_ERROR_UNKNOWN
    for _ in range(3):
        assert gpus.read() == ()
    assert not driver.is_open
    driver.broken.clear()
    assert gpus.read() == ()
    now[0] += hardware.RETRY_S
    assert len(gpus.read()) == 1
    assert told(capsys) == ["GPU 0: Unknown Error: no figures of it", "GPU 0: works again"]


def test_the_driver_goes_away(
    gpus: Gpus, driver: Driver, now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """As when it is replaced by a newer one under a process that runs."""
    gpus.read()
    for card in range(2):
        driver.broken[f"card {card}"] = pynvml.NVML_ERROR_UNINITIALIZED
    driver.broken["nvmlInit"] = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    for _ in range(3):
        assert gpus.read() == ()
        now[0] += hardware.RETRY_S
    said = told(capsys)
    assert [line.split(":")[0] for line in said] == ["GPU 0", "GPU 1", "NVIDIA's driver"]
    assert "mismatch" in said[2]


@pytest.mark.parametrize(
    "code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED]
)
def test_no_driver_is_told_once(
    gpus: Gpus, driver: Driver, now: list[float], capsys: pytest.CaptureFixture[str], code: int
) -> None:
    driver.broken["nvmlInit"] = code
    for _ in range(3):
        assert gpus.read() == ()
        now[0] += hardware.RETRY_S
    assert told(capsys) == [f"no figures of GPUs: {pynvml.NVMLError(code)}"]


def test_the_machine_itself() -> None:
    told = sample(())
    assert 0 <= told.cpu <= 1
    assert 0 < told.memory_used_bytes < told.memory_total_bytes


@pytest.fixture
def state() -> Iterator[State]:
    state = State("tiny")
    with watching(state, Events(is_quiet=True), period_s=0.01):
        yield state


def test_it_is_told_again_and_again(state: State) -> None:
    seen: set[float] = set()
    end_s = time.monotonic() + 30
    while len(seen) < 3 and time.monotonic() < end_s:
        if state.hardware:
            seen.add(state.hardware.at_s)
        time.sleep(0.01)
    assert len(seen) == 3


def test_its_thread_ends_with_the_body() -> None:
    with watching(State("tiny"), Events(is_quiet=True), period_s=0.01):
        assert "hardware" in {thread.name for thread in threading.enumerate()}
    assert "hardware" not in {thread.name for thread in threading.enumerate()}
