"""JavaScript: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

WORDS = {
    Word.DEFINITION: "function class",
    Word.BRANCH: "if else switch case",
    Word.LOOP: "for while do",
    Word.JUMP: "return break continue yield",
    Word.ERROR: "try catch finally throw Error reject",
    Word.IMPORT: "import require from",
    Word.OTHER: "var let const new this typeof instanceof in of delete void async await export "
    "default extends super null undefined true false static get set",
    Word.DANGER: "innerHTML outerHTML __proto__",
    Word.DANGER_CALL: "eval Function exec execSync write",
}
ANALYSER = Analyser(
    languages=("JavaScript", "CoffeeScript", "Svelte", "Vue"), words=WORDS, braces=True
)
