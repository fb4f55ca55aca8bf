"""CPU, memory and GPUs, every second, on a thread that a hanging driver may keep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pynvml

from codelupe_daemon.observe.events import Events
from trainer.observe.state import Gpu, Hardware, State

PERIOD_S = 1.0
RETRY_S = 60.0
"""After how long a driver is asked again that went away."""
END_S = 5.0
FIGURES: dict[str, Callable[[Any, Any], float]] = {
    "utilization": lambda nvml, card: nvml.nvmlDeviceGetUtilizationRates(card).gpu / 100,
    "memory_used_bytes": lambda nvml, card: nvml.nvmlDeviceGetMemoryInfo(card).used,
    "memory_total_bytes": lambda nvml, card: nvml.nvmlDeviceGetMemoryInfo(card).total,
    "temperature_c": lambda nvml, card: nvml.nvmlDeviceGetTemperature(
        card, nvml.NVML_TEMPERATURE_GPU
    ),
    "power_w": lambda nvml, card: nvml.nvmlDeviceGetPowerUsage(card) / 1000,
    "clock_hz": lambda nvml, card: nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_SM) * 1e6,
}


@contextmanager
def watching(state: State, events: Events, *, period_s: float = PERIOD_S) -> Iterator[None]:
    """Keep `state.hardware` up to date while the body runs."""
    ended = threading.Event()
    gpus = Gpus(events)

    def watch() -> None:
        psutil.cpu_percent()  # the first answer is of no stretch of time
        while not ended.wait(period_s):
            state.hardware = sample(gpus.read())

    # A daemon: one call into a lost card may never return.
    thread = threading.Thread(target=watch, name="hardware", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(END_S)


def sample(gpus: tuple[Gpu, ...]) -> Hardware:
    """The machine as it is now; CPU since the last call."""
    memory = psutil.virtual_memory()
    used_bytes = memory.total - memory.available
    return Hardware(time.monotonic(), psutil.cpu_percent() / 100, used_bytes, memory.total, gpus)


class Gpus:
    """NVIDIA's cards. What goes wrong is told once, and the card's figures are missing until it
    answers again."""

    def __init__(self, events: Events, nvml: Any = pynvml) -> None:
        self._events, self._nvml = events, nvml
        self._count: int | None = None
        self._retry_at_s = 0.0
        self._was_there = False

    def read(self) -> tuple[Gpu, ...]:
        if self._count is None and not self._open():
            return ()
        found = [self._card(index) for index in range(self._count or 0)]
        cards = tuple(card for card in found if card)
        if found and not cards:
            self._close()
        return cards

    def _open(self) -> bool:
        if time.monotonic() < self._retry_at_s:
            return False
        try:
            self._nvml.nvmlInit()
            self._count = self._nvml.nvmlDeviceGetCount()
        except self._nvml.NVMLError as error:
            if self._was_there:
                self._events.state("NVIDIA's driver", f"{error}: no figures of GPUs")
            elif self._retry_at_s == 0:
                self._events.happened(f"no figures of GPUs: {error}")
            self._close()
            return False
        self._was_there = True
        self._events.state("NVIDIA's driver", None)
        return True

    def _close(self) -> None:
        """A driver that was loaded anew wants to be opened anew."""
        self._count, self._retry_at_s = None, time.monotonic() + RETRY_S
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return  # it never was open, or is gone

    def _card(self, index: int) -> Gpu | None:
        try:
            card = self._nvml.nvmlDeviceGetHandleByIndex(index)
            name = self._nvml.nvmlDeviceGetName(card)
            found = Gpu(index, name, **{it: self._told(card, ask) for it, ask in FIGURES.items()})
        except self._nvml.NVMLError as error:
            self._events.state(f"GPU {index}", f"{error}: no figures of it")
            return None
        self._events.state(f"GPU {index}", None)
        return found

    def _told(self, card: Any, ask: Callable[[Any, Any], float]) -> Any:
        """None for what this card does not tell."""
        try:
            return ask(self._nvml, card)
        except self._nvml.NVMLError_NotSupported:
            return None
