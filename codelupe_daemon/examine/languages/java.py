"""Java: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

ANALYSER = Analyser(
    languages=("Java", "Apex"),
    braces=True,
    words={
        Word.DEFINITION: "class interface enum record",
        Word.BRANCH: "if else switch case",
        Word.LOOP: "for while do",
        Word.JUMP: "return break continue",
        Word.ERROR: "try catch finally throw Exception assert",
        Word.IMPORT: "import package",
        Word.OTHER: "public private protected static final abstract void int long boolean double "
        "String new this super extends implements null true false instanceof synchronized throws "
        "default var byte char float short native volatile transient",
        Word.DANGER: "readUnshared Unsafe ScriptEngine setAccessible",
        Word.DANGER_CALL: "exec readObject printStackTrace",
    },
)
