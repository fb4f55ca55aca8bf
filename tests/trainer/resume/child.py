"""Trainings, one after the other, in a process of its own, alone or as one of several.

Called as `child.py MODEL FOLDER VARIANT... [--rows N] [--batches SIZE TIMES] [--stop-at N RANK]
[--die-at N]`; `--die-at`: killed as it touches a file of the checkpoints for the n-th time. What
came out lies in `FOLDER/VARIANT/ended-RANK.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.trainer.resume.training import ROWS, StopAt, outcome, train
from trainer import distributed
from trainer.types import Stopped

TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link"}


def die_at(count: int, checkpoints: Path) -> None:
    left = count

    def touched(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in TOUCHES and str(arguments[0]).startswith(str(checkpoints)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("model", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("variants", nargs="+")
    asked.add_argument("--rows", type=int, default=ROWS)
    asked.add_argument("--batches", type=int, nargs=2, default=(2, 2))
    asked.add_argument("--stop-at", type=int, nargs=2)
    asked.add_argument("--die-at", type=int)
    said = asked.parse_args()
    distributed.start("cpu")
    at, asked_rank = said.stop_at or (None, None)
    for variant in said.variants:
        folder = said.folder / variant
        folder.mkdir(exist_ok=True)
        if said.die_at:
            die_at(said.die_at, folder / "checkpoints")
        stop = StopAt(at if asked_rank == distributed.rank() else None)
        ended = train(
            variant, said.model, folder, stop, rows=said.rows, batches=tuple(said.batches)
        )
        result = ended if isinstance(ended, Stopped) else outcome(ended, folder)
        told = folder / f"ended-{distributed.rank()}.json"
        told.write_text(json.dumps(result._asdict()))
    distributed.end()


if __name__ == "__main__":
    main()
