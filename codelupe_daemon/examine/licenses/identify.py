"""Which licences a licence file grants, as an SPDX expression."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from codelupe_daemon import spdx
from codelupe_daemon.examine.licenses import phrases, texts
from codelupe_daemon.examine.licenses.words import groups, words

_TAG = re.compile(rb"(?:SPDX|Valid)-License-Identifier:[ \t]*([^\r\n]{1,200})")
_TAG_REACH_BYTES = 1 << 10
_BY_NAME = 0.7
"""The confidence in a licence that is named and not given."""
_NEAR = 7
"""Words around those that no licence text explains, to read them in their sentence."""
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
    near = np.convolve(is_open, np.ones(_NEAR))[_NEAR // 2 - 1 :] > 0
    rest = [word if is_near else "" for word, is_near in zip(all_words, near, strict=False)]
    said = re.sub(" {2,}", " | ", " ".join(rest))
    named = [one.expression for one in phrases.mentions(said)]
    there = {_family(one.name) for one in found}
    is_choice = phrases.leaves_choice(said) and (
        not named or any(_family(name) in there for name in named)
    )
    own, others = _split(found, rest, is_choice=is_choice)
    granted = [one.name for one in own if not _is_exception(one)]
    if "LGPL-3.0-only" in granted and "GPL-3.0-only" in granted:
        granted.remove("GPL-3.0-only")  # the lesser one adds to it
    granted = [_changed(name, said) for name in granted]
    if phrases.says_or_later(plain):
        granted = [name.replace("-only", "-or-later") for name in granted]
    if is_choice or not granted:
        families = set(map(_family, granted))
        granted += [name for name in named if _family(name) not in families]
    exceptions = [one.name for one in own if _is_exception(one)]
    granted = [_excepted(name, exceptions) for name in granted]
    if _RIDER in said:
        granted.append("LicenseRef-Commons-Clause")
    return Identified(
        spdx.joined("OR" if is_choice else "AND", granted) if granted else None,
        round(min(one.share for one in own), 3),
        tuple(one.name for one in found),
        tuple(one.name for one in others),
    )


def _family(expression: str) -> str:
    return expression.replace("-only", "").replace("-or-later", "")


def _is_exception(found: texts.Found) -> bool:
    return found.name.lower() in spdx.known().exceptions


def _tagged(text: bytes) -> str | None:
    match = _TAG.search(text, 0, _TAG_REACH_BYTES)
    return spdx.normalise(match[1].decode("utf-8", "replace").strip()) if match else None


def _split(
    found: list[texts.Found], rest: list[str], *, is_choice: bool
) -> tuple[list[texts.Found], list[texts.Found]]:
    """The first licence is the project's own; those after words on others' work are not.

    Nor is what follows it in a collection of licences. An exception belongs to what it follows.
    """
    is_collection = sum(not _is_exception(one) for one in found) > 2 and not is_choice
    for number, one in enumerate(found[1:], 1):
        between = " ".join(rest[found[0].begin : one.begin])
        is_others = is_collection or phrases.speaks_of_others(between)
        if is_others and not _is_exception(one):
            return found[:number], found[number:]
    return found, []


def _changed(name: str, said: str) -> str:
    for base, change, instead in _CHANGED:
        if name == base and change in said:
            name = instead
    return name


def _excepted(name: str, exceptions: list[str]) -> str:
    fitting = [one for one in exceptions if _fits(one, name)]
    return f"{name} WITH {fitting[0]}" if fitting and " WITH " not in name else name


def _fits(exception: str, name: str) -> bool:
    return name == "Apache-2.0" if exception == "LLVM-exception" else "GPL" in name
