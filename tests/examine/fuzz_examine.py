"""Fuzzing with atheris: `python -m tests.examine.fuzz_examine [-runs=62500] [-seed=1]`.

A run judges one batch of 16 inputs: a mutilated text, turned round at 16 places, each under
another path. What is found lies in the working folder (`crash-*`): give such a file instead of
options to see it again.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
TIMES = (1, 1, 1, 1, 1, 1, 2, 3, 40, 200)
MAX_BYTES = 50_000
INPUTS = 16


def compiled_modules() -> list[str]:
    """What numba compiles must keep its bytecode, and what it compiles is not to be traced."""
    folder = ROOT / "codelupe_daemon"
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in folder.rglob("*.py")
        if "import njit" in path.read_text() or "numba" in path.read_text()
    ]


with atheris.instrument_imports(
    include=["codelupe_daemon.examine", "codelupe_daemon.syntax"], exclude=compiled_modules()
):
    from tests.examine.fuzzing import PATHS, SAMPLES, UNITS, check


def test_one_input(data: bytes) -> None:
    """The first byte is the path, the second how often the text is repeated."""
    if len(data) < 3:
        return
    text = spelt_out(data[2:]) * TIMES[data[1] % len(TIMES)]
    check(list(turned(text[:MAX_BYTES], data[0])), patience=1)


def spelt_out(data: bytes) -> bytes:
    """A byte above 0xf7 and the next one stand for a unit of the hostile texts."""
    text = bytearray()
    at = 0
    while at < len(data):
        if data[at] > 0xF7 and at + 1 < len(data):
            text += UNITS[data[at + 1] % len(UNITS)].encode()
            at += 1
        else:
            text.append(data[at])
        at += 1
    return bytes(text)


def turned(text: bytes, first: int) -> Iterator[tuple[str, bytes]]:
    for k in range(INPUTS):
        at = len(text) * k // INPUTS
        yield PATHS[(first + 5 * k) % len(PATHS)], text[at:] + text[:at]


def main() -> None:
    with tempfile.TemporaryDirectory() as found, tempfile.TemporaryDirectory() as seeds:
        for sample in SAMPLES.iterdir():
            index = next((k for k, path in enumerate(PATHS) if path[1:] == sample.suffix), 0)
            Path(seeds, sample.name).write_bytes(bytes([index, 0]) + sample.read_bytes())
        files = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        limits = ["-max_len=4096", "-rss_limit_mb=2048", "-timeout=60"]
        folders = [] if files else [found, seeds]
        atheris.Setup([sys.argv[0], *limits, *sys.argv[1:], *folders], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
