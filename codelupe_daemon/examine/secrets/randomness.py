"""Whether a value was drawn at random, or written by a person."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

_EXAMPLES = re.compile(
    rb"redacted|example|change.?me|replace.?me|place.?holder|dummy|sample|insert|your|x{4}|\*{3}"
    rb"|\.\.\.|\{\{|\$\{|\$\(|<\w|%[sd](?!\w)|0123456|1234567|abcdef|qwerty|deadbeef|cafebabe|foobar"
    rb"|lorem|(.)\1{5}",
    re.IGNORECASE,
)
_HEX = re.compile(rb"[0-9a-fA-F-]+")
_DIGITS = frozenset(b"0123456789")
_LOWER = frozenset(b"abcdefghijklmnopqrstuvwxyz")
_LETTERS = _LOWER | frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SIGNS = frozenset(b"!@#$%^&*+=?~")  # in passwords, not between words
MIN_BYTES = 10
MIN_FILL = 0.76
_PAIRS = (
    b"311243363941218391204566572344248948928848955859996914341482393467179452599979"
    b"234304782996764795475899791310224648722063600164535834443289299588499567599979"
    b"498928764996754894586999993969299949988848965669997934233435886220249311839694"
    b"799969998999997999797999995989398959979869985869999927650679198288269844479939"
    b"158719993997593298574999692722140828567526962146997965337556585220439133254779"
    b"287728954973892492545999699999999999999999999949999916440659196545159423468959"
    b"383717832965663387203879591747069309956626912448774854564669597342649333999998"
    b"498929994999896998799999994999599859999769977999999956555599799989959995999889"
    b"7878799979976685985699999969994999699999999999999998"
)
"""How rare each pair of letters is in the words of code: 0 is seven times as often as by chance, 9
a seventh of it or less; in the order aa, ab, ..."""
_EVEN = 4.5
MIN_ODDNESS = 12.0


def is_example(value: bytes) -> bool:
    """Whether it says of itself that it is none: `changeme`, `<your-token>`, `${TOKEN}`."""
    return _EXAMPLES.search(value) is not None


def entropy(value: bytes) -> float:
    """Shannon's, in bits a byte."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())


def oddness(value: bytes) -> float:
    """How little it looks like words: above 0 where random letters are likelier than words.

    Each change between letters and digits counts as a rare pair, a sign beside one as half of it.
    """
    total = 0.0
    for one, two in pairwise(value):
        if one in _LETTERS and two in _LETTERS:
            # `fooBar`: two words meet, and their pair says nothing
            if not (one in _LOWER and two not in _LOWER):
                total += _PAIRS[((one & 31) - 1) * 26 + (two & 31) - 1] - 48 - _EVEN
        elif (one in _LETTERS and two in _DIGITS) or (one in _DIGITS and two in _LETTERS):
            total += _EVEN
        elif one in _SIGNS or two in _SIGNS:
            total += _EVEN / 2
    return total


def _longest_series(value: bytes) -> int:
    """The longest piece that repeats or counts up, as in `aaaa` and `abcdef`."""
    low = value.lower()
    longest = run = 1
    for one, two in pairwise(low):
        run = run + 1 if two in (one, one + 1) else 1
        longest = max(longest, run)
    return longest


def is_random(value: bytes) -> bool:
    """Nearly as many bits as its length and alphabet allow, no words, no series, a digit."""
    if len(value) < MIN_BYTES or is_example(value) or _longest_series(value) >= 5:
        return False
    digits = sum(byte in _DIGITS for byte in value)
    if digits in (0, len(value)):
        return False
    alphabet = 16 if _HEX.fullmatch(value) else 36
    if entropy(value) < MIN_FILL * math.log2(min(len(value), alphabet)):
        return False
    return oddness(value) >= MIN_ODDNESS
