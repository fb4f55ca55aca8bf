"""The stores that the contract holds for: a new one is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.sqlite import SqliteJournal

STORES: dict[str, Callable[[Path], Journal]] = {
    "sqlite": lambda folder: SqliteJournal(folder / "journal.db"),
}
"""name -> the journal, not yet opened, of a test that owns the folder."""
