"""Dart: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

ANALYSER = Analyser(
    languages=("Dart",),
    braces=True,
    lexis=Lexis.DOUBLE | Lexis.SINGLE | Lexis.TRIPLE,
    words={
        Word.DEFINITION: "class enum mixin extension typedef",
        Word.BRANCH: "if else switch case",
        Word.LOOP: "for while do",
        Word.JUMP: "return break continue yield",
        Word.ERROR: "try finally throw rethrow on assert Exception Error",
        Word.IMPORT: "import export part library show hide",
        Word.OTHER: "var late new this super void int double String bool List Map "
        "Future async static get set extends implements with abstract null true false "
        "required is as in",
        Word.HANDLER: "catch",
        Word.IDIOM: "final const override immutable sealed map where toList await Stream Widget",
        Word.SMELL: "dynamic",
        Word.SMELL_CALL: "print",
        Word.DANGER: "ffi mirrors",
        Word.DANGER_CALL: "runSync spawnUri",
    },
)
