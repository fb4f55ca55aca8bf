"""Licences beside what packages declare of themselves, and headers beside their own SPDX tags.

    python -m benchmarks.measures.licenses

prints every disagreement with its kind. `licenses.toml` says of each who is right.
"""

from __future__ import annotations

import email
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import typer

from benchmarks.corpus import Package, archive_of, default_cache, files_of
from benchmarks.measures.base import Row
from codelupe_daemon import spdx
from codelupe_daemon.examine.licenses import (
    HEAD_BYTES,
    MAX_BYTES,
    combine,
    header,
    is_license_file,
)

MANIFEST = Path(__file__).with_suffix(".toml")
CODE = frozenset(
    ".c .cc .cpp .go .h .hpp .java .js .mjs .pl .py .pyx .rb .rs .S .sh .ts".split()  # noqa: SIM905 - read as one line
)
_TAG_LINE = re.compile(rb"^.*SPDX-License-Identifier.*\n?", re.MULTILINE)


class Compared(NamedTuple):
    """One package with a text: what it declares, and what the text says."""

    package: Package
    declared: str
    found: str | None

    @property
    def kind(self) -> str:
        """What tells the two apart; empty if nothing does."""
        if self.found is None or not spdx.normalise(self.found):
            return "text not recognised"
        declared, found = _ids(self.declared), _ids(self.found)
        if declared == found:
            return "" if _shape(self.declared) == _shape(self.found) else "AND against OR"
        if found < declared:
            return "more declared than the text carries"
        return "more in the text than declared" if declared < found else "another licence"


class Headers(NamedTuple):
    """Files that have both a tag and the classic words; what the words say less, or otherwise."""

    files: int
    less: list[str]
    otherwise: list[str]


def _ids(expression: str) -> frozenset[str]:
    """A GNU licence's text does not say whether later versions are allowed."""
    names = re.split(r" OR | AND |[()]", _version(expression))
    return frozenset(name for name in names if name)


def _shape(expression: str) -> tuple[bool, bool]:
    return " OR " in expression, " AND " in expression


def _version(expression: str) -> str:
    return expression.replace("-or-later", "").replace("-only", "")


def packages(part: str) -> list[Package]:
    table: dict[str, dict[str, list[str]]] = tomllib.loads(MANIFEST.read_text())
    return [
        Package(registry, *spec.rsplit("@", 1))
        for registry, specs in table[part].items()
        for spec in specs
    ]


def compare(part: str, cache: Path) -> list[Compared]:
    """The packages of one part of the manifest; those without a text or an id are left out."""
    named = packages(part)
    with ThreadPoolExecutor(8) as pool:  # a registry's client mostly waits
        archives = list(pool.map(lambda package: archive_of(package, cache), named))
    read = [_read(*pair) for pair in zip(named, archives, strict=True)]
    return [one for one in read if one is not None]


def _read(package: Package, archive: Path) -> Compared | None:
    declared, texts, in_metadata = None, [], []
    for place, text in files_of(package, archive):
        path = place.removeprefix(f"{package.folder}/")
        declared = declared or _declared(path, text)
        if is_license_file(path) and ("/" not in path or path.startswith("LICENSES/")):
            texts.append((path, text[:MAX_BYTES]))
        if path.startswith("licenses/") and is_license_file(path):  # of a wheel
            in_metadata.append((path.removeprefix("licenses/"), text[:MAX_BYTES]))
    texts = in_metadata if package.registry == "wheel" and in_metadata else texts
    normal = spdx.normalise(declared or "")
    return Compared(package, normal, combine(texts).root) if normal and texts else None


def _declared(path: str, text: bytes) -> str | None:
    match path:
        case "METADATA":
            return email.message_from_bytes(text).get("License-Expression")
        case "Cargo.toml":
            table: dict[str, Any] = tomllib.loads(text.decode())
            found = table.get("package", {}).get("license")
        case "package.json":
            found = json.loads(text).get("license")
        case _:
            return None
    return found if isinstance(found, str) else None


def compare_headers(cache: Path) -> Headers:
    """Each file's header with its tag beside the same without: where the words say a licence."""
    files, less, otherwise = 0, [], []
    for package, path, head in _heads(cache):
        if b"SPDX-License-Identifier" not in head:
            continue
        tagged = header(head).expression
        said = header(_TAG_LINE.sub(b"", head)).expression
        if tagged and said:
            files += 1
            line = f"{package} {path}: {tagged}, by its words {said}"
            if not _parts(said) <= _parts(tagged):
                otherwise.append(line)
            elif _parts(said) != _parts(tagged):
                less.append(line)
    return Headers(files, less, otherwise)


def _parts(expression: str) -> frozenset[str]:
    return frozenset(re.split(r"[() ]+", expression))


def _heads(cache: Path) -> Iterator[tuple[Package, str, bytes]]:
    for package in packages("headers"):
        for path, text in files_of(package, archive_of(package, cache)):
            if PurePosixPath(path).suffix in CODE:
                yield package, path, text[:HEAD_BYTES]


def measure(cache: Path) -> list[Row]:
    looked_at: dict[str, str] = tomllib.loads(MANIFEST.read_text())["looked_at"]
    rows = []
    for part, target in (("sample", 0.97), ("rare", None)):
        compared = compare(part, cache)
        other = [one for one in compared if one.kind]
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(o.kind for o in other).most_common())
        share = 1 - len(other) / len(compared)
        on = f"{len(compared)} packages with id and text; {kinds}"
        rows.append(Row(f"licence: as declared, {part}", share, target, on))
        wrong = [
            o for o in other if not looked_at.get(o.package.name, "").startswith(("text", "both"))
        ]
        right = 1 - len(wrong) / len(compared)
        detail = "the same; who is right where they differ was looked at"
        rows.append(Row(f"licence: right on a look, {part}", right, None, detail))
    headers = compare_headers(cache)
    detail = f"{headers.files} files with SPDX tag and words, against the words alone"
    precision = 1 - len(headers.otherwise) / headers.files
    rows.append(Row("licence: header's words, precision", precision, 0.97, detail))
    same = precision - len(headers.less) / headers.files
    rows.append(Row("licence: header's words say all", same, None, detail))
    return rows


def main() -> None:
    """Print every disagreement."""
    looked_at: dict[str, str] = tomllib.loads(MANIFEST.read_text())["looked_at"]
    cache = default_cache()
    for part in ("sample", "rare"):
        for one in compare(part, cache):
            if one.kind:
                seen = looked_at.get(one.package.name, "not looked at")
                print(f"{one.kind}: {one.package}: {one.declared}, text {one.found}: {seen}")
    headers = compare_headers(cache)
    print(*headers.otherwise, *headers.less, sep="\n")


if __name__ == "__main__":
    typer.run(main)
