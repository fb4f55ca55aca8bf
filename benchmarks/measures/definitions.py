"""The names that files define, beside universal-ctags, on the corpus.

    python -m benchmarks.measures.definitions [LANGUAGE]

prints the files that differ most. Compared are the names of functions, methods, types, modules,
constants and macros; fields, members of enumerations, variables and prototypes are none.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from benchmarks.corpus import archive_of, default_cache, files_of, read_manifest
from benchmarks.measures.base import Row
from codelupe_daemon.examine.examiner import Examiner
from codelupe_daemon.examine.settings import ExamineSettings
from codelupe_daemon.syntax.blocks import PADDING
from codelupe_daemon.syntax.definitions import find_names
from codelupe_daemon.syntax.definitions.state import MAX_JSON_BYTES, MAX_NAMES

FILES = 300
KINDS = {
    "C": "dfgstu",
    "C++": "dfgstucn",
    "Go": "fctsinv",
    "Java": "acgimf",
    "JavaScript": "fcmgGSC",
    "Python": "cfmv",
    "Rust": "nsifgtvMP",
    "TypeScript": "fcigmnaGC",
}
SUFFIXES = {
    "C": (".c", ".h"),
    "C++": (".cc", ".cpp", ".h"),
    "Go": (".go",),
    "Java": (".java",),
    "JavaScript": (".js",),
    "Python": (".py",),
    "Rust": (".rs",),
    "TypeScript": (".ts",),
}
"""The first of them is what ctags is given."""
_CAPITALS = re.compile(r"[A-Z][A-Z0-9_]+$")
_NAME = re.compile(r"[\w$]+$")
_MADE_UP = ("__anon", "anonymousFunction", "AnonymousFunction")


class Compared(NamedTuple):
    language: str
    name: str
    ours: set[str]
    theirs: set[str]


def sample(cache: Path) -> dict[str, list[tuple[str, bytes]]]:
    """For each language up to FILES files of the corpus that the examiner keeps."""
    files: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for origin in read_manifest():
        for package in origin.packages:
            for path, text in files_of(package, archive_of(package, cache)):
                suffix = PurePosixPath(path).suffix
                for language, suffixes in SUFFIXES.items():
                    if suffix in suffixes and 300 < len(text) < 100_000:
                        files[language].append((path, text))
    examiner = Examiner(ExamineSettings(), lambda _buffer, offsets, _sizes: [b""] * len(offsets))
    chosen: dict[str, list[tuple[str, bytes]]] = {}
    for language in KINDS:
        random.Random(language).shuffle(files[language])
        kept = (
            (path, text)
            for path, text in files[language]
            if (verdict := examiner.examine_text(path, text).verdict).reason is None
            and verdict.language == language
        )
        chosen[language] = [found for found, _ in zip(kept, range(FILES), strict=False)]
    return chosen


def names_by_ctags(folder: Path, language: str) -> dict[str, set[str]]:
    kinds = f"--kinds-{language}={KINDS[language]}"
    command = ["ctags", "--output-format=json", "--fields=*", "-f", "-", "-R"]
    done = subprocess.run(
        [*command, f"--languages={language}", kinds, str(folder)], capture_output=True, check=True
    )
    names: dict[str, set[str]] = defaultdict(set)
    for line in done.stdout.splitlines():
        tag = json.loads(line)
        name = str(tag["name"]).rpartition("::")[2]
        if _NAME.match(name) and not name.startswith(_MADE_UP) and _is_meant(language, name, tag):
            names[Path(tag["path"]).stem].add(name)
    return names


def _is_meant(language: str, name: str, tag: dict[str, Any]) -> bool:
    """Whether a tag is of the kinds that are compared; what ctags misreads is none."""
    kind, line = tag["kind"], tag.get("pattern", "")
    if name == "_":
        return False
    if (language, kind) == ("Java", "field"):
        return bool(_CAPITALS.match(name)) and "=" in line
    if (language, kind) == ("Python", "variable"):
        return "scope" not in tag and bool(_CAPITALS.match(name))
    if kind == "constant" and language in ("JavaScript", "TypeScript"):
        # Locals, modules that were asked for, and calls that it takes for declarations.
        is_outside = "scope" not in tag and line[2:3] not in (" ", "\t")
        declares = re.search(rf"\bconst\s+(enum\s+)?{re.escape(name)}(?![\w$])", line)
        return is_outside and "require(" not in line and declares is not None
    if (language, kind) == ("JavaScript", "class"):  # every object literal is one
        return re.search(r"\bclass\b|function", line) is not None
    return True


def compared(files: dict[str, list[tuple[str, bytes]]]) -> Iterator[Compared]:
    for language, texts in files.items():
        ours = _names(language, [text for _, text in texts])
        with tempfile.TemporaryDirectory() as scratch:
            for number, (_, text) in enumerate(texts):
                Path(scratch, f"{number:04}{SUFFIXES[language][0]}").write_bytes(text)
            theirs = names_by_ctags(Path(scratch), language)
        for number, ((path, _), found) in enumerate(zip(texts, ours, strict=True)):
            mine = set(json.loads(found))
            if len(mine) < MAX_NAMES and len(found) < MAX_JSON_BYTES - 300:
                yield Compared(language, path, mine, theirs[f"{number:04}"])


def _names(language: str, texts: list[bytes]) -> list[bytes]:
    sizes = np.array([len(text) for text in texts], np.int64)
    offsets = np.cumsum(sizes) - sizes
    data = np.frombuffer(b"".join(texts) + bytes(PADDING), np.uint8)
    return find_names(data, offsets, sizes, [language] * len(texts))


def measure(cache: Path) -> list[Row]:
    files = sample(cache)
    pairs = list(compared(files))
    rows = []
    for language in [*KINDS, "all languages"]:
        of = [pair for pair in pairs if language in (pair.language, "all languages")]
        both = sum(len(pair.ours & pair.theirs) for pair in of)
        ours, theirs = sum(len(pair.ours) for pair in of), sum(len(pair.theirs) for pair in of)
        what, on = f"definitions, {language}", f"{len(of)} files, {theirs} names by ctags"
        rows.append(Row(f"{what}: precision", both / max(ours, 1), 0.9, on))
        rows.append(Row(f"{what}: recall", both / max(theirs, 1), 0.85, on))
    return [*rows, _speed(files)]


def _speed(files: dict[str, list[tuple[str, bytes]]]) -> Row:
    total_bytes, seconds = 0, 0.0
    for language, texts in files.items():
        raw = [text for _, text in texts]
        runs = []
        for _ in range(5):
            before = time.thread_time()
            _names(language, raw)
            runs.append(time.thread_time() - before)
        seconds += min(runs)
        total_bytes += sum(map(len, raw))
    detail = f"MB a CPU-second, {total_bytes / 1e6:.0f} MB of {len(files)} languages"
    return Row("definitions: speed", total_bytes / 1e6 / seconds, 250, detail)


def main(language: Annotated[str | None, typer.Argument()] = None) -> None:
    pairs = [
        pair
        for pair in compared(sample(default_cache()))
        if language in (None, pair.language) and pair.ours != pair.theirs
    ]
    for pair in sorted(pairs, key=lambda pair: -len(pair.ours ^ pair.theirs))[:40]:
        print(f"{pair.language} {pair.name}")
        print(f"    only ours:   {' '.join(sorted(pair.ours - pair.theirs))}")
        print(f"    only theirs: {' '.join(sorted(pair.theirs - pair.ours))}")


if __name__ == "__main__":
    typer.run(main)
