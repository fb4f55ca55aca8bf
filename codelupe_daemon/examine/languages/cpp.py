"""C++: C and more: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word
from codelupe_daemon.examine.languages.c import WORDS

ANALYSER = Analyser(
    languages=("C++", "Objective-C++"),
    braces=True,
    words={
        **WORDS,
        Word.DEFINITION: WORDS[Word.DEFINITION] + " class namespace concept",
        Word.ERROR: WORDS[Word.ERROR] + " try catch throw noexcept exception static_assert",
        Word.IMPORT: WORDS[Word.IMPORT] + " using import",
        Word.OTHER: WORDS[Word.OTHER] + " auto template typename public private protected virtual "
        "override final new delete this nullptr operator constexpr explicit friend mutable std",
        Word.DANGER: "reinterpret_cast const_cast",
    },
)
