"""Generated, minified and vendored files: what real generators wrote, real code, and go-enry.

    python -m benchmarks.measures.generated [missed|wrong|generated|vendored]

prints the files behind a figure: generated ones that were kept, hand-written ones that were not,
and what go-enry calls generated or vendored and we keep.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache as remembered
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple

import typer

from benchmarks import enry
from benchmarks.corpus import Package, archive_of, default_cache, files_of
from benchmarks.generators import MANIFEST, outputs
from benchmarks.measures import language
from benchmarks.measures.base import Row
from codelupe_daemon.examine import Examiner, ExamineSettings
from codelupe_daemon.examine.language import is_programming
from codelupe_daemon.model import Reason

SAMPLE = 200
"""Files of each package that are labelled as hand-written."""
FOLDER = "src"
"""Where a generated file is said to lie: its folder must not give it away."""
SIZES = frozenset({Reason.TOO_SMALL, Reason.TOO_LARGE, Reason.TOO_FEW_LINES})
"""Generated files with these reasons are not counted."""
LEFT_OUT = frozenset({Reason.GENERATED, Reason.MINIFIED, Reason.DATA})
"""What may keep a generated file out."""
CALLED = frozenset({Reason.GENERATED, Reason.MINIFIED})
OTHER_PATHS = ("cache", "env", "*.d.ts", "fabfile.py")
"""Vendored for linguist, code for us; `rules/vendored.py` says why."""


class Labelled(NamedTuple):
    """`origin`: the generator, or the package of a hand-written file."""

    origin: str
    path: str
    text: bytes
    is_generated: bool


@remembered
def examiner() -> Examiner:
    return Examiner(ExamineSettings(), lambda _buffer, offsets, _sizes: [b""] * len(offsets))


def reason_of(path: str, text: bytes) -> Reason | None:
    return examiner().examine_text(path, text).verdict.reason


def labelled(cache: Path) -> Iterator[Labelled]:
    for output in outputs(cache):
        if is_code(output.path, output.text):
            path = f"{FOLDER}/{output.path.partition('/')[2]}"
            yield Labelled(output.generator, path, output.text, is_generated=True)
    table = tomllib.loads(MANIFEST.read_text())["hand_written"]
    generated: list[str] = table.pop("except")
    for registry, specs in table.items():
        for spec in specs:
            package = Package(registry, *spec.rsplit("@", 1))
            for path, text in _sample(package, cache):
                is_generated = any(fnmatch(f"{package.name}/{path}", one) for one in generated)
                yield Labelled(package.name, path, text, is_generated)


def is_code(path: str, text: bytes) -> bool:
    """Whether the language alone would keep a file."""
    return is_programming(language.ours(path, text))


def _sample(package: Package, cache: Path) -> list[tuple[str, bytes]]:
    """Files of a package that its path does not leave out, the same at every run."""
    files = []
    for place, text in files_of(package, archive_of(package, cache)):
        path = place.removeprefix(f"{package.folder}/")
        is_kept = examiner().path_verdict(path).reason in (None, *CALLED)
        if is_kept and b"\0" not in text and is_code(path, text):
            files.append((hashlib.blake2b(path.encode(), digest_size=8).digest(), path, text))
    return [(path, text) for _, path, text in sorted(files)[:SAMPLE]]


def judged(cache: Path) -> list[tuple[Labelled, Reason | None]]:
    found = [(file, reason_of(file.path, file.text)) for file in labelled(cache)]
    return [one for one in found if not (one[0].is_generated and one[1] in SIZES)]


class Beside(NamedTuple):
    """A file of a real package, as we and go-enry judge it."""

    package: Package
    path: str
    reason: Reason | None
    theirs: enry.Said


def beside(cache: Path) -> tuple[int, list[Beside]]:
    """The files of code in the language measure, and those of them that go-enry leaves out."""
    asked: deque[tuple[Package, str, bytes]] = deque()

    def texts() -> Iterator[tuple[str, bytes]]:
        for package, path, text in language.files(cache):
            if is_code(path, text) and len(text) >= ExamineSettings().min_file_chars:
                asked.append((package, path, text))
                yield path, text

    count, found = 0, []
    for said in enry.ask(enry.build(cache), texts()):
        count += 1
        package, path, text = asked.popleft()
        if said.generated or (said.vendored and not is_ours_to_keep(path)):
            found.append(Beside(package, path, reason_of(path, text), said))
    return count, found


def measure(cache: Path) -> list[Row]:
    files = judged(cache)
    generated = [reason in LEFT_OUT for file, reason in files if file.is_generated]
    by_hand = [reason in CALLED for file, reason in files if not file.is_generated]
    tools = len({file.origin for file, _ in files if file.is_generated})
    called = sum(generated) + sum(by_hand)
    count, found = beside(cache)
    theirs = [one for one in found if one.theirs.generated]
    vendored = [one for one in found if one.theirs.vendored and not is_ours_to_keep(one.path)]
    return [
        Row(
            "generated: recall",
            sum(generated) / len(generated),
            0.97,
            f"{len(generated):,} files that {tools} generators wrote",
        ),
        Row(
            "generated: precision",
            sum(generated) / called,
            0.99,
            f"those and {len(by_hand):,} hand-written files",
        ),
        Row(
            "generated: recall beside go-enry",
            _share(one.reason is not None for one in theirs),
            0.97,
            f"{len(theirs):,} files that it calls generated, of {count:,}",
        ),
        Row(
            "vendored: recall beside go-enry",
            _share(one.reason is not None for one in vendored),
            0.97,
            f"{len(vendored):,} files that it calls vendored, without {', '.join(OTHER_PATHS)}",
        ),
    ]


def is_ours_to_keep(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return any(fnmatch(part, pattern) for part in parts for pattern in OTHER_PATHS)


def _share(hits: Iterable[bool]) -> float:
    held = list(hits)
    return sum(held) / len(held) if held else 1.0


def main(which: Annotated[str, typer.Argument()] = "missed") -> None:
    cache = default_cache()
    if which in ("missed", "wrong"):
        found = [
            f"{file.origin}: {file.path} ({reason})"
            for file, reason in judged(cache)
            if (reason not in LEFT_OUT if which == "missed" else reason in CALLED)
            and file.is_generated == (which == "missed")
        ]
        print("\n".join(found))
        print(Counter(line.partition(":")[0] for line in found).most_common())
        return
    for one in beside(cache)[1]:
        if one.reason is None and getattr(one.theirs, which):
            print(f"{one.package.name}: {one.path}")


if __name__ == "__main__":
    typer.run(main)
