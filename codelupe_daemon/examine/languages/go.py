"""Go: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

ANALYSER = Analyser(
    languages=("Go",),
    words={
        Word.DEFINITION: "func struct interface",
        Word.BRANCH: "if else switch case select",
        Word.LOOP: "for range",
        Word.JUMP: "return break continue goto fallthrough",
        Word.ERROR: "err error errors recover defer Errorf",
        Word.IMPORT: "import package",
        Word.OTHER: "var const type map chan go nil true false string int bool byte default make "
        "append len int64 uint64 float64",
        Word.DANGER: "unsafe",
        Word.DANGER_CALL: "panic",
    },
)
