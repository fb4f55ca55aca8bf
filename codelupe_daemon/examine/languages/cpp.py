"""C++: C and more: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word
from codelupe_daemon.examine.languages.c import IGNORES, LEXIS, WORDS

ANALYSER = Analyser(
    languages=("C++", "Objective-C++"),
    braces=True,
    lexis=LEXIS | Lexis.RAW_BRACKET,
    ignores=IGNORES,
    words={
        **WORDS,
        Word.DEFINITION: WORDS[Word.DEFINITION] + " class namespace concept",
        Word.ERROR: WORDS[Word.ERROR] + " try throw noexcept exception static_assert",
        Word.IMPORT: WORDS[Word.IMPORT] + " using import",
        Word.OTHER: WORDS[Word.OTHER] + " auto template typename public private protected virtual "
        "final delete this operator constexpr explicit friend mutable std",
        Word.HANDLER: "catch",
        Word.IDIOM: WORDS[Word.IDIOM]
        + " unique_ptr shared_ptr make_unique make_shared move override "
        "optional string_view nullptr vector string",
        Word.SMELL: WORDS[Word.SMELL] + " new malloc",
        Word.DANGER: "reinterpret_cast const_cast",
    },
)
