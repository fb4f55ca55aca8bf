"""What a path alone decides, remembered for each folder and each file name."""

from __future__ import annotations

import re
from functools import cache

from codelupe_daemon.examine.language import by_name, is_programming, tables
from codelupe_daemon.examine.rules import PATH_RULES
from codelupe_daemon.model import PathVerdict, Reason

_REMEMBERED = 10_000
_TEXT = "text:"
_NAMES = frozenset().union(*(rule.names for rule in PATH_RULES))
_ENDINGS = tuple(ending for rule in PATH_RULES for ending in rule.endings)
_PATTERN = re.compile("|".join(rule.pattern.pattern for rule in PATH_RULES if rule.pattern))


class PathJudge:
    """`languages`: linguist's names in any case; empty: every programming language."""

    def __init__(self, languages: frozenset[str]) -> None:
        self._languages = frozenset(name.casefold() for name in languages)
        self._folders: dict[str, Reason | None] = {}
        self._names: dict[str, PathVerdict] = {}

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
        lower = folder.lower()
        reason = next((rule.reason for rule in PATH_RULES if rule.holds_folder(lower)), None)
        self._folders[folder] = reason
        return reason

    def _remember_name(self, name: str) -> PathVerdict:
        if len(self._names) >= _REMEMBERED:
            self._names.clear()
        verdict = self._names[name] = self._judge_name(name)
        return verdict

    def _judge_name(self, name: str) -> PathVerdict:
        language, extension = by_name(name)
        reason = name_reason(name.lower())
        if reason is None and not self._may_be_wanted(language, extension):
            reason = Reason.NOT_CODE
        return _verdict(reason, language, extension)

    def _may_be_wanted(self, language: str | None, extension: str) -> bool:
        if extension:
            candidates = {rule[0] for rule in tables().shared[extension]} | {language}
            return any(map(self.is_wanted, candidates))
        return language is None or self.is_wanted(language)


@cache
def _verdict(reason: Reason | None, language: str | None, extension: str) -> PathVerdict:
    """Files that the path does not tell apart share one verdict."""
    if reason is not None:
        return PathVerdict(f"{reason}:{language or ''}", language, reason)
    return PathVerdict(f"{_TEXT}{extension or language or ''}", language, None)


def name_reason(name: str) -> Reason | None:
    """The first rule that holds for a file name in lower case."""
    if name not in _NAMES and not name.endswith(_ENDINGS) and not _PATTERN.match(name):
        return None  # most names
    return next(rule.reason for rule in PATH_RULES if rule.holds_name(name))


def shared_extension(path_class: str) -> str:
    """The extension whose language the content decides; empty for none."""
    rest = path_class.removeprefix(_TEXT)
    return rest if rest.startswith(".") else ""
