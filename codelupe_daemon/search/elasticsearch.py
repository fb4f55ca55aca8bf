"""Search in Elasticsearch, which knows the words and the places; the journal knows everything else.

The field `content` holds the same terms as the embedded index, and a few more: of `HTTPServer2`
also `httpserver`.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

from codelupe_daemon.elastic import CODE, WATERMARKS, Gone, explained, pages
from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import LiveContent
from codelupe_daemon.search import engine
from codelupe_daemon.search.engine import Engine, Found
from codelupe_daemon.search.query import Filters, Needed, Query

PAGE_ROWS: Final = 10_000
"""The most that an index gives at once as it is set up."""
_CLASS: Final = re.compile(r"\[!?\]?[^\]]*\]")
_TOLERANCE: Final = 0.001
"""The server keeps numbers of 32 bits."""

_Clause = dict[str, Any]


class ElasticsearchEngine(Engine[bytes]):
    """It calls contents by their hashes."""

    def __init__(self, journal: Journal, es: AsyncElasticsearch) -> None:
        super().__init__(journal)
        self._es = es

    async def _look_up(self, query: Query, given: Filters) -> Found[bytes]:
        watermark = await self._watermark()
        keys: list[bytes] = []
        whole: set[bytes] = set()
        asked: dict[str, Any] = {"query": _asked(query, given), "sort": [{"journal_id": "desc"}]}
        asking = pages(self._es, CODE, size=PAGE_ROWS, source=(), track_scores=True, **asked)
        try:
            async with aclosing(asking) as found:
                async for page in found:
                    keys += (bytes.fromhex(hit["_id"]) for hit in page)
                    whole |= {bytes.fromhex(hit["_id"]) for hit in page if hit["_score"]}
                    if len(keys) > engine.CANDIDATES_MAX:
                        break
        except Gone as error:
            raise Fatal(
                f"Elasticsearch has no index {CODE} yet: `codelupe replay elasticsearch` makes it"
            ) from error
        return Found(keys, whole, watermark)

    async def _watermark(self) -> int:
        """What a search sees at least; 0 while the index is filled for the first time."""
        try:
            with explained():
                marker = await self._es.get(index=WATERMARKS, id=CODE)
        except Gone:
            return 0
        return int(marker["_source"]["watermark"])

    async def _live(self, keys: Sequence[bytes]) -> list[tuple[bytes, LiveContent]]:
        rows = await self._journal.live_by_hashes(keys, content=False)
        return [(row.content_hash, row) for row in rows]


def _asked(query: Query, given: Filters) -> _Clause:
    """Matches score 1 where they have the words as they stand, else 0."""
    needed = dict.fromkeys(one for word in query.words for one in word.needed)
    filters = [clause for one in (query.filters, given) for clause in _filtered(one)]
    terms, whole = ([_alternatives(one, whole=whole) for one in needed] for whole in (False, True))
    as_they_stand = {"constant_score": {"filter": {"bool": {"filter": whole}}}}
    return {"bool": {"filter": [*terms, *filters], "should": [as_they_stand]}}


def _alternatives(needed: Needed, *, whole: bool) -> _Clause:
    """With `whole` the parts count only where they are the whole word."""
    either = [_term("content", _folded(term)) for term in needed.wholes]
    if needed.parts and not (whole and either):
        every = [_term("content", _folded(term)) for term in needed.parts]
        either.append({"bool": {"filter": every}})
    return _any(either)


def _folded(term: str) -> str:
    """As the server folds: every letter that has a small one, each by itself."""
    return "".join(char.lower()[0] for char in term)


def _filtered(filters: Filters) -> list[_Clause]:
    """Lets through whatever `filters` accepts, and perhaps more: they are asked again."""
    low, high = filters.min_quality - _TOLERANCE, filters.max_quality + _TOLERANCE
    several = (
        [_term("language.folded", name) for name in filters.languages],
        [clause for name in filters.repos for clause in _repo(name)],
        [clause for name in filters.paths for clause in _path(name)],
    )
    quality = {"range": {"quality_score": {"gt": low, "lt": high}}}
    return [quality, *(_any(clauses) for clauses in several if clauses)]


def _repo(name: str) -> list[_Clause]:
    return [_term("repo", name), _glob("repo", name), _glob("repo", "*/" + glob.escape(name))]


def _path(name: str) -> list[_Clause]:
    return [_term("file_path.tree", name.rstrip("/")), _glob("file_path", name)]


def _glob(field: str, pattern: str) -> _Clause:
    """Classes of characters become any character; the backslash is none that escapes."""
    wildcard = _CLASS.sub("?", pattern.replace("\\", "\\\\"))
    return {"wildcard": {field: {"value": wildcard}}}


def _term(field: str, value: str) -> _Clause:
    return {"term": {field: value}}


def _any(clauses: list[_Clause]) -> _Clause:
    return {"bool": {"should": clauses, "minimum_should_match": 1}}
