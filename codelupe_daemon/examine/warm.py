"""Compile the kernels into their cache, as the set-up scripts do: `python -m ...examine.warm`."""

from __future__ import annotations

from codelupe_daemon.examine.examiner import Examiner

if __name__ == "__main__":
    Examiner.warm()
