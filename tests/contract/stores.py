"""The stores that the contract holds for: a new one is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters

STORES: dict[str, Callable[[Path], Journal]] = {
    "sqlite": lambda folder: SqliteJournal(folder / "journal.db"),
}
"""name -> the journal, not yet opened, of a test that owns the folder."""

CLUSTERS: dict[str, Callable[[Path], ClusterStore]] = {
    "sqlite": lambda folder: SqliteClusters(folder / "journal.db"),
}
"""The same for the clusters in the journal's database."""
