"""Which licences a licence file grants, as an SPDX expression."""

from __future__ import annotations

import re
from typing import NamedTuple

from codelupe_daemon import spdx
from codelupe_daemon.examine.licenses import phrases, texts
from codelupe_daemon.examine.licenses.words import groups, words

_TAG = re.compile(rb"(?:SPDX|Valid)-License-Identifier:[ \t]*([^\r\n]{1,200})")
_TAG_REACH_BYTES = 1 << 10
_BY_NAME = 0.7
"""The confidence in a licence that is named and not given."""
_RIDER = "commons clause"
# Small changes of a text that make another licence of it: what stands there, and what that makes.
_CHANGED = (
    ("BSD-2-Clause", "endorse or promote products", "BSD-3-Clause"),
    ("BSD-3-Clause", "advertising materials mentioning", "BSD-4-Clause"),
)


class Identified(NamedTuple):
    """`ids` are the licences and exceptions whose texts are there, in their order.

    `parts`: those of them that hold for bundled work of others, not for the project itself.
    """

    expression: str | None
    confidence: float
    ids: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def identify(text: bytes) -> Identified:
    """Look at the first MAX_BYTES of a licence file."""
    all_words = words(text)
    found, is_open = texts.find(groups(all_words))
    plain = " ".join(all_words)
    tagged = _tagged(text)
    if tagged:
        return Identified(tagged, 1.0, tuple(one.name for one in found))
    if not found:
        expression = phrases.named(plain)
        return Identified(expression, _BY_NAME if expression else 0.0)
    # What no licence text explains is what the project itself says.
    open_words = [*is_open.tolist(), *is_open[-1:].tolist() * 2]
    rest = [word if is_said else "" for word, is_said in zip(all_words, open_words, strict=True)]
    own, others = _split(found, rest)
    said = re.sub(" {2,}", " | ", " ".join(rest))
    granted = [one.name for one in own if one.name.lower() not in spdx.known().exceptions]
    exceptions = [one.name for one in own if one.name.lower() in spdx.known().exceptions]
    later = phrases.says_or_later(plain)
    expressions = [_grant(name, exceptions, said, later=later) for name in granted]
    choice = phrases.leaves_choice(said)
    if choice or not granted:
        named = [one.expression for one in phrases.mentions(said)]
        expressions += [_grant(name, exceptions, said, later=False) for name in named]
    if _RIDER in said:
        expressions.append("LicenseRef-Commons-Clause")
    return Identified(
        spdx.joined("OR" if choice else "AND", expressions) if expressions else None,
        round(min(one.share for one in own), 3),
        tuple(one.name for one in found),
        tuple(one.name for one in others),
    )


def _tagged(text: bytes) -> str | None:
    match = _TAG.search(text, 0, _TAG_REACH_BYTES)
    return spdx.normalise(match[1].decode("utf-8", "replace").strip()) if match else None


def _split(
    found: list[texts.Found], rest: list[str]
) -> tuple[list[texts.Found], list[texts.Found]]:
    """The first licence is the project's own; those after words on others' work are not."""
    own = found[:1]
    for one in found[1:]:
        between = " ".join(rest[own[0].begin : one.begin])
        if phrases.of_others(between) < len(between):
            break
        own.append(one)
    return own, found[len(own) :]


def _grant(name: str, exceptions: list[str], said: str, *, later: bool) -> str:
    for base, change, instead in _CHANGED:
        if name == base and change in said:
            name = instead
    if later:
        name = name.replace("-only", "-or-later")
    fitting = [one for one in exceptions if _fits(one, name)]
    return f"{name} WITH {fitting[0]}" if fitting else name


def _fits(exception: str, name: str) -> bool:
    if exception == "LLVM-exception":
        return name == "Apache-2.0"
    return "GPL" in name
