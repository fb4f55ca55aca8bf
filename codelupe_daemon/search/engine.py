"""What every engine does: an index says which contents may match, the journal's texts decide.

What matches best comes first: a word of the query in the file's name (as all of it: 2, else in
the path: 1), a line that seems to define it (the whole identifier: 3, a part: 1), summed over the
words, and 1 where every word is an identifier as it stands; then quality, then the names of
repository and path. Where there are more matches than are read, the best by all but definitions
are read.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import Generic, NamedTuple, TypeVar

from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import LiveContent, by_chars
from codelupe_daemon.search.query import Filters, Query, parse
from codelupe_daemon.syntax.identifiers import fold, parts

Key = TypeVar("Key", int, bytes)

CANDIDATES_MAX = 50_000
"""Contents with all the words that are looked at, newest first; `total` counts no others."""
VERIFIED_TEXTS = 2_000
"""Texts that are read to verify phrases and identifiers of several parts, best first."""
RANKED_TEXTS = 200
LINES_MAX = 5
LINE_MAX_CHARS = 200
_PLACES_PER_READ = 1000
_CHARS_PER_READ = 4 << 20
_TEXTS_PER_READ = 100
_MATCHES_PER_TEXT = 1000
_LINE_END = re.compile(r"\r\n|\r|\n")
_DEFINING = re.compile(
    r"(?:^|[\s(])(?:def|class|fn|func|fun|function|sub|proc|defp|defmodule|struct|enum|union|trait"
    r"|interface|type|typedef|module|namespace|package|object|record|protocol|macro_rules!|macro"
    r"|const|let|var|val|static|#\s*define)\s+(?:\([^()]*\)\s*)?(?:[\w.]+(?:\.|::))?[*&$@]?$"
)


class Line(NamedTuple):
    """A line of a hit; `number` counts from 1."""

    number: int
    text: str


class Hit(NamedTuple):
    """A content that matches, at its best place. `id` is its hash, `quality` is 0..1."""

    id: str
    repo: str
    path: str
    language: str
    quality: float
    lines: list[Line]


class Results(NamedTuple):
    """`total` is how many contents match; a lower bound where not `is_total_exact`."""

    query: str
    total: int
    hits: list[Hit]
    is_total_exact: bool
    watermark: int


class _Candidate(NamedTuple):
    """Sorts best first: what must be high is negative."""

    minus_score: int
    minus_quality: float
    repo: str
    path: str
    id: int
    chars: int


class Found(NamedTuple, Generic[Key]):
    """What an index knows: contents with all the words, newest first, at most CANDIDATES_MAX + 1.

    `whole`: those that have the words as they stand. `watermark`: of the index.
    """

    keys: list[Key]
    whole: set[Key]
    watermark: int


class Engine(ABC, Generic[Key]):
    """Search in one index; `Key` is what it calls a content by."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @abstractmethod
    async def _look_up(self, query: Query, given: Filters) -> Found[Key]:
        """May leave out what the filters refuse, to make room for others.

        Raises `Fatal` without an index, `Transient` where it cannot be reached.
        """

    @abstractmethod
    async def _live(self, keys: Sequence[Key]) -> list[tuple[Key, LiveContent]]:
        """Those that are live, without their texts."""

    async def search(
        self,
        query: str,
        *,
        language: str | None = None,
        repo: str | None = None,
        path: str | None = None,
        min_quality: float = 0.0,
        limit: int = 20,
    ) -> Results:
        """The best `limit` matches; the options narrow down what the query says itself.

        Raises `UsageError` for a bad query, `Fatal` without an index.
        """
        parsed = parse(query)
        languages, repos, paths = ([value] if value else [] for value in (language, repo, path))
        given = Filters(languages, repos, paths, min_quality)
        found = await self._look_up(parsed, given)
        ranked = await self._rank(parsed, given, found)
        needs_text = not all(word.is_exact for word in parsed.words)
        read = ranked[: VERIFIED_TEXTS if needs_text else max(RANKED_TEXTS, limit)]
        matches = sorted([match async for match in self._verify(parsed, read)])
        total = len(matches) if needs_text else len(ranked)
        is_exact = len(found.keys) <= CANDIDATES_MAX
        is_exact = is_exact and not (needs_text and len(ranked) > len(read))
        return Results(query, total, [hit for _, hit in matches[:limit]], is_exact, found.watermark)

    async def _rank(self, query: Query, given: Filters, found: Found[Key]) -> list[_Candidate]:
        """The live contents that pass the filters, ranked by name and quality."""
        ranked: list[_Candidate] = []
        keys = found.keys[:CANDIDATES_MAX]
        for at in range(0, len(keys), _PLACES_PER_READ):
            for key, row in await self._live(keys[at : at + _PLACES_PER_READ]):
                facts = (row.language, row.place.repo, row.place.path, row.quality / 100)
                if query.filters.accept(*facts) and given.accept(*facts):
                    score = _name_score(query, row.place.path) + (key in found.whole)
                    ranked.append(_candidate(row, score))
        return sorted(ranked)

    async def _verify(
        self, query: Query, ranked: Sequence[_Candidate]
    ) -> AsyncIterator[tuple[_Candidate, Hit]]:
        """Read the texts, and keep those that match."""
        for page in by_chars(ranked, _chars_of, _CHARS_PER_READ, _TEXTS_PER_READ):
            ids = [candidate.id for candidate in page]
            scores = {candidate.id: -candidate.minus_score for candidate in page}
            for row in await self._journal.live_by_id(ids, content=True):
                match = await asyncio.to_thread(_match, query, row, scores[row.id])
                if match is not None:
                    yield match


