"""What a path alone decides, remembered for each folder and each file name."""

from __future__ import annotations

import re
from collections.abc import Container
from functools import cache
from typing import Final, NamedTuple

from codelupe_daemon.examine.attributes import NOTHING, Attribute
from codelupe_daemon.examine.language import by_name, is_programming, tables
from codelupe_daemon.examine.rules import PATH_RULES
from codelupe_daemon.model import PathVerdict, Reason

_REMEMBERED = 10_000
_TEXT = "text:"
_NAMES = frozenset().union(*(rule.names for rule in PATH_RULES))
_ENDINGS = tuple(ending for rule in PATH_RULES for ending in rule.endings)
_PATTERN = re.compile("|".join(rule.pattern.pattern for rule in PATH_RULES if rule.pattern))
_FOLDERS = frozenset(
    folder.rpartition("/")[2] for rule in PATH_RULES for folder in rule.folders | rule.top_folders
)
"""The last part of every folder that a rule names."""
_FOLDER_PATTERN = re.compile(
    "|".join(rule.folder_pattern.pattern for rule in PATH_RULES if rule.folder_pattern)
)
_OF_ATTRIBUTE: Final = {
    "vendored": Reason.VENDORED,
    "generated": Reason.GENERATED,
    "documentation": Reason.DOCUMENTATION,
}
_GIVEN, _DENIED = "=", "|-"
"""In a path class: before a language that an attribute gave, before a reason that one denies."""


class PathJudge:
    """`languages`: linguist's names in any case; empty: every programming language."""

    def __init__(self, languages: frozenset[str]) -> None:
        self._languages = frozenset(name.casefold() for name in languages)
        self._folders: dict[str, Reason | None] = {}
        self._names: dict[str, PathVerdict] = {}
        self._wanted: dict[tuple[str | None, str], bool] = {}

    def __call__(self, path: str) -> PathVerdict:
        folder, _, name = path.rpartition("/")
        named = self._names.get(name) or self._remember_name(name)
        try:
            reason = self._folders[folder]
        except KeyError:
            reason = self._remember_folder(folder)
        if reason is None:
            return named
        return _verdict(reason, named.language, "")

    def under(self, path: str, attribute: Attribute) -> PathVerdict:
        """The same where attributes say something about the file."""
        if attribute == NOTHING:
            return self(path)
        for name, reason in _OF_ATTRIBUTE.items():
            if getattr(attribute, name):
                return _verdict(reason, attribute.language or by_name(_name(path)).language, "")
        denied = tuple(name for name in _OF_ATTRIBUTE if getattr(attribute, name) is False)
        return self._judge(path, attribute.language, denied)

    def is_wanted(self, language: str | None) -> bool:
        """Whether texts in this language are accepted."""
        if language is None:
            return False
        if self._languages:
            return language.casefold() in self._languages
        return is_programming(language)

    def _remember_folder(self, folder: str) -> Reason | None:
        if len(self._folders) >= _REMEMBERED:
            self._folders.clear()
        reason = self._folders[folder] = _folder_reason(folder.lower(), ())
        return reason

    def _remember_name(self, name: str) -> PathVerdict:
        if len(self._names) >= _REMEMBERED:
            self._names.clear()
        language, extension = by_name(name)
        reason = name_reason(name.lower())
        if reason is None and not self._may_be_wanted(language, extension):
            reason = Reason.NOT_CODE
        verdict = self._names[name] = _verdict(reason, language, extension or language or "")
        return verdict

    def _judge(self, path: str, given: str | None, denied: tuple[str, ...]) -> PathVerdict:
        """`given`: the language that an attribute names. `denied`: what attributes deny."""
        folder, _, name = path.rpartition("/")
        language, extension = (given, "") if given else by_name(name)
        reasons = {_OF_ATTRIBUTE[name] for name in denied}
        reason = _folder_reason(folder.lower(), reasons) or name_reason(name.lower(), reasons)
        if reason is None and not self._may_be_wanted(language, extension):
            reason = Reason.NOT_CODE
        shown = f"{_GIVEN}{given}" if given else extension or language or ""
        return _verdict(reason, language, "".join([shown, *(_DENIED + name for name in denied)]))

    def _may_be_wanted(self, language: str | None, extension: str) -> bool:
        known = self._wanted.get((language, extension))
        if known is None:
            shared = tables().shared[extension] if extension else []
            candidates = [language, *(rule[0] for rule in shared)]
            known = candidates == [None] or any(map(self.is_wanted, candidates))
            self._wanted[language, extension] = known
        return known


@cache
def _verdict(reason: Reason | None, language: str | None, shown: str) -> PathVerdict:
    """Files that the path does not tell apart share one verdict."""
    if reason is not None:
        return PathVerdict(f"{reason}:{language or ''}", language, reason)
    return PathVerdict(_TEXT + shown, language, None)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folder_reason(folder: str, denied: Container[Reason]) -> Reason | None:
    if _FOLDERS.isdisjoint(folder.split("/")) and not _FOLDER_PATTERN.search(folder):
        return None  # most folders
    rules = (rule for rule in PATH_RULES if rule.reason not in denied)
    return next((rule.reason for rule in rules if rule.holds_folder(folder)), None)


def name_reason(name: str, denied: Container[Reason] = ()) -> Reason | None:
    """The first rule that holds for a file name in lower case."""
    if name not in _NAMES and not name.endswith(_ENDINGS) and not _PATTERN.match(name):
        return None  # most names
    rules = (rule for rule in PATH_RULES if rule.reason not in denied)
    return next((rule.reason for rule in rules if rule.holds_name(name)), None)


class PathClass(NamedTuple):
    """What a `path_class` of a text that must be read says."""

    extension: str
    """The extension whose language the content decides; empty for none."""
    attribute: Attribute


def read_class(path_class: str) -> PathClass:
    """The class taken apart."""
    shown, *denied = path_class.removeprefix(_TEXT).split(_DENIED)
    given = shown.removeprefix(_GIVEN) if shown.startswith(_GIVEN) else None
    attribute = Attribute(given, **dict.fromkeys(denied, False))
    return PathClass(shown if shown.startswith(".") else "", attribute)
