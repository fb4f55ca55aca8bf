"""Verdicts on the samples are those of this VERSION, to the last digit.

Where they differ on purpose: raise VERSION and run `python -m tests.examine.test_golden`, which
writes what the new version says beside what older ones said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from codelupe_daemon.examine import VERSION
from tests.examine.build import judge

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.json"


def verdicts() -> dict[str, list[Any]]:
    found = {}
    for sample in sorted((HERE / "samples").iterdir()):
        verdict = judge(sample.name, sample.read_bytes()).verdict
        signals = orjson.loads(verdict.signals)
        found[sample.name] = [*verdict[:3], verdict.score, signals]
    # As JSON, so that an enumeration equals its text.
    again: dict[str, list[Any]] = orjson.loads(orjson.dumps(found))
    return again


def test_verdicts_change_only_with_the_version() -> None:
    golden = orjson.loads(GOLDEN.read_bytes())
    assert VERSION in golden, "raised VERSION: run python -m tests.examine.test_golden"
    assert verdicts() == golden[VERSION]


def test_every_reason_and_language_has_a_sample() -> None:
    found = verdicts().values()
    assert {"Rust", "Go", "Python", "TypeScript", "JavaScript"} <= {row[2] for row in found}
    assert {"Dart", "Elixir", "Java", "C", "C++"} <= {row[2] for row in found}
    assert {None, "generated", "minified", "data", "not code", "too small"} <= {
        row[0] for row in found
    }


if __name__ == "__main__":
    known = orjson.loads(GOLDEN.read_bytes()) if GOLDEN.exists() else {}
    if VERSION not in known:
        GOLDEN.write_bytes(
            orjson.dumps(known | {VERSION: verdicts()}, option=orjson.OPT_INDENT_2) + b"\n"
        )
