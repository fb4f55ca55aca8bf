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
    r"(?:(?:apache|mit|bsd|isc|[al]?gpl|mpl|epl|cc0|cc|boost|bsl|zlib|unlicense|ofl|psf|x11)"
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
_REUSE_FOLDER = "LICENSES"


def is_license_file(path: str) -> bool:
    """By its name, or as a text in a LICENSES folder of REUSE. A name alone will do as well."""
    folder, _, name = path.rpartition("/")
    if _reuse_id(folder, name):
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
    is_long: bool


def combine(found: Sequence[tuple[str, bytes]]) -> FolderLicenses:
    """What licence files (path, text) say of the folders that they lie in.

    Several in one folder: files named by their licence (LICENSE-MIT, LICENSE-APACHE) are a
    choice; COPYING beside COPYING.LESSER is what the lesser one adds to; otherwise all hold. Of a
    LICENSES folder, the folder that it lies in has all licences, unless it has a file of its own.
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
        return UNKNOWN if any(file.is_long for file in files) else None
    lesser = [file for file in main if _LESSER.match(file.name)]
    if lesser and all(_is_gnu(file.expression) for file in main):
        return _joined("AND", lesser)
    by_kind = [file for file in main if _kind(file.name)]
    plain = [file for file in main if not _kind(file.name)]
    if len(by_kind) < 2 and not (by_kind and plain):
        return _joined("AND", main)
    choice = _joined("OR", by_kind)
    # A plain file beside them repeats the choice or is one side of it.
    whole = _joined("OR", [*plain, *by_kind])
    is_side = all(_sides(file.expression) <= _sides(whole) for file in plain)
    return whole if is_side else choice


def _kind(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    kind = match and (match["before"] or match["after"])
    return kind if kind and re.match(_KIND, kind, re.IGNORECASE) else None


def _is_gnu(expression: str | None) -> bool:
    return "GPL-" in (expression or "")


def _sides(expression: str | None) -> set[str]:
    tree = spdx.parse(expression or "")
    is_choice = isinstance(tree, spdx.Choice) and tree.operator == "OR"
    return set(map(str, tree.parts if isinstance(tree, spdx.Choice) and is_choice else [tree]))


def _joined(operator: str, files: Iterable[_File]) -> str:
    return spdx.joined(operator, (file.expression or "" for file in files))
