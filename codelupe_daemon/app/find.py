"""Searching: a query in, the JSON shape of `codelupe search` out."""

from __future__ import annotations

import re
from typing import Any

from codelupe_daemon.app.stores import engine, engine_name, journal
from codelupe_daemon.config import Settings


async def search(
    settings: Settings,
    query: str,
    language: str | None,
    repo: str | None,
    path: str | None,
    min_quality: float | None,
    limit: int,
) -> tuple[dict[str, Any], list[str]]:
    """The results, and the words to highlight in them. Raises `UsageError` and `Fatal`."""
    async with journal(settings, to_look=True) as store, engine(settings, store) as index:
        results = await index.search(
            query, language=language, repo=repo, path=path,
            min_quality=min_quality or 0.0, limit=limit,
        )  # fmt: skip
    hits = [
        hit._asdict() | {"lines": [{"line": line.number, "text": line.text} for line in hit.lines]}
        for hit in results.hits
    ]
    found = {
        "query": results.query,
        "total": results.total,
        "total_is_exact": results.is_total_exact,
        "watermark": results.watermark,
        "engine": engine_name(settings),
        "hits": hits,
    }
    return found, re.findall(r"\w+", re.sub(r"\b[a-z]+:\S+", "", query))
