"""Go: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

ANALYSER = Analyser(
    languages=("Go",),
    lexis=Lexis.DOUBLE | Lexis.CHARACTER | Lexis.RAW_BACKTICK,
    ignores=("_ = ", "_, _ = "),
    words={
        Word.DEFINITION: "func struct interface",
        Word.BRANCH: "if else switch case select",
        Word.LOOP: "for range",
        Word.JUMP: "return break continue goto fallthrough",
        Word.ERROR: "err error errors recover",
        Word.IMPORT: "import package",
        Word.OTHER: "var const type map chan go nil true false string int bool byte default make "
        "append len int64 uint64 float64",
        Word.IDIOM: "defer Errorf Wrap ctx Context context Is As Unwrap sync Mutex RWMutex "
        "Reader Writer WithTimeout WithCancel Helper Run",
        Word.SMELL: "goto",
        Word.SMELL_CALL: "panic Println Fatal Fatalf",
        Word.DANGER: "unsafe",
    },
)
