"""Java: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

ANALYSER = Analyser(
    languages=("Java", "Apex"),
    braces=True,
    lexis=Lexis.DOUBLE | Lexis.CHARACTER | Lexis.TRIPLE,
    words={
        Word.DEFINITION: "class interface enum record",
        Word.BRANCH: "if else switch case",
        Word.LOOP: "for while do",
        Word.JUMP: "return break continue",
        Word.ERROR: "try finally throw Exception assert",
        Word.IMPORT: "import package",
        Word.OTHER: "public private protected static abstract void int long boolean double "
        "String new this super extends implements null true false instanceof synchronized "
        "default var byte char float short native volatile transient",
        Word.HANDLER: "catch",
        Word.IDIOM: "final Override Nullable Optional stream List Map Set Collection Objects "
        "param throws Deprecated Test SuppressWarnings requireNonNull of",
        Word.SMELL: "Vector Hashtable StringBuffer",
        Word.SMELL_CALL: "printStackTrace println",
        Word.DANGER: "readUnshared Unsafe ScriptEngine setAccessible",
        Word.DANGER_CALL: "exec readObject",
    },
)
