"""TypeScript: JavaScript and its types: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word
from codelupe_daemon.examine.languages.javascript import WORDS

ANALYSER = Analyser(
    languages=("TypeScript", "TSX", "Glimmer TS"),
    braces=True,
    words={
        **WORDS,
        Word.DEFINITION: WORDS[Word.DEFINITION] + " interface enum namespace",
        Word.OTHER: WORDS[Word.OTHER] + " type string number boolean readonly public private "
        "protected implements declare abstract keyof as is unknown never",
        Word.DANGER: WORDS[Word.DANGER] + " any",
    },
)
