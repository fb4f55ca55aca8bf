"""SPDX licence expressions: read, written in one way, and weighed."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

PERMISSIVE, OTHER, NONE = range(3)
"""What `license_class` answers: the lower, the more may be done with the text."""

_REMEMBERED = 4096
_MAX_CHARS = 1000
_MAX_DEPTH = 20
_TOKEN = re.compile(r"\s*([()]|[\w.:+-]+)")
_REFERENCE = re.compile(r"(?:DocumentRef-[\w.-]+:)?LicenseRef-[\w.-]+")
_SLASHES = re.compile(r"\s*/\s*")


class Known(NamedTuple):
    """The SPDX list: ids and their names in lower case."""

    licenses: dict[str, str]
    exceptions: dict[str, str]
    permissive: frozenset[str]
    renamed: dict[str, str]
    """Deprecated ids in lower case, and the expressions that replace them."""


class License(NamedTuple):
    """One licence, perhaps with an exception."""

    id: str
    exception: str | None = None

    def __str__(self) -> str:
        return f"{self.id} WITH {self.exception}" if self.exception else self.id


class Choice(NamedTuple):
    """Parts of which one is enough (OR), or all hold together (AND)."""

    operator: str
    parts: tuple[License | Choice, ...]

    def __str__(self) -> str:
        return f" {self.operator} ".join(
            f"({part})" if isinstance(part, Choice) else str(part) for part in self.parts
        )


Expression = License | Choice


@cache
def known() -> Known:
    data = json.loads(files(__package__).joinpath("spdx.json").read_text(encoding="utf-8"))
    ids = [*data["permissive"], *data["other"]]
    return Known(
        {name.lower(): name for name in ids},
        {name.lower(): name for name in data["exceptions"]},
        frozenset(data["permissive"]),
        {name.lower(): instead for name, instead in data["renamed"].items()},
    )


@lru_cache(_REMEMBERED)
def parse(text: str) -> Expression:
    """The expression, its ids as SPDX writes them today. ValueError: it is none.

    `/` between ids is OR, as old crates have it.
    """
    if len(text) > _MAX_CHARS:
        raise ValueError("too long for a licence expression")
    text = _SLASHES.sub(" OR ", text.strip())
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()):
        raise ValueError(f"not a licence expression: {text}")
    return _Reader(iter([*tokens, ""])).whole()


class _Reader:
    def __init__(self, tokens: Iterator[str]) -> None:
        self._tokens = tokens
        self._token = next(tokens)
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._choice("OR")
        if self._token:
            raise ValueError(f"not expected in a licence expression: {self._token}")
        return expression

    def _take(self) -> str:
        token, self._token = self._token, next(self._tokens, "")
        return token

    def _choice(self, operator: str) -> Expression:
        inner = self._term if operator == "AND" else lambda: self._choice("AND")
        parts = [inner()]
        while self._token.upper() == operator:
            self._take()
            parts.append(inner())
        return join(operator, parts)

    def _term(self) -> Expression:
        first = self._take()
        if first != "(":
            return self._license(first)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("too deep for a licence expression")
        inside = self._choice("OR")
        if self._take() != ")":
            raise ValueError("a parenthesis is not closed")
        self._depth -= 1
        return inside

    def _license(self, token: str) -> Expression:
        found = _license(token)
        if self._token.upper() != "WITH":
            return found
        self._take()
        name = self._take()
        exception = known().exceptions.get(name.lower())
        if exception is None or not isinstance(found, License) or found.exception:
            raise ValueError(f"not a licence exception: {name}")
        return License(found.id, exception)


def _license(token: str) -> Expression:
    lower, table = token.lower(), known()
    if lower in table.renamed:
        return parse(table.renamed[lower])
    if lower in table.licenses:
        return License(table.licenses[lower])
    later = f"{lower[:-1]}-or-later"
    if lower.endswith("+") and (later in table.licenses or lower[:-1] in table.licenses):
        return License(table.licenses.get(later) or f"{table.licenses[lower[:-1]]}+")
    if _REFERENCE.fullmatch(token):
        return License(token)
    raise ValueError(f"no SPDX licence id: {token or 'nothing'}")


def join(operator: str, parts: Iterable[Expression]) -> Expression:
    """The parts under one operator, each once."""
    flat: dict[Expression, None] = {}
    for part in parts:
        same = isinstance(part, Choice) and part.operator == operator
        flat.update(dict.fromkeys(part.parts if isinstance(part, Choice) and same else (part,)))
    return next(iter(flat)) if len(flat) == 1 else Choice(operator, tuple(flat))


def joined(operator: str, expressions: Iterable[str]) -> str:
    return str(join(operator, map(parse, expressions)))


@lru_cache(_REMEMBERED)
def normalise(text: str) -> str | None:
    """The expression in its one spelling; None if it is none."""
    try:
        return str(parse(text))
    except ValueError:
        return None


@lru_cache(_REMEMBERED)
def license_class(expression: str | None) -> int:
    """PERMISSIVE, OTHER or NONE. Of a choice the best counts, of what holds together the worst.

    What is said but not understood is OTHER; so is NOASSERTION, a licence that nobody recognised.
    """
    if not expression or expression.upper() == "NONE":
        return NONE
    try:
        tree = parse(expression)
    except ValueError:
        return OTHER
    return PERMISSIVE if _holds(tree, known().permissive) else OTHER


def accepts(policy: str) -> Callable[[str | None], bool]:
    """What `--licenses` accepts: `permissive`, `any`, or SPDX ids separated by commas.

    ValueError: an id is unknown; the message names the nearest one.
    """
    if policy == "any":
        return lambda _: True
    if policy == "permissive":
        return lambda expression: license_class(expression) == PERMISSIVE
    allowed = frozenset(_listed(name.strip()) for name in policy.split(","))

    @lru_cache(_REMEMBERED)
    def is_accepted(expression: str | None) -> bool:
        try:
            return bool(expression) and _holds(parse(expression or ""), allowed)
        except ValueError:
            return False

    return is_accepted


def _listed(name: str) -> str:
    try:
        return str(parse(name))
    except ValueError:
        ids = known().licenses
        near = difflib.get_close_matches(name.lower(), [*ids, "permissive", "any"], 1, 0)
        nearest = ids.get(near[0], near[0])
        raise ValueError(f"no SPDX licence id: {name!r}; the nearest is {nearest}") from None


def _holds(tree: Expression, allowed: frozenset[str]) -> bool:
    """Whether the text may be had under allowed licences alone. An exception only adds rights."""
    if isinstance(tree, Choice):
        some = any if tree.operator == "OR" else all
        return some(_holds(part, allowed) for part in tree.parts)
    if tree.id in allowed or str(tree) in allowed:
        return True
    # Who may take a later version may take this one.
    this = tree.id.removesuffix("-or-later")
    return (this != tree.id and f"{this}-only" in allowed) or tree.id.removesuffix("+") in allowed
