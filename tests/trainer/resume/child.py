"""A training in a process of its own, alone or as one of several.

Called as `child.py VARIANT MODEL FOLDER [--rows N] [--micro-batches N] [--stop-at N RANK]
[--die-at N]`; `--die-at`: killed as it touches a file of the checkpoints for the n-th time. What
came out lies in `FOLDER/ended-RANK.json`.
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
    asked.add_argument("variant")
    asked.add_argument("model", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--rows", type=int, default=ROWS)
    asked.add_argument("--micro-batches", type=int, default=2)
    asked.add_argument("--stop-at", type=int, nargs=2)
    asked.add_argument("--die-at", type=int)
    said = asked.parse_args()
    if said.die_at:
        die_at(said.die_at, said.folder / "checkpoints")
    distributed.start("cpu")
    at, asked_rank = said.stop_at or (None, None)
    stop = StopAt(at if asked_rank == distributed.rank() else None)
    ended = train(
        said.variant, said.model, said.folder, stop,
        rows=said.rows, batches=(2, said.micro_batches),
    )  # fmt: skip
    result = ended if isinstance(ended, Stopped) else outcome(ended, said.folder)
    rank = distributed.rank()
    said.folder.joinpath(f"ended-{rank}.json").write_text(json.dumps(result._asdict()))
    distributed.end()


if __name__ == "__main__":
    main()
