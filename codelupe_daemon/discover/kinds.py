"""Repositories that teach, show or collect instead of being used: told by what they say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_CAMEL: Final = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LISTING: Final = re.compile(r"\b(lists?|resources|collection|curated|links)\b", re.IGNORECASE)
_MAX_CHARS: Final = 350
"""Of a description, as GitHub has it."""


class RepositoryReason(StrEnum):
    """Why a discovered repository is not taken."""

    ARCHIVED = "archived"
    FORK = "fork"
    EMPTY = "empty"
    TUTORIAL = "tutorial"
    DEMO = "demo"
    EXERCISE = "exercise"
    LIST = "list"
    DOTFILES = "dotfiles"
    FEW_STARS = "few stars"
    FEW_FORKS = "few forks"
    INACTIVE = "inactive"
    OTHER_LANGUAGE = "other language"
    NO_LICENSE = "no license"
    LOW_SCORE = "low score"


class _Kind(NamedTuple):
    name: re.Pattern[str]
    topics: frozenset[str]
    begins: re.Pattern[str]


class _Kinds(NamedTuple):
    """What `kinds.toml` holds."""

    tool: re.Pattern[str]
    tools: frozenset[str]
    kinds: dict[RepositoryReason, _Kind]


def kinds(
    name: str, description: str | None, topics: Collection[str], *, has_code: bool
) -> Iterator[tuple[RepositoryReason, str]]:
    """The kinds that a repository is of, and the words that say so.

    `has_code`: somebody who counted its languages found one.
    """
    known, words = _kinds(), _words(name)
    text = (description or "").strip()[:_MAX_CHARS]
    own_topics = {topic.lower() for topic in topics}
    is_tool = known.tool.search(words) is not None or not own_topics.isdisjoint(known.tools)
    is_listing = not has_code or _LISTING.search(text) is not None
    if words.startswith("awesome-") and is_listing and not is_tool:
        yield RepositoryReason.LIST, "awesome"
    for reason, kind in known.kinds.items():
        if not is_tool and (found := kind.name.search(words)):
            yield reason, found[0].strip("-")
        if not is_tool and (telling := own_topics & kind.topics):
            yield reason, min(telling)
        if found := kind.begins.match(text):
            yield reason, found[0]


@cache
def _kinds() -> _Kinds:
    data = tomllib.loads(files(__package__).joinpath("kinds.toml").read_text(encoding="utf-8"))
    opening = data["opening"]
    told = {reason: data[reason] for reason in RepositoryReason if reason in data}
    return _Kinds(
        re.compile(data["tool"]),
        frozenset(data["tools"]),
        {
            reason: _Kind(
                re.compile("|".join(kind["name"]) or "$^"),
                frozenset(kind["topics"]),
                re.compile(f"{opening}(?:{'|'.join(kind['begins'])})", re.IGNORECASE),
            )
            for reason, kind in told.items()
        },
    )


def _words(name: str) -> str:
    """`learnXinYMinutes` and `learn_x.in-y` as lower-case words with hyphens between."""
    return re.sub(r"[\W_]+", "-", _CAMEL.sub("-", name)).strip("-").lower()
