"""python -m benchmarks.served [ROW...] [--rounds 3] [--json]

Starts Postgres, Redis and Elasticsearch on this machine, measures row after row beside what each
is compared with, and prints one table. `docs/benchmarks.md` keeps it.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from benchmarks.served.base import Row, Servers
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

ROWS = ("ingest", "append", "index", "dedup", "daemons", "recovery")


@contextmanager
def servers(cache: Path) -> Iterator[Servers]:
    """All servers, with the durability that they come with, and the corpus."""
    repositories = corpus.build(cache)
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres({"shared_buffers": "256MB"}, durable=True))
        redis = stack.enter_context(Redis())
        elasticsearch = stack.enter_context(Elasticsearch())
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cache)))
        yield Servers(postgres.database, redis.url, elasticsearch.url, repositories, work)


def table(rows: list[Row]) -> Table:
    shown = Table(box=None, pad_edge=False)
    for name in ("what", "against", "ratio", "rounds", "to reach", ""):
        shown.add_column(name, no_wrap=True)
    for row in rows:
        rounds = " ".join(f"{one.ratio:.2f}" for one in row.rounds)
        verdict = "met" if row.is_met else "missed"
        shown.add_row(row.what, row.against, f"{row.ratio:.2f}", rounds, f"{row.target:g}", verdict)
    return shown


def main(
    wanted: Annotated[list[str] | None, typer.Argument(help="Which rows; all without it.")] = None,
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 3,
    cache: Annotated[Path | None, typer.Option(help="Where the corpus is kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure on real servers, all on this machine."""
    rows: list[Row] = []
    with servers(cache or corpus.default_cache()) as running:
        for name in wanted or ROWS:
            module = importlib.import_module(f"benchmarks.served.{name}")
            measured = []
            for number in range(rounds):
                print(f"{name}: round {number + 1} of {rounds}", file=sys.stderr)
                measured.append(module.measure(running))
            rows.append(Row(module.WHAT, module.AGAINST, module.TARGET, measured))
    if as_json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(rows))
    for row in rows:
        for one in row.rounds:
            figures = ", ".join(f"{name} {value:,.4g}" for name, value in one.figures.items())
            console.print(f"{row.what}: {figures}")


if __name__ == "__main__":
    typer.run(main)
