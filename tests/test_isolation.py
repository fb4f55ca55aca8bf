from __future__ import annotations

import os
import time
from collections.abc import Sequence

import pytest

from codelupe_daemon.isolation import run_by_halves

CRASHES, HANGS = -1, -2


def squares(items: Sequence[int]) -> list[int]:
    if CRASHES in items:
        os.abort()
    if HANGS in items:
        time.sleep(3600)
    return [item * item for item in items]


def too_few(items: Sequence[int]) -> list[int]:
    return squares(items[1:])


def refuse(items: Sequence[int]) -> list[int]:
    raise KeyError(items[0])


def test_sound_items_need_one_child() -> None:
    assert run_by_halves(squares, [1, 2, 3], lambda _: 0, 30) == [1, 4, 9]
    assert run_by_halves(squares, [], lambda _: 0, 30) == []


def test_each_culprit_costs_only_itself() -> None:
    items = [1, 2, CRASHES]
    assert run_by_halves(squares, items, lambda item: item, 30) == [1, 4, -1]


def test_a_hanging_item_ends_at_the_limit() -> None:
    assert run_by_halves(squares, [HANGS], lambda item: item, 0.5) == [HANGS]


def test_errors_are_raised_here() -> None:
    with pytest.raises(KeyError, match="7"):
        run_by_halves(refuse, [7], lambda _: 0, 30)
    with pytest.raises(ValueError, match="2 items gave 1"):
        run_by_halves(too_few, [1, 2], lambda _: 0, 30)
