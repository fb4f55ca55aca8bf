"""Fills the cache of compiled kernels: `python -m codelupe_daemon.examine.warm` at set-up."""

from __future__ import annotations

from codelupe_daemon.examine.examiner import Examiner

if __name__ == "__main__":
    Examiner.warm()
