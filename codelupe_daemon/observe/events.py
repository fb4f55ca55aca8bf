"""What a daemon tells while it runs: one line an event, on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from codelupe_daemon.observe.report import PICTURES


class Events:
    """Lines with the time, or under systemd, which adds that itself, with their priority."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        """`is_quiet`: only what is wrong, and that it is no longer."""
        self._is_quiet = is_quiet
        self._is_under_systemd = "JOURNAL_STREAM" in os.environ
        self._wrong: dict[str, str] = {}

    def happened(self, text: str) -> None:
        if not self._is_quiet:
            self._tell(6, text)

    def failed(self, text: str) -> None:
        self._tell(4, text)

    def state(self, of: str, problem: str | None) -> None:
        """Something does not work, and why; None: it does. Told when that changes."""
        before = self._wrong.get(of)
        if problem is None and before is not None:
            del self._wrong[of]
            self._tell(5, f"{of}: works again")
        elif problem is not None and before is None:
            self._wrong[of] = problem
            self._tell(4, f"{of}: {problem}")

    def problem(self, of: str) -> str | None:
        """Why it does not work, as it was told."""
        return self._wrong.get(of)

    def _tell(self, priority: int, text: str) -> None:
        start = f"<{priority}>" if self._is_under_systemd else time.strftime("%Y-%m-%d %H:%M:%S ")
        line = text.translate(PICTURES).replace("\n", " ")
        with contextlib.suppress(OSError):  # nobody reads: the work goes on
            print(start + line, file=sys.stderr, flush=True)
