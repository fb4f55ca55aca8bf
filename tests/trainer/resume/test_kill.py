"""Killed at any moment, and gone on with: the same bytes as of a training left alone."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.resume.children import TIMEOUT_S, ended, started
from tests.trainer.resume.conftest import IS_FULL, Whole
from tests.trainer.resume.training import Outcome, steps

pytestmark = pytest.mark.timeout(900)

TOUCHES = 100
"""A third of the times that a training opens, makes, renames or removes a file of its checkpoints:
while they are written, sealed and removed, and as it finds out which is the newest."""
MOMENTS = {"a file": 13, "a time": 7} if IS_FULL else {"a file": 2, "a time": 1}


def test_killed_and_gone_on_with_is_the_same(
    model: Path, whole: Callable[[str], Whole], tmp_path: Path
) -> None:
    draw = random.Random(3)
    folder, killed = tmp_path / "lora", 0
    for _ in range(MOMENTS["a file"]):
        child = started(model, tmp_path, "lora", "--die-at", draw.randrange(1, TOUCHES))
        child.communicate(timeout=TIMEOUT_S)
        assert child.returncode in {0, -signal.SIGKILL}
        killed += child.returncode != 0
    assert killed > 0
    for _ in range(MOMENTS["a time"]):
        child = started(model, tmp_path, "lora")
        before = steps(folder)
        while child.poll() is None and steps(folder) == before:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.1))
        child.kill()
        child.communicate(timeout=TIMEOUT_S)
    (said,) = ended(started(model, tmp_path, "lora"), folder)
    assert Outcome(**said) == whole("lora").outcome
