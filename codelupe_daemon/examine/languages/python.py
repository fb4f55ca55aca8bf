"""Python and its relatives: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

ANALYSER = Analyser(
    languages=("Python", "Cython", "Starlark", "GDScript", "Mojo"),
    line_comments=("#",),
    block_comment=None,
    triple_quotes=True,
    statements=True,
    words={
        Word.DEFINITION: "def class lambda cdef cpdef func struct",
        Word.BRANCH: "if elif else match case",
        Word.LOOP: "for while",
        Word.JUMP: "return break continue yield",
        Word.ERROR: "try except finally raise with assert",
        Word.IMPORT: "import from",
        Word.OTHER: "and or not in is None True False self cls as pass del global nonlocal async "
        "await str int bool float list dict set tuple len",
        Word.DANGER: "pickle marshal",
        Word.DANGER_CALL: "eval exec system popen mktemp",
    },
)
