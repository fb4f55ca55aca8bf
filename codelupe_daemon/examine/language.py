"""Which language a text is written in: modeline, file name, shebang, extension, then its content.

Names, types and patterns are linguist's (`languages.json`, `heuristics.json`).
"""

from __future__ import annotations

import re
import threading
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import hyperscan
import orjson

from codelupe_daemon.examine.modeline import SIDE_BYTES, may_have_modeline, mode_of

CONTENT_BYTES = 50 << 10
"""How much of a text the patterns see: as much as linguist's."""

_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?env\s+(?:-\S+\s+|\w+=\S*\s+)*(\S+)|#!\s*(\S+)")
_EXEC = re.compile(rb"exec (\w+).+\$0.+\$@")
_EXEC_LINES, _EXEC_BYTES = 5, 200
_PATTERN_FLAGS = (
    hyperscan.HS_FLAG_MULTILINE | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_ALLOWEMPTY
)
_local = threading.local()
_compiling = threading.Lock()


class Tables(NamedTuple):
    """Lower-case extensions with their dot; interpreters as a shebang names them."""

    types: dict[str, str]
    filenames: dict[str, str]
    extensions: dict[str, str]
    interpreters: dict[str, str]
    aliases: dict[str, str]
    """In lower case, the names themselves among them, with their spaces or with hyphens."""
    shared: dict[str, list[Any]]
    """Extensions whose language the content decides: the rules of `heuristics.json`."""


def _load(name: str) -> Any:
    return orjson.loads(resources.files(__package__).joinpath(name).read_bytes())


@cache
def tables() -> Tables:
    """The linguist tables, loaded once."""
    data, heuristics = _load("languages.json"), _load("heuristics.json")
    languages: dict[str, dict[str, Any]] = data["languages"]
    found = Tables({}, {}, {}, {}, {}, {})
    for language, row in languages.items():
        found.types[language] = row["type"]
        found.aliases[language.lower()] = language
        found.aliases[re.sub(r"\s", "-", language.lower())] = language
        for key, table in (
            ("filenames", found.filenames),
            ("extensions", found.extensions),
            ("interpreters", found.interpreters),
            ("aliases", found.aliases),
        ):
            for name in row.get(key, ()):
                table.setdefault(name, language)
    found.extensions.update(data["defaults"])
    # A language that is named like the interpreter goes first: "python" is Python.
    found.interpreters.update(
        (language.lower(), language)
        for language in languages
        if language.lower() in languages[language].get("interpreters", ())
    )
    for entry in (*heuristics["shared"], *heuristics["own"]):
        for extension in entry["extensions"]:
            found.shared.setdefault(extension, []).extend(entry["rules"])
    return found


def is_programming(language: str) -> bool:
    return tables().types.get(language) == "programming"


def by_alias(name: str) -> str | None:
    """The language that a modeline or `.gitattributes` names; of a list, its first."""
    aliases = tables().aliases
    name = name.lower()
    return aliases.get(name) or aliases.get(name.partition(",")[0])


class ByName(NamedTuple):
    """What a file name says. `extension` is set where the content has the last word."""

    language: str | None
    extension: str


def by_name(name: str) -> ByName:
    """The language by the whole name, else by the longest known extension."""
    known = tables()
    if (language := known.filenames.get(name)) is not None:
        return ByName(language, "")
    at = name.find(".")
    while at >= 0:
        extension = name[at:].lower()
        if extension in known.shared:
            return ByName(known.extensions.get(extension), extension)
        if (language := known.extensions.get(extension)) is not None:
            return ByName(language, "")
        at = name.find(".", at + 1)
    return ByName(None, "")


def by_shebang(head: bytes) -> str | None:
    """The language of the interpreter that the first line names."""
    found = _SHEBANG.match(head.partition(b"\n")[0])
    if found is None:
        return None
    name = (found[1] or found[2]).rpartition(b"/")[2]
    if name == b"sh":  # a script that hands itself over: exec tclsh "$0" "$@"
        lines = head.split(b"\n", _EXEC_LINES)[:_EXEC_LINES]
        others = (_EXEC.search(line[:_EXEC_BYTES]) for line in lines)
        name = next((other[1] for other in others if other), name)
    known = tables().interpreters
    interpreter = name.decode("utf-8", "replace")
    return known.get(interpreter) or known.get(re.sub(r"[\d.]+$", "", interpreter))


def decide(named: str | None, extension: str, head: bytes, tail: bytes) -> str | None:
    """The language of a text of which `by_name` said (named, extension).

    To be asked where the name leaves it open, where the text begins with `#!`, and where
    `may_have_modeline`; in all other texts it is `named`. `head` and `tail` begin and end the text.
    """
    if may_have_modeline(head[:SIDE_BYTES], tail[-SIDE_BYTES:]):
        mode = mode_of(head, tail)
        if mode and (language := by_alias(mode)):
            return language
    if head.startswith(b"#!") and (language := by_shebang(head)):
        return language
    if extension:
        return by_content(extension, head)
    if named is None and any(b"<?xml version=" in line for line in head.split(b"\n", 2)[:2]):
        return "XML"
    return named


class _Patterns(NamedTuple):
    """The rules of one extension: (language, [(wanted, pattern ids)]), and their database."""

    rules: list[tuple[str, list[tuple[bool, frozenset[int]]]]]
    database: Any


@cache
def _patterns(extension: str) -> _Patterns:
    expressions: list[bytes] = []
    rules = []
    for language, conditions in tables().shared[extension]:
        held = []
        for wanted, patterns in conditions:
            first = len(expressions)
            expressions += [pattern.encode() for pattern in patterns]
            held.append((wanted, frozenset(range(first, len(expressions)))))
        rules.append((language, held))
    database = hyperscan.Database()
    database.compile(
        expressions=expressions,
        ids=list(range(len(expressions))),
        flags=[_PATTERN_FLAGS] * len(expressions),
    )
    return _Patterns(rules, database)


def _scratch(extension: str, database: Any) -> Any:
    scratches = _local.__dict__.setdefault("scratches", {})
    if extension not in scratches:
        scratches[extension] = hyperscan.Scratch(database)
    return scratches[extension]


def by_content(extension: str, head: bytes) -> str | None:
    """The language of a shared extension by linguist's patterns, else its most usual one."""
    with _compiling:  # a scratch belongs to one database: it must not be compiled twice
        patterns = _patterns(extension)
    hits: set[int] = set()
    patterns.database.scan(
        head,
        match_event_handler=lambda number, *_: hits.add(number),
        scratch=_scratch(extension, patterns.database),
    )
    for language, conditions in patterns.rules:
        if all(wanted != hits.isdisjoint(ids) for wanted, ids in conditions):
            return language
    return tables().extensions.get(extension)
