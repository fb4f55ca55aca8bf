"""What a service manager is told: systemd's sd_notify, and its watchdog."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping

from trainer.observe.display import line
from trainer.observe.state import State

STATUS_PERIOD_S = 10.0


class Notifier:
    """Says nothing where no service manager listens.

    The watchdog is fed by `follow`, so by the event loop alone, and not while training hangs.
    WATCHDOG_PID is not compared: under torchrun it is torchrun's, and only one process notifies.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        self._watchdog_s = int(watchdog_us) / 1e6 if watchdog_us.isdecimal() else None

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    async def follow(self, state: State) -> None:
        """Feed the watchdog and tell the state's line, until cancelled."""
        period_s = min(STATUS_PERIOD_S, (self._watchdog_s or 2 * STATUS_PERIOD_S) / 2)
        while self._address:
            fed = ["WATCHDOG=1"] if self._watchdog_s and not state.is_stuck() else []
            self._send("\n".join([*fed, f"STATUS={line(state)}"]))
            await asyncio.sleep(period_s)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # A manager that is being replaced must not end what it manages; nor may it hold it up.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(message.encode(), self._address)
