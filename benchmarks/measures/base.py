"""What a measurement gives: rows of one table, each with what is to be reached."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One figure. `target` None: said for information. `detail`: on what, against what."""

    what: str
    figure: float
    target: float | None
    detail: str
    is_upper_limit: bool = False
    """The figure must stay at or below the target instead of reaching it."""

    @property
    def is_met(self) -> bool:
        if self.target is None:
            return True
        return self.figure <= self.target if self.is_upper_limit else self.figure >= self.target
