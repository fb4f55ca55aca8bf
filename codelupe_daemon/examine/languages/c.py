"""C and what is written like it: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

LEXIS = Lexis.DOUBLE | Lexis.CHARACTER | Lexis.DIRECTIVES
IGNORES = ("(void)",)
WORDS = {
    Word.DEFINITION: "struct union enum typedef",
    Word.BRANCH: "if else switch case",
    Word.LOOP: "for while do",
    Word.JUMP: "return break continue",
    Word.ERROR: "errno perror abort",
    Word.IMPORT: "include",
    Word.OTHER: "int char void long short unsigned signed float double static extern inline "
    "volatile register sizeof define ifdef ifndef endif undef elif size_t uint8_t uint32_t "
    "uint64_t int32_t int64_t bool true false default",
    Word.IDIOM: "const assert free NULL",
    Word.SMELL: "goto",
    Word.SMELL_CALL: "printf atoi exit",
    Word.DANGER_CALL: "gets strcpy strcat sprintf vsprintf system popen tmpnam mktemp alloca "
    "scanf sscanf",
}
ANALYSER = Analyser(
    languages=("C", "Objective-C", "Cuda", "OpenCL", "GLSL", "HLSL"),
    words=WORDS,
    braces=True,
    lexis=LEXIS,
    ignores=IGNORES,
)
