"""Whether a value was drawn at random, or written by a person."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

_EXAMPLES = re.compile(
    rb"redacted|example|change.?me|replace.?me|place.?holder|dummy|sample|insert|your|x{4}|\*{3}"
    rb"|\.\.\.|\{\{|\$\{|\$\(|<\w|%[sd]|0123456|1234567|abcdef|qwerty|deadbeef|cafebabe|foobar"
    rb"|lorem|(.)\1{5}",
    re.IGNORECASE,
)
_COMMON_PAIRS = frozenset(
    b"se re in er th el on te or le at en de st es he me et lf ar ti al nt co ne an no nd "
    b"ed tr ro it ta ec ur li ng io is ra na il ex am ce as fi pa ct pe tu ef ri od ot ss "
    b"rn ma fo ea di lo ve si la ac ca rt ha ll ns ut ge pr nc un mp im po ou ul ad om ch "
    b"rs ue rr pt ai op cl ls oc em mo ts ck ep va to".split()
)
"""Three quarters of the pairs of letters in code, and 15% of those in random letters."""


def is_example(value: bytes) -> bool:
    """Whether it says of itself that it is none: `changeme`, `<your-token>`, `${TOKEN}`."""
    return _EXAMPLES.search(value) is not None


def entropy(value: bytes) -> float:
    """Shannon's, in bits a byte."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())


def word_share(value: bytes) -> float:
    """Of the pairs of letters, those that words have."""
    low = value.lower()
    pairs = [low[i : i + 2] for i in range(len(low) - 1)]
    letters = [pair for pair in pairs if pair.isalpha()]
    if len(letters) < 5:
        return 0.0
    return sum(pair in _COMMON_PAIRS for pair in letters) / len(letters)


def _longest_series(value: bytes) -> int:
    """The longest piece that counts up, as in `abcdef0123`."""
    low = value.lower()
    longest = run = 1
    for one, two in pairwise(low):
        run = run + 1 if two == one + 1 or two == one else 1
        longest = max(longest, run)
    return longest


def is_random(value: bytes) -> bool:
    """Nearly as many bits as its length and alphabet allow, no words, no series, a digit."""
    if len(value) < 10 or is_example(value) or _longest_series(value) >= 5:
        return False
    digits = sum(48 <= byte <= 57 for byte in value)
    if digits == 0 or (digits == len(value)):
        return False
    alphabet = 16 if re.fullmatch(rb"[0-9a-fA-F-]+", value) else 36
    most = math.log2(min(len(value), alphabet))
    if entropy(value) < 0.8 * most:
        return False
    return word_share(value) < 0.45