def _candidate(row: LiveContent, score: int) -> _Candidate:
    place = row.place
    return _Candidate(-score, -row.quality, place.repo, place.path, row.id, row.content_chars)


def _name_score(query: Query, path: str) -> int:
    folded = fold(path)
    stem = "".join(parts(PurePosixPath(path).stem) or [""])
    return sum(
        2 if word.pattern.fullmatch(stem) else any(word.find(path, folded)) for word in query.words
    )


def _chars_of(candidate: _Candidate) -> int:
    return candidate.chars


def _match(query: Query, row: LiveContent, score: int) -> tuple[_Candidate, Hit] | None:
    text = row.content or ""
    folded = fold(text)
    found: dict[int, int] = {}  # where -> how much it looks like a definition
    for word in query.words:
        matches = list(islice(word.find(text, folded), _MATCHES_PER_TEXT))
        if not matches:
            return None
        strengths = {match.start(): _definition(text, match) for match in matches}
        score += max(strengths.values())
        found |= strengths
    hit = Hit(
        row.content_hash.hex(), row.place.repo, row.place.path, row.language,
        round(row.quality / 100, 3), _lines(text, found),
    )  # fmt: skip
    return _candidate(row, score), hit


def _definition(text: str, match: re.Match[str]) -> int:
    """3 where the line seems to define the very identifier, 1 where a longer one, else 0."""
    begin = max(text.rfind("\n", 0, match.start()), text.rfind("\r", 0, match.start())) + 1
    begin = max(begin, match.start() - LINE_MAX_CHARS)
    if not _DEFINING.search(text[begin : match.start()]):
        return 0
    after = text[match.end() : match.end() + 1]
    return 1 if after == "_" or after.isalnum() else 3


def _lines(text: str, found: dict[int, int]) -> list[Line]:
    """The lines of the matches, definitions before others where there are too many."""
    starts = [0, *(end.end() for end in _LINE_END.finditer(text))]
    chosen: dict[int, Line] = {}
    for at in sorted(found, key=lambda at: (-found[at], at)):
        number = bisect_right(starts, at)
        if number not in chosen and len(chosen) < LINES_MAX:
            begin = starts[number - 1]
            end = starts[number] if number < len(starts) else len(text)
            cut = begin if at - begin < LINE_MAX_CHARS // 2 else at - LINE_MAX_CHARS // 2
            shown = text[cut : min(end, cut + LINE_MAX_CHARS)].rstrip("\r\n")
            chosen[number] = Line(number, shown)
    return [chosen[number] for number in sorted(chosen)]
