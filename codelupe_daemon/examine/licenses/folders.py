"""Licence files of a repository: which they are, and which folder each speaks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from codelupe_daemon import spdx
from codelupe_daemon.examine.licenses.identify import Identified, identify

UNKNOWN = "NOASSERTION"
"""A text that grants something, but nothing that is known: it is not the folder above's licence."""

_REMEMBERED = 100_000
_OWN_TEXT_BYTES = 250
"""Shorter texts that nobody knows only point elsewhere."""
_KIND = (
    r"(?:(?:apache|mit|0?bsd|isc|[al]?gpl|mpl|epl|cc0|cc|boost|bsl|zlib|unlicense|ofl|psf|x11)"
    r"[\w.+-]*?)"
)
_ENDING = r"(?:\.(?:txt|text|md|markdown|rst|html?|adoc|org|in|en))?"
_NAME = re.compile(
    rf"(?:(?P<before>{_KIND})[-_.])?(?:unlicen[sc]e|licen[sc]es?|copying|copyright)"
    rf"(?:[-_. ]?(?P<after>{_KIND}|lesser|lib|library|(?:v|version)?[-_.]?\d(?:[-_.]\d)*|"
    rf"exceptions?|runtime|main|project|source|code|software|dual))?{_ENDING}|"
    rf"(?:unlicense|[al]?gpl|mpl|apache|mit|bsd)(?:[-_.]?v?\d(?:[-.]\d)*)?{_ENDING}",
    re.IGNORECASE,
)
_HINT = re.compile(r"licen[sc]e|copying|copyright|gpl|^(?:mpl|apache|mit|bsd)", re.IGNORECASE)
_COPYRIGHT = re.compile(rf"copyrights?{_ENDING}", re.IGNORECASE)
_LESSER = re.compile(r"(?:copying|license)[-_.]?(?:lesser|lib|library)\b", re.IGNORECASE)
_OFTEN_CHOSEN = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "Unlicense", "Zlib"}
_REUSE_FOLDER = "LICENSES"


def is_license_file(path: str) -> bool:
    """By its name, or as a text in a LICENSES folder of REUSE. A name alone will do as well."""
    folder, _, name = path.rpartition("/")
    if _REUSE_FOLDER in folder and _reuse_id(folder, name):
        return True
    return _HINT.search(name) is not None and _NAME.fullmatch(name) is not None


def _reuse_id(folder: str, name: str) -> str | None:
    if folder.rpartition("/")[2] != _REUSE_FOLDER or not name.endswith(".txt"):
        return None
    stem = name.removesuffix(".txt")
    return stem if stem.lower() in spdx.known().exceptions else spdx.normalise(stem)


class FolderLicenses:
    """Which licence the nearest folder upwards gives a path."""

    def __init__(self, of_folder: dict[str, str]) -> None:
        self._given = of_folder
        self._remembered: dict[str, str | None] = {}
        self.root = of_folder.get("")

    def of(self, path: str) -> str | None:
        if len(self._given) <= ("" in self._given):
            return self.root
        folder = path.rpartition("/")[0]
        try:
            return self._remembered[folder]
        except KeyError:
            return self._remember(folder)

    def _remember(self, folder: str) -> str | None:
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        above = folder
        while above and above not in self._given:
            above = above.rpartition("/")[0]
        found = self._remembered[folder] = self._given.get(above)
        return found


class _File(NamedTuple):
    name: str
    expression: str | None
    is_unknown: bool
    """It says something of its own, but nothing that is known."""


def combine(found: Sequence[tuple[str, bytes]]) -> FolderLicenses:
    """What licence files (path, text) say of the folders that they lie in.

    Several in one folder: files named by their licence (LICENSE-MIT, LICENSE-APACHE) are a
    choice, and so is one beside a LICENSE if they are what Rust's users choose among; COPYING is
    what COPYING.LESSER adds to; otherwise all hold. Texts in a LICENSES folder hold for the
    folder around it, unless that has a file of its own.
    """
    identified: dict[bytes, Identified] = {}
    folders: dict[str, list[_File]] = {}
    reuse: dict[str, list[str]] = {}
    for path, text in found:
        folder, _, name = path.rpartition("/")
        id_ = _reuse_id(folder, name)
        if id_:
            if id_.lower() not in spdx.known().exceptions:
                reuse.setdefault(folder.rpartition("/")[0], []).append(id_)
            continue
        if text not in identified:
            identified[text] = identify(text)
        file = _File(name, identified[text].expression, len(text) >= _OWN_TEXT_BYTES)
        folders.setdefault(folder, []).append(file)
    given = {folder: spdx.joined("AND", ids) for folder, ids in reuse.items()}
    for folder, files in folders.items():
        expression = _of_folder(files)
        if expression and (expression != UNKNOWN or folder not in given):
            given[folder] = expression
    return FolderLicenses(given)


def _of_folder(files: list[_File]) -> str | None:
    known = [file for file in files if file.expression]
    main = [file for file in known if not _COPYRIGHT.fullmatch(file.name)] or known
    if not main:
        return UNKNOWN if any(file.is_unknown for file in files) else None
    lesser = [file for file in main if _LESSER.match(file.name)]
    if lesser and all(_is_gnu(file.expression) for file in main):
        return _joined("AND", lesser)
    by_kind = [file for file in main if _is_by_kind(file.name)]
    plain = [file for file in main if not _is_by_kind(file.name)]
    if len(by_kind) > 1:
        return _joined("OR", by_kind)  # a plain file beside them repeats the choice
    is_pair = by_kind and plain and {file.expression for file in main} <= _OFTEN_CHOSEN
    return _joined("OR" if is_pair else "AND", main)


def _is_by_kind(name: str) -> bool:
    match = _NAME.fullmatch(name)
    kinds = (name, match["before"], match["after"]) if match else ()
    return any(kind and re.match(_KIND, kind, re.IGNORECASE) for kind in kinds)


def _is_gnu(expression: str | None) -> bool:
    return "GPL-" in (expression or "")


def _joined(operator: str, files: Iterable[_File]) -> str:
    return spdx.joined(operator, (file.expression or "" for file in files))
