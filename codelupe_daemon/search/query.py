r"""The query language, and how a query is held against a text.

    read_file "def open(" language:python repo:psf/* path:src/* quality:>=0.8

Every word and phrase must be in the text, in any order. A word matches an identifier or
consecutive parts of one, whatever their case and underscores: `readFile`, `read_file`, `read` and
`file` all find `READ_FILE`. A "phrase", and any other text with punctuation in it, is literal but
for its case; it begins and ends where words or their parts do. `\"` is a quote inside a phrase.
A qualifier given several times means any of its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from codelupe_daemon.errors import UsageError
from codelupe_daemon.syntax.identifiers import WORD, fold, is_border, parts, split

QUERY_MAX_CHARS = 1000
QUALIFIERS = ("language", "repo", "path", "quality")

_PHRASE = r'"((?:[^"\\]|\\.)*)"'
_ITEM = re.compile(rf'(?:([A-Za-z]+):(?={_PHRASE[0]}|[^\s:]))?(?:{_PHRASE}(?=\s|$)|([^\s"]+))')
_BOUND = re.compile(r"(>=|<=|>|<|=)?(1(?:\.0*)?|0?\.\d+|0)")
_STEP = 0.001  # of the score


@dataclass(frozen=True, slots=True)
class Needed:
    """The index terms of a word: a text that matches has `whole`, or every one of `parts`."""

    wholes: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a phrase of the query."""

    needed: tuple[Needed, ...]
    is_exact: bool
    """Whether a text that has the terms always matches."""
    pattern: re.Pattern[str]
    """What a match looks like in folded text."""

    def find(self, text: str, folded: str) -> Iterator[re.Match[str]]:
        """The matches in a text, of which `folded` is the folded form (equally long)."""
        for match in self.pattern.finditer(folded):
            if is_border(text, match.start()) and is_border(text, match.end()):
                yield match


@dataclass(frozen=True, slots=True)
class Filters:
    """What place and verdict must be; nothing given lets everything through.

    A repository is named in full, by the end of its name after a slash, or by a glob; a path in
    full, by a folder above it, or by a glob whose `*` crosses slashes. Quality is 0..1.
    """

    languages: Sequence[str] = ()
    repos: Sequence[str] = ()
    paths: Sequence[str] = ()
    min_quality: float = 0.0
    max_quality: float = 1.0

    def accept(self, language: str, repo: str, path: str, quality: float) -> bool:
        tolerance = _STEP / 10  # a quotient of decimals is not the decimal
        return (
            self.min_quality - tolerance < quality < self.max_quality + tolerance
            and (not self.languages or language.lower() in map(str.lower, self.languages))
            and (not self.repos or any(_is_repo(repo, name) for name in self.repos))
            and (not self.paths or any(_is_path(path, name) for name in self.paths))
        )


def _is_repo(repo: str, name: str) -> bool:
    return repo == name or repo.endswith(f"/{name}") or fnmatchcase(repo, name)


def _is_path(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name.rstrip('/')}/") or fnmatchcase(path, name)


@dataclass(frozen=True, slots=True)
class Query:
    """A query taken apart."""

    text: str
    words: tuple[Word, ...]
    filters: Filters


def parse(text: str) -> Query:
    """Take a query apart. Raises `UsageError`, which says how to write it instead."""
    if len(text) > QUERY_MAX_CHARS:
        raise UsageError(f"the query is longer than {QUERY_MAX_CHARS} characters: shorten it")
    words: list[Word] = []
    values: dict[str, list[str]] = {name: [] for name in QUALIFIERS}
    for name, phrase, plain in _items(text.strip()):
        value = re.sub(r"\\(.)", r"\1", phrase) if phrase is not None else plain
        if name and name.lower() in values:
            values[name.lower()].append(value)
            continue
        if name and phrase is None:
            _refuse_misspelt(name, value)
        literal = f"{name}:{value}" if name else value
        words.append(_word(literal, is_phrase=phrase is not None))
    _refuse_wordless(words)
    low, high = _quality(values["quality"])
    filters = Filters(values["language"], values["repo"], values["path"], low, high)
    return Query(text, tuple(words), filters)


def _items(text: str) -> Iterator[tuple[str | None, str | None, str]]:
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None:
            raise UsageError(
                f"a quotation mark stands alone in {text[at:]!r}: close it and leave a space "
                'behind it, or write \\" inside a phrase'
            )
        yield match[1], match[2], match[3]
        at = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())


def _refuse_misspelt(name: str, value: str) -> None:
    starts = [known for known in QUALIFIERS if len(name) > 1 and known.startswith(name.lower())]
    for meant in starts or get_close_matches(name.lower(), QUALIFIERS, 1, 0.75):
        raise UsageError(
            f"there is no {name}: but {meant}:{value}; "
            f'to look for the text itself, quote it: "{name}:{value}"'
        )


def _refuse_wordless(words: list[Word]) -> None:
    if not any(word.needed for word in words):
        raise UsageError(
            "the query needs at least one word of two letters or digits to look for; "
            f"{', '.join(f'{name}:' for name in QUALIFIERS)} only narrow it down"
        )


def _word(literal: str, *, is_phrase: bool) -> Word:
    needed = tuple(found for word in WORD.findall(literal) if (found := _needed(word)))
    if is_phrase or not WORD.fullmatch(literal):
        return Word(needed, False, re.compile(re.escape(fold(literal))))
    pieces = parts(literal) or [literal]
    pattern = re.compile("_*".join(map(re.escape, pieces)))
    return Word(needed, len(pieces) == 1 and pieces[0] in split(literal), pattern)


def _needed(word: str) -> Needed | None:
    """None where no term of the word is in the index."""
    terms, pieces = split(word), parts(word)
    found = tuple(piece for piece in dict.fromkeys(pieces) if piece in terms)
    if len(pieces) > 1:  # as camelCase and as snake_case: of `x_y` nothing else is indexed
        terms = [*terms, *split("".join(pieces))[:1], *split("_".join(pieces))[:1]]
    wholes = tuple(sorted(term for term in set(terms) if term not in pieces))
    return Needed(wholes, found) if wholes or found else None


def _quality(bounds: list[str]) -> tuple[float, float]:
    low, high = 0.0, 1.0
    for bound in bounds:
        match = _BOUND.fullmatch(bound)
        if match is None:
            raise UsageError(f"quality:{bound} is no bound from 0 to 1: write quality:>=0.8")
        sign, value = match[1] or ">=", float(match[2])
        if sign in (">=", ">", "="):
            low = max(low, value + _STEP * (sign == ">"))
        if sign in ("<=", "<", "="):
            high = min(high, value - _STEP * (sign == "<"))
    return low, high
