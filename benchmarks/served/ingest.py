"""The same corpus into Postgres and into the embedded store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.command import codelupe
from benchmarks.served.base import Round, Servers

WHAT = "ingest into Postgres"
AGAINST = "the same corpus into the embedded store"
TARGET = 0.7


def measure(servers: Servers) -> Round:
    sources = servers.work / "sources"
    sources.write_text("".join(f"{repo}\n" for repo in servers.repositories))
    with tempfile.TemporaryDirectory(dir=servers.work) as folder:
        embedded = _ingest(str(Path(folder) / "store.db"), sources)
    served = _ingest(servers.postgres(), sources)
    figures = {"embedded_files_per_s": embedded, "postgres_files_per_s": served}
    return Round(served / embedded, figures)


def _ingest(store: str, sources: Path) -> float:
    run = codelupe("ingest", "--json", "--no-consumers", "--store", store, f"@{sources}")
    return run.files / run.seconds
