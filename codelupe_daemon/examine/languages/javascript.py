"""JavaScript: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

LEXIS = Lexis.DOUBLE | Lexis.SINGLE | Lexis.BACKTICK | Lexis.REGEX
WORDS = {
    Word.DEFINITION: "function class",
    Word.BRANCH: "if else switch case",
    Word.LOOP: "for while do",
    Word.JUMP: "return break continue yield",
    Word.ERROR: "try finally throw Error reject",
    Word.IMPORT: "import require from",
    Word.OTHER: "let new this typeof instanceof in of delete void export "
    "default extends super null undefined true false static get set",
    Word.HANDLER: "catch",
    Word.IDIOM: "const await async map filter reduce forEach includes Object Array Promise Map Set "
    "Symbol test describe it expect",
    Word.SMELL: "var arguments debugger",
    Word.SMELL_CALL: "log alert confirm",
    Word.DANGER: "innerHTML outerHTML __proto__",
    Word.DANGER_CALL: "eval Function execSync",
}
ANALYSER = Analyser(
    languages=("JavaScript", "CoffeeScript", "Svelte", "Vue"), words=WORDS, braces=True, lexis=LEXIS
)
