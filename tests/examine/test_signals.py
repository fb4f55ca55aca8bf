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
    assert good[signal] > 0.85
    assert bad[signal] < 0.6
    assert bad["score"] < good["score"] - 0.03


def test_signals_are_shares_and_counts() -> None:
    found = signals(GOOD)
    shares = ("structure", "documentation", "complexity", "naming", "security", "score")
    assert all(0 <= found[name] <= 1 for name in shares)
    counts = {name: found[name] for name in found if name not in shares}
    assert counts == {"lines": 16, "code": 8, "comments": 3, "definitions": 2, "branches": 1}
    assert round(found["score"] * 1000) == pytest.approx(found["score"] * 1000)


@pytest.mark.parametrize("module", [argparse, heapq, json, textwrap])
def test_the_standard_library_scores_well(module: ModuleType) -> None:
    assert module.__file__
    assert signals(Path(module.__file__).read_text("utf-8"))["score"] > 0.8


def test_junk_scores_low() -> None:
    junk = "\n".join(f"a={i};b=a*{i};exec(c)  # {'x' * 70}" for i in range(120))
    assert signals(junk)["score"] < 0.5
