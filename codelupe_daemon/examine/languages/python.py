"""Python and its relatives: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

ANALYSER = Analyser(
    languages=("Python", "Cython", "Starlark", "GDScript", "Mojo"),
    line_comments=("#",),
    block_comment=None,
    triple_quotes=True,
    lexis=Lexis.DOUBLE | Lexis.SINGLE | Lexis.TRIPLE | Lexis.INDENTATION,
    statements=True,
    words={
        Word.DEFINITION: "def class lambda cdef cpdef func struct",
        Word.BRANCH: "if elif else match case",
        Word.LOOP: "for while",
        Word.JUMP: "return break continue yield",
        Word.ERROR: "try finally raise assert",
        Word.IMPORT: "import from",
        Word.OTHER: "and or not in is None True False self cls as pass del nonlocal async await "
        "str int bool float list dict set tuple len",
        Word.HANDLER: "except",
        Word.IDIOM: "with enumerate zip isinstance dataclass property staticmethod "
        "classmethod contextmanager NamedTuple Optional Iterable Iterator Sequence Mapping "
        "Callable Any typing pathlib Path functools itertools collections join items super "
        "__name__",
        Word.SMELL: "global",
        Word.SMELL_CALL: "print input globals locals",
        Word.DANGER: "pickle marshal",
        Word.DANGER_CALL: "eval exec system popen mktemp",
    },
)
