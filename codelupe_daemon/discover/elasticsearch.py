"""Repositories that a crawler, or this program itself, put into an index of Elasticsearch."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, NamedTuple

from elasticsearch import AsyncElasticsearch

from codelupe_daemon import spdx
from codelupe_daemon.discover.named import repo_at
from codelupe_daemon.discover.score import Filter, RepositoryFacts, judge
from codelupe_daemon.elastic import pages
from codelupe_daemon.errors import Rejected, UsageError
from codelupe_daemon.model import Repo, Standing

PAGE_ROWS = 1000
_URLS = ("clone_url", "html_url", "url", "git_url", "ssh_url", "location")
_FACTS = (
    "full_name", "description", "topics", "language", "license", "stars", "stargazers_count",
    "forks", "forks_count", "pushed_at", "created_at", "size", "archived", "fork", "is_template",
)  # fmt: skip
_ON_GITHUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+", re.ASCII)
_ON_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?/", re.ASCII)
_URL = re.compile(r"\w+://|[\w.-]+@[\w.-]+:|/")
_API = re.compile(r"https?://api\.")
_SHOWN_CHARS = 200
_MAX = 1 << 63
_MILLISECONDS_FROM = 1 << 36  # as seconds: the year 4147


class Refused(NamedTuple):
    """A document that gives no repository, and why."""

    document: str
    reason: str


async def repositories(
    es: AsyncElasticsearch, index: str, filter_: Filter | None = None
) -> AsyncGenerator[Repo | Refused, None]:
    """What every document of an index or alias names, once for each document.

    With a filter, what a crawler would not take is refused. Take them as they come: after some
    minutes in which none is taken the rest is lost. Raises `Rejected` where there is no such
    index, `Transient` and `Fatal` as `codelupe_daemon.elastic` says.
    """
    now = int(datetime.now(UTC).timestamp())
    async with aclosing(pages(es, index, size=PAGE_ROWS, source=[*_URLS, *_FACTS])) as found:
        async for page in found:
            for hit in page:
                yield _adopted(hit["_id"], hit.get("_source") or {}, filter_, now)


def _adopted(
    document_id: str, document: Mapping[str, Any], filter_: Filter | None, now: int
) -> Repo | Refused:
    try:
        return repository_of(document, filter_, now)
    except (Rejected, UsageError) as error:
        return Refused(_shown(document.get("full_name") or document_id), _shown(error))


def repository_of(document: Mapping[str, Any], filter_: Filter | None = None, now: int = 0) -> Repo:
    """What a document names, whatever fields it has. Raises `Rejected` and `UsageError`."""
    named = repo_at(_location(document))
    if named.is_local or named.location.startswith("file:"):
        raise Rejected("is a folder of the machine that it was found on")
    facts = _facts(named.full_name, document)
    if filter_ is not None:
        verdict = judge(facts, filter_, now)
        if verdict.reason is not None:
            measured = "" if verdict.measured is None else f" ({verdict.measured})"
            raise Rejected(f"{verdict.reason}{measured}")
    standing = Standing(facts.license, facts.stars, facts.forks, facts.pushed_at)
    return Repo(named.full_name, named.location, standing)


def _location(document: Mapping[str, Any]) -> str:
    for field in _URLS:
        url = _text(document.get(field)) or ""
        if _URL.match(url) and not _API.match(url):
            return url
    name = _text(document.get("full_name")) or ""
    if _ON_GITHUB.fullmatch(name):
        return f"https://github.com/{name}"
    if _ON_HOST.match(name):
        return f"https://{name}"
    if name.startswith("/"):
        return name
    raise Rejected("names no repository: it has no full_name, clone_url or html_url")


def _facts(full_name: str, document: Mapping[str, Any]) -> RepositoryFacts:
    topics = document.get("topics")
    return RepositoryFacts(
        full_name,
        description=_text(document.get("description")),
        topics=tuple(filter(None, map(_text, topics))) if isinstance(topics, list) else (),
        language=_text(document.get("language")),
        license=_license(document.get("license")),
        stars=_count(document, "stars", "stargazers_count"),
        forks=_count(document, "forks", "forks_count"),
        pushed_at=_time(document.get("pushed_at")),
        created_at=_time(document.get("created_at")),
        size_kb=_count(document, "size"),
        is_archived=document.get("archived") is True,
        is_fork=document.get("fork") is True,
        is_template=document.get("is_template") is True,
    )


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _count(document: Mapping[str, Any], *fields: str) -> int | None:
    """Of the first of the fields that holds one."""
    for field in fields:
        value = document.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX:
            return int(value)
    return None


def _license(value: object) -> str | None:
    """As an SPDX expression; NOASSERTION for what is none."""
    keys = ("spdx_id", "key", "name")
    said = [value.get(key) for key in keys] if isinstance(value, Mapping) else [value]
    texts = [text for text in map(_text, said) if text and text.lower() != "none"]
    known = [expression for text in texts if (expression := spdx.normalise(text))]
    return (known or ["NOASSERTION"])[0] if texts else None


def _time(value: object) -> int | None:
    """Seconds since 1970 of an ISO date, of seconds or of milliseconds."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        value = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    seconds = _count({"at": value}, "at")
    return seconds // 1000 if seconds is not None and seconds >= _MILLISECONDS_FROM else seconds


def _shown(name: object) -> str:
    """For a person's terminal, whatever the index holds."""
    text = str(name)[:_SHOWN_CHARS]
    return text if text.isprintable() else ascii(text)
