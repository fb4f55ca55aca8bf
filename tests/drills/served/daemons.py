"""`codelupe daemon` as a process to which a drill may do anything."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.drills.process import CODELUPE, WAIT_S
from tests.servers.process import bound

PEAK_MB = 600
"""More memory than this no daemon takes, whatever is away and for however long."""
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


class Daemon:
    """It runs from the start until `stop` or `kill`. What it tells goes to `log`."""

    def __init__(self, log: Path, settings: Mapping[str, str]) -> None:
        self._log = log
        self.peak_mb = 0.0
        self.is_wanted = True
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*bound(""), CODELUPE, "daemon"],
                env=os.environ | settings,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_as_wanted(self) -> bool:
        """It ended only if it was told to."""
        return self._runs() or not self.is_wanted

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """With SIGKILL; also where it has ended."""
        self.is_wanted = False
        self._look()
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """As a person or systemd does."""
        self.is_wanted = False
        self._look()
        self._process.terminate()

    def ends_well(self) -> None:
        """After `stop`."""
        assert self._process.wait(WAIT_S) == 0, self.said()

    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def troubles(self, name: str) -> set[str]:
        """What of that name does not work at the moment, as the daemon tells."""
        told = re.findall(rf"^\S+ \S+ ((?:consumer )?{name}): (.*)", self.said(), re.MULTILINE)
        return {what for what, how in dict(told).items() if how != "works again"}

    def _runs(self) -> bool:
        return self._process.poll() is None

    def _look(self) -> None:
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:  # it has ended
            return
        if found := _PEAK.search(status):
            self.peak_mb = max(self.peak_mb, int(found[1]) / 1024)
