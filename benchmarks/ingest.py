"""How fast `codelupe ingest` is beside what git alone needs: one run, one table.

    python -m benchmarks.ingest [--rounds 3] [--json]

Everything is measured in rounds, one after the other, so that a slow minute of the machine meets
all of them; figures are medians, ratios are taken within a round. `docs/benchmarks.md` keeps the
table.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
import xxhash
from rich.console import Console
from rich.table import Table

from benchmarks import corpus
from benchmarks.command import Run, codelupe, ingest
from benchmarks.floor import Floor, floor, git

ONE_IN = 100


class Round(NamedTuple):
    """Everything once."""

    floor: Floor
    journal: Run
    second: Run
    searchable: Run


@dataclass
class Report:
    """What was measured on which machine; `checks` has each target with its figure."""

    machine: dict[str, Any]
    corpus: dict[str, int]
    rows: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    stages_s: dict[str, dict[str, float]] = field(default_factory=dict)

    def check(self, what: str, values: Sequence[float], target: float, *, at_most: bool) -> None:
        value = statistics.median(values)
        is_met = value <= target if at_most else value >= target
        self.checks.append(
            {
                "what": what,
                "value": value,
                "rounds": list(values),
                "target": f"{'<=' if at_most else '>='} {target:g}",
                "met": is_met,
            }
        )


# -- what is measured -------------------------------------------------------------------------


def one_round(work: Path, repositories: Sequence[Path]) -> Round:
    show(repositories, "base")
    git_alone = floor(repositories)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        store = Path(folder) / "journal.db"
        journal = ingest(store, repositories, "--no-consumers")
        show(repositories, "changed")
        second = ingest(store, repositories, "--no-consumers")
        show(repositories, "base")
        searchable = ingest(Path(folder) / "searchable.db", repositories)
    return Round(git_alone, journal, second, searchable)


def working_copies(work: Path, originals: Sequence[Path]) -> list[Path]:
    """Copies with the branches `base` and `changed`, the latter with 1% of the files changed."""
    copies = []
    for original in originals:
        copy = work / f"{original.parent.name}.git"
        shutil.copytree(original, copy)
        git(copy, "update-ref", "refs/heads/base", "HEAD")
        corpus.import_commit(copy, iter(changed_files(copy)), "refs/heads/base^0")
        git(copy, "update-ref", "refs/heads/changed", "HEAD")
        copies.append(copy)
    return copies


def changed_files(repo: Path) -> list[tuple[str, bytes]]:
    """One file in a hundred, chosen by its path, with a line more."""
    paths = [
        path.decode() for path in git(repo, "ls-tree", "-rz", "--name-only", "HEAD").split(b"\0")
    ]
    chosen = [
        path for path in paths if path and not xxhash.xxh3_64_intdigest(path.encode()) % ONE_IN
    ]
    return [(path, corpus.varied(path, git(repo, "show", f"HEAD:{path}"), 2)) for path in chosen]


def show(repositories: Sequence[Path], branch: str) -> None:
    for repo in repositories:
        git(repo, "update-ref", "refs/heads/main", f"refs/heads/{branch}")


def peak_on(work: Path, repositories: Sequence[Path]) -> Run:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        return ingest(Path(folder) / "many.db", repositories)


# -- what is said about it --------------------------------------------------------------------


def report(rounds: Sequence[Round], helps: Sequence[Run], many: Run | None) -> Report:
    git_alone = rounds[0].floor
    told = Report(machine(), {"files": git_alone.files, "bytes": git_alone.size_bytes})
    told.rows.append(_row("git alone: the floor", [one.floor.seconds for one in rounds], git_alone))
    for what, runs in _runs(rounds).items():
        row = _row(what, [run.seconds for run in runs], git_alone)
        row["process_s"] = statistics.median(run.wall_s for run in runs)
        row["cpu_s"] = statistics.median(run.cpu_s for run in runs)
        row["peak_mb"] = max(run.peak_mb for run in runs)
        told.rows.append(row)
        told.stages_s[what] = _stages(runs)
    _check_speed(told, rounds)
    _check_memory(told, rounds, many)
    told.check("codelupe --help, seconds", [run.wall_s for run in helps], 0.25, at_most=True)
    return told


def _runs(rounds: Sequence[Round]) -> dict[str, list[Run]]:
    return {
        "into the journal": [one.journal for one in rounds],
        "into the journal, and searchable": [one.searchable for one in rounds],
        "second visit, 1% changed": [one.second for one in rounds],
    }


def _row(what: str, seconds: Sequence[float], git_alone: Floor) -> dict[str, Any]:
    middle = statistics.median(seconds)
    return {
        "what": what,
        "seconds": middle,
        "files_per_s": git_alone.files / middle,
        "mb_per_s": git_alone.size_bytes / 1e6 / middle,
    }


def _stages(runs: Sequence[Run]) -> dict[str, float]:
    stages = [run.answer.get("stages", {}) for run in runs]
    return {name: statistics.median(one[name] for one in stages) for name in stages[0]}


def _check_speed(told: Report, rounds: Sequence[Round]) -> None:
    def ratios(what: str, values: Sequence[float], target: float, *, at_most: bool = False) -> None:
        told.check(what, values, target, at_most=at_most)

    ratios(
        "files/s into the journal, of the floor's",
        [one.floor.seconds / one.journal.seconds for one in rounds],
        0.4,
    )
    ratios(
        "searchable after, times the journal's seconds",
        [one.searchable.seconds / one.journal.seconds for one in rounds],
        2.0,
        at_most=True,
    )
    ratios(
        "second visit, times faster",
        [one.journal.seconds / one.second.seconds for one in rounds],
        10.0,
    )


def _check_memory(told: Report, rounds: Sequence[Round], many: Run | None) -> None:
    journal = max(one.journal.peak_mb for one in rounds)
    searchable = max(one.searchable.peak_mb for one in rounds)
    told.check("peak memory into the journal, MB", [journal], 600, at_most=True)
    told.check("peak memory with all consumers, MB", [searchable], 600, at_most=True)
    if many:
        told.check("peak memory on four times the corpus, MB", [many.peak_mb], 600, at_most=True)
        # The allocator's own noise between two equal runs is a few percent.
        told.check("the same, of once the corpus", [many.peak_mb / searchable], 1.05, at_most=True)


def machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "git": subprocess.check_output(["git", "--version"], text=True).split()[2],
        "linux": platform.release(),
    }


def show_report(told: Report, console: Console) -> None:
    about = told.machine
    console.print(
        f"{told.corpus['files']:,} files, {told.corpus['bytes'] / 1e6:,.0f} MB; "
        f"{about['cores']} cores of {about['cpu']}, Python {about['python']}, git {about['git']}"
    )
    console.print(_speed_table(told))
    console.print(_stage_table(told))
    console.print(_check_table(told))


def _speed_table(told: Report) -> Table:
    table = _table("", "seconds", "files/s", "MB/s", "whole process, s", "CPU s", "peak MB")
    for row in told.rows:
        extra = [f"{row[key]:.2f}" if key in row else "" for key in ("process_s", "cpu_s")]
        peak = f"{row['peak_mb']:.0f}" if "peak_mb" in row else ""
        speed = [f"{row['seconds']:.2f}", f"{row['files_per_s']:,.0f}", f"{row['mb_per_s']:.0f}"]
        table.add_row(row["what"], *speed, *extra, peak)
    return table


def _stage_table(told: Report) -> Table:
    names = list(dict.fromkeys(name for stages in told.stages_s.values() for name in stages))
    table = _table("seconds of each stage", *names)
    for what, stages in told.stages_s.items():
        table.add_row(what, *(f"{stages[name]:.2f}" if name in stages else "" for name in names))
    return table


def _check_table(told: Report) -> Table:
    table = _table("", "figure", "rounds", "target", "")
    for check in told.checks:
        rounds = " ".join(f"{value:.2f}" for value in check["rounds"])
        verdict = "met" if check["met"] else "missed"
        table.add_row(check["what"], f"{check['value']:.2f}", rounds, check["target"], verdict)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def main(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured.")] = 3,
    cache: Annotated[Path | None, typer.Option(help="Where the corpus is kept.")] = None,
    memory: Annotated[bool, typer.Option(help="Measure memory on four times the corpus.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure `codelupe ingest` on the corpus, building that first where it is missing."""
    home = cache or corpus.default_cache()
    originals = corpus.build(home)
    four_times = corpus.build(home, 4) if memory else []
    with tempfile.TemporaryDirectory(dir=home) as folder:
        work = Path(folder)
        repositories = working_copies(work, originals)
        ingest(work / "warm.db", repositories[:1])  # compiles what a first run has to
        measured = []
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            measured.append(one_round(work, repositories))
        helps = [codelupe("--help") for _ in range(rounds)]
        many = peak_on(work, four_times) if memory else None
    told = report(measured, helps, many)
    if as_json:
        print(json.dumps(asdict(told), indent=1))
    else:
        show_report(told, Console(width=None if sys.stdout.isatty() else 120))


if __name__ == "__main__":
    typer.run(main)
