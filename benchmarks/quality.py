"""How right the verdicts are, on labelled data and beside peers: one table.

    python -m benchmarks.quality [MEASURE...] [--json]

A measure is a module of `benchmarks/measures` with `measure(cache: Path) -> list[Row]`.
"""

from __future__ import annotations

import importlib
import json as json_format
import pkgutil
from typing import Annotated

import typer

from benchmarks import measures
from benchmarks.corpus import default_cache
from benchmarks.measures.base import Row

NAMES = sorted(
    module.name for module in pkgutil.iter_modules(measures.__path__) if module.name != "base"
)


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="MEASURE")] = None,
    *,
    json: bool = False,
) -> None:
    rows: list[Row] = []
    for name in names or NAMES:
        module = importlib.import_module(f"benchmarks.measures.{name}")
        measured = module.measure(default_cache())
        rows += measured
        if not json:
            print(*map(_line, measured), sep="\n", flush=True)
    if json:
        print(json_format.dumps([row._asdict() | {"met": row.is_met} for row in rows]))


def _line(row: Row) -> str:
    sign = "<=" if row.is_upper_limit else ">="
    target = "" if row.target is None else f"{sign} {row.target:g}"
    verdict = "" if row.target is None else "met" if row.is_met else "SHORT"
    return f"{row.what:48} {row.figure:10.4g} {target:>8}  {verdict:5}  {row.detail}"


if __name__ == "__main__":
    typer.run(main)
