"""Dart: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

ANALYSER = Analyser(
    languages=("Dart",),
    braces=True,
    words={
        Word.DEFINITION: "class enum mixin extension typedef",
        Word.BRANCH: "if else switch case",
        Word.LOOP: "for while do",
        Word.JUMP: "return break continue yield",
        Word.ERROR: "try catch finally throw rethrow on assert Exception Error",
        Word.IMPORT: "import export part library show hide",
        Word.OTHER: "var final const late new this super void int double String bool List Map "
        "Future async await static get set extends implements with abstract null true false "
        "required dynamic override is as in",
        Word.DANGER: "ffi mirrors",
        Word.DANGER_CALL: "runSync spawnUri",
    },
)
