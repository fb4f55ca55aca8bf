"""A good text and its bad twin: each signal must tell them apart, and the score follow."""

from __future__ import annotations

import argparse
import heapq
import json
import textwrap
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from codelupe_daemon.examine.signals import SIGNALS
from tests.examine.build import judge

GOOD = '''\
"""Prices of an order."""

from decimal import Decimal


def discount(total: Decimal, is_member: bool) -> Decimal:
    """What a member saves on an order."""
    if not is_member:
        return Decimal(0)
    return total * Decimal("0.05")


def order_total(prices: list[Decimal], is_member: bool) -> Decimal:
    """The sum of all prices after the discount."""
    total = sum(prices, Decimal(0))
    return total - discount(total, is_member)
'''


def tangle(depth: int) -> str:
    lines = ["def f(a, b):"]
    for level in range(1, depth):
        lines.append("    " * level + f"if a > {level} and b < {level}:")
        lines.append("    " * (level + 1) + "while a:")
    return "\n".join(lines) + "\n" + "    " * (depth + 1) + "pass\n"


TWINS = {
    "structure": "\n".join(f"value_{i} = compute_something({i}) + other_thing" for i in range(200)),
    "documentation": "\n".join(line for line in GOOD.splitlines() if '"""' not in line),
    "complexity": tangle(12) * 3,
    "naming": "\n".join(f"a = b(c, d) + e[{i}] * f(g)" for i in range(30)),
    "validity": GOOD.replace("is_member)\n", "is_member\n"),
    "robustness": GOOD + "\ntry:\n    print(total)\nexcept ValueError:\n    pass\n" * 3,
    "repetition": GOOD + GOOD.replace("def ", "def old_") * 2,
    "security": GOOD + "\n" + "eval(prices)\nexec(prices)\nos.system(total)\n" * 2,
}


def signals(code: str, path: str = "a.py") -> dict[str, float]:
    examined = judge(path, code)
    assert examined.content is not None, examined.verdict
    found: dict[str, float] = orjson.loads(examined.content.signals)
    return found | {"score": examined.content.score}


@pytest.mark.parametrize("signal", TWINS)
def test_a_signal_tells_good_from_bad(signal: str) -> None:
    good, bad = signals(GOOD), signals(TWINS[signal])
    assert good[signal] > 0.8
    assert bad[signal] < 0.5
    assert bad["score"] < good["score"] - 0.03


def test_a_signal_has_no_flat_end() -> None:
    """Each further copy, slip or bracket that is missing costs something."""
    worse = [signals(GOOD + GOOD.replace("def ", "def old_") * times) for times in range(4)]
    assert sorted({found["repetition"] for found in worse}, reverse=True) == [
        found["repetition"] for found in worse
    ]
    broken = [signals(GOOD + "total = (\n" * times)["validity"] for times in range(4)]
    assert broken == sorted(broken, reverse=True)
    assert len(set(broken)) == 4


@pytest.mark.parametrize(
    ("path", "better", "worse"),
    [
        ("a.js", "const a = await load(b);\n", "var a = eval(b); debugger;\n"),
        ("a.ts", "const a: unknown = load(b);\n", "var a: any = load(b);\n"),
        ("a.rs", "let a = load(b).map_err(E::from)?;\n", "let a = load(b).unwrap();\n"),
        ("a.go", "return fmt.Errorf(format, err)\n", "panic(err)\n"),
        ("a.cpp", "auto a = std::make_unique<A>();\n", "A* a = new A();\n"),
        ("A.java", "final List<A> a = load(b);\n", "a.printStackTrace();\n"),
    ],
)
def test_each_language_has_its_idioms(path: str, better: str, worse: str) -> None:
    good, bad = signals(better * 6, path), signals(worse * 6, path)
    assert good["idiom"] > bad["idiom"]
    assert good["robustness"] > bad["robustness"]


def test_signals_are_shares_and_counts() -> None:
    found = signals(GOOD)
    shares = [signal.__name__ for signal, _ in SIGNALS] + ["score"]
    assert all(0 <= found[name] <= 1 for name in shares)
    counts = {name: found[name] for name in found if name not in [*shares, "names"]}
    assert counts == {"lines": 16, "code": 8, "comments": 3, "definitions": 2, "branches": 1}
    assert round(found["score"] * 1000) == pytest.approx(found["score"] * 1000)


@pytest.mark.parametrize("module", [argparse, heapq, json, textwrap])
def test_the_standard_library_scores_well(module: ModuleType) -> None:
    assert module.__file__
    assert signals(Path(module.__file__).read_text("utf-8"))["score"] > 0.7


def test_junk_scores_low() -> None:
    junk = "\n".join(f"a={i};b=a*{i};exec(c)  # {'x' * 70}" for i in range(120))
    assert signals(junk)["score"] < 0.62
