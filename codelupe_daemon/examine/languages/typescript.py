"""TypeScript: JavaScript and its types: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word
from codelupe_daemon.examine.languages.javascript import LEXIS, WORDS

ANALYSER = Analyser(
    languages=("TypeScript", "TSX", "Glimmer TS"),
    braces=True,
    lexis=LEXIS,
    words={
        **WORDS,
        Word.DEFINITION: WORDS[Word.DEFINITION] + " interface enum namespace",
        Word.OTHER: WORDS[Word.OTHER] + " type string number boolean public private "
        "protected implements declare abstract as is",
        Word.IDIOM: WORDS[Word.IDIOM]
        + " readonly keyof unknown never Readonly Partial Record infer satisfies",
        Word.SMELL: WORDS[Word.SMELL] + " any",
    },
)
