"""Languages beside go-enry's, on files of many languages: how many agree, and how the rest differ.

    python -m benchmarks.measures.language [--all]

prints every kind of disagreement, with an example.
"""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import typer

from benchmarks import enry
from benchmarks.corpus import Package, archive_of, default_cache, files_of, read_manifest
from benchmarks.measures.base import Row
from codelupe_daemon.examine.language import CONTENT_BYTES, by_name, decide, is_programming
from codelupe_daemon.examine.modeline import SIDE_BYTES

MANIFEST = Path(__file__).with_suffix(".toml")
MAX_FILE_BYTES = 1 << 20

RENAMED = {"Vim Script": "Vim script", "SaltStack": "Salt", "robots.txt": "Robots Exclusion Rules"}
"""go-enry's tables are those of a newer linguist than ours, or the other way round."""


class Judged(NamedTuple):
    """`ours` and `theirs` are empty where no language was found."""

    path: str
    package: Package
    ours: str
    theirs: str

    @property
    def is_code(self) -> bool:
        return is_programming(self.ours) or is_programming(self.theirs)


def packages() -> list[Package]:
    table = tomllib.loads(MANIFEST.read_text())
    del table["kinds"]
    named = [
        Package(registry, *spec.rsplit("@", 1)) for registry in table for spec in table[registry]
    ]
    return [*(package for origin in read_manifest() for package in origin.packages), *named]


def files(cache: Path) -> Iterator[tuple[Package, str, bytes]]:
    """Every text of the packages: its path in the repository, its bytes."""
    for package in packages():
        for place, text in files_of(package, archive_of(package, cache)):
            if len(text) <= MAX_FILE_BYTES and b"\0" not in text:
                yield package, place.removeprefix(f"{package.folder}/"), text


def ours(path: str, text: bytes) -> str:
    named, extension = by_name(path.rpartition("/")[2])
    return decide(named, extension, text[:CONTENT_BYTES], text[-SIDE_BYTES:]) or ""


def judged(cache: Path) -> Iterator[Judged]:
    mine: deque[Judged] = deque()  # what is on its way to go-enry: its order is kept

    def texts() -> Iterator[tuple[str, bytes]]:
        for package, path, text in files(cache):
            mine.append(Judged(path, package, ours(path, text), ""))
            yield path, text

    for said in enry.ask(enry.build(cache), texts()):
        yield mine.popleft()._replace(theirs=RENAMED.get(said.language, said.language))


def measure(cache: Path) -> list[Row]:
    found = list(judged(cache))
    code = [file for file in found if file.is_code]
    languages = Counter(file.theirs for file in code)
    many = sum(1 for count in languages.values() if count >= 20)
    return [
        Row(
            "language: agreement on code",
            _agreement(code),
            0.99,
            f"go-enry, {len(code):,} files, {many} languages with at least 20",
        ),
        _looked_at([file for file in code if file.ours != file.theirs]),
        Row("language: agreement on all texts", _agreement(found), None, f"{len(found):,} files"),
    ]


def kinds_looked_at() -> dict[str, str]:
    """Who is right, by the kind of disagreement."""
    kinds: dict[str, list[str]] = tomllib.loads(MANIFEST.read_text())["kinds"]
    return {kind: right for right, held in kinds.items() for kind in held}


def kind_of(file: Judged) -> str:
    return f"{PurePosixPath(file.path).suffix} {file.ours}|{file.theirs}"


def _looked_at(differing: list[Judged]) -> Row:
    known = kinds_looked_at()
    right = Counter(known.get(kind_of(file), "new") for file in differing)
    share = 1 - right["new"] / max(len(differing), 1)
    detail = ", ".join(f"{who} right: {count}" for who, count in right.most_common())
    return Row("language: disagreements of kinds looked at", share, None, detail)


def _agreement(found: list[Judged]) -> float:
    return sum(file.ours == file.theirs for file in found) / len(found)


def main(*, all: bool = False) -> None:  # noqa: A002 (the name of the option)
    """Print the kinds of disagreement about code, with --all about any text."""
    kinds: dict[str, list[Judged]] = defaultdict(list)
    for file in judged(default_cache()):
        if file.ours != file.theirs and (all or file.is_code):
            kinds[kind_of(file)].append(file)
    known = kinds_looked_at()
    for kind, held in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        example = f"{held[0].package.name}: {held[0].path}"
        print(f"{len(held):5}  {known.get(kind, 'new'):8} {kind:44} {example}")


if __name__ == "__main__":
    typer.run(main)
