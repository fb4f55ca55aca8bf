"""What a run did, counted while it runs: for the progress display and the summary."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from codelupe_daemon.errors import Transient
from codelupe_daemon.model import Op, Reason, Recorded


@dataclass(slots=True)
class Tally:
    """Counts of one run; `seconds` of stages add up over everything that runs at once."""

    sources: int = 0
    done: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    files_found: int = 0
    """Listed so far, `files_judged` of them on their way to the journal or there."""
    files_judged: int = 0
    files_listed: int = 0
    files_known: int = 0
    files_accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    read_bytes: int = 0
    ops: Recorded = field(default_factory=Recorded)
    stages: dict[str, float] = field(default_factory=dict)
    waiting: str | None = None
    """A repository that another process visits, and that is waited for."""
    away: str | None = None
    """Why the journal does not answer."""
    started: float | None = None

    def start(self) -> None:
        """The work begins: what came before is the program's own start."""
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started if self.started is not None else 0.0

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.monotonic() - started

    def journal_away(self, error: Transient | None) -> None:
        """The journal does not answer and is asked again; None: it answers."""
        self.away = str(error) if error else None

    def source_done(self, full_name: str) -> None:
        self.done.append(full_name)

    def source_failed(self, full_name: str, reason: str) -> None:
        self.failed.append((full_name, reason))

    def waiting_for(self, full_name: str) -> None:
        self.waiting = full_name

    def waits_no_more(self, full_name: str) -> None:
        if self.waiting == full_name:
            self.waiting = None

    def visited(
        self,
        full_name: str,  # noqa: ARG002 - for who tells of each visit
        counts: Mapping[Reason | None, int],
        files_sent: int,
    ) -> None:
        """Count a repository as it is recorded now; `files_sent` of its files were judged anew."""
        listed = sum(counts.values())
        self.files_listed += listed
        self.files_known += max(listed - files_sent, 0)
        for reason, files in counts.items():
            if reason is None:
                self.files_accepted += files
            else:
                self.reasons[reason.value] += files

    def recorded(self, recorded: Recorded) -> None:
        self.ops += recorded

    def as_json(self) -> dict[str, Any]:
        """The shape of `codelupe ingest --json`; scripts rely on it."""
        return {
            "sources": self.sources,
            "failed": [{"source": source, "reason": reason} for source, reason in self.failed],
            "files": {
                "listed": self.files_listed,
                "accepted": self.files_accepted,
                "new": self.ops.ops.get(Op.ADD, 0),
                "left_out": self.reasons.total(),
                "unchanged": self.files_known,
            },
            "reasons": dict(self.reasons.most_common()),
            "journal": {str(op): rows for op, rows in self.ops.ops.items()},
            "bytes": self.read_bytes,
            "seconds": round(self.seconds, 3),
            "stages": {stage: round(spent, 3) for stage, spent in self.stages.items()},
        }
