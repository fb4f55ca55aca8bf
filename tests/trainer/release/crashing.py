"""Publish in children that kill themselves, each at another moment; run by a test of that name.

Arguments: the folder that training left, and a folder in which each child has a models_dir of its
own. The first child counts the moments (a file is opened, flushed or renamed, a folder is made);
each further one dies at one of them. Then each child's round is published again. Prints as JSON
what the children left, and the folder's bytes in the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

from tests.trainer.release.rounds import files, published

MOMENTS = {"open", "os.rename", "os.mkdir", "os.chmod", "shutil.copyfile"}
WANTED = 24


def publish_and_die(models_dir: Path, left: Path, at: int | None) -> int:
    """In a child: which moment it got to. None: count only."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        passed = 0

        def moment(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal passed
            if event in MOMENTS and str(models_dir) in str(arguments):
                passed += 1
                if passed == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(moment)
        published(models_dir, left)
        os.write(write_end, str(passed).encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with os.fdopen(read_end) as told:
        return int(told.read() or 0)


def digest(folder: Path) -> str:
    return hashlib.sha256(repr(files(folder)).encode()).hexdigest() if folder.exists() else ""


def main() -> None:
    left, place = map(Path, sys.argv[1:])
    place.mkdir()
    total = publish_and_die(place / "whole", left, None)
    outcomes = []
    for at in range(1, total + 1, max(1, total // WANTED)):
        models_dir = place / f"{at}"
        assert publish_and_die(models_dir, left, at) == 0, "it was to die"
        crashed = digest(models_dir / "tiny/v0001")
        published(models_dir, left)
        names = sorted(path.name for path in (models_dir / "tiny").iterdir())
        outcomes.append([crashed, digest(models_dir / "tiny/v0001"), names])
    whole = digest(place / "whole/tiny/v0001")
    sys.stdout.write(json.dumps({"whole": whole, "outcomes": outcomes}))


if __name__ == "__main__":
    main()
