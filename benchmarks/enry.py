"""go-enry, built from its module, and what it says about files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread
from typing import IO, NamedTuple

SOURCE = Path(__file__).with_name("measures") / "enry"


class Said(NamedTuple):
    """`language` is empty where it knows none."""

    language: str
    vendored: bool
    generated: bool
    documentation: bool


def build(cache: Path) -> Path:
    """The program in the cache, built if it is not there yet."""
    kept = cache / "peers" / "enry"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        if shutil.which("go") is None:
            raise SystemExit("go is needed to build go-enry")
        command = ["go", "build", "-o", str(kept), "."]
        subprocess.run(
            command, cwd=SOURCE, check=True, env=os.environ | {"GOFLAGS": "-mod=readonly"}
        )
    return kept


def ask(program: Path, files: Iterable[tuple[str, bytes]]) -> Iterator[Said]:
    """What it says about each file, a path in its repository and its bytes."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        writer = Thread(target=_write, args=(files, running.stdin))
        writer.start()
        for line in running.stdout:
            yield Said(**json.loads(line))
        writer.join()
    if running.returncode:
        raise SystemExit("go-enry failed")


def _write(files: Iterable[tuple[str, bytes]], into: IO[bytes]) -> None:
    with into:
        for path, text in files:
            into.write(b"%d %b\n%b" % (len(text), path.encode(), text))
