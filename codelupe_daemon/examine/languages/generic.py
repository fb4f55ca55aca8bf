"""Every language without an analyser of its own: common words, and its family's comments."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

WORDS = {
    Word.DEFINITION: "function func fun fn def defn defun sub proc procedure class struct "
    "interface enum module trait impl object protocol record",
    Word.BRANCH: "if else elif elsif elseif switch case when match unless cond",
    Word.LOOP: "for foreach while until loop do repeat each",
    Word.JUMP: "return break continue next yield goto",
    Word.ERROR: "try finally ensure raise throw throws error",
    Word.IMPORT: "import include require use using from package open",
    Word.OTHER: "var let val const local my end begin then done fi esac in and or not nil null "
    "None true false self this new public private protected static final void int string bool "
    "set get of as is type where",
    Word.HANDLER: "catch except rescue",
    Word.DANGER_CALL: "eval exec system popen shell_exec passthru unserialize",
}
SLASHES = Analyser(languages=(), words=WORDS, line_comments=("//", "#"), braces=True)
HASHES = Analyser(
    languages=(
        *("Ruby", "Shell", "Perl", "Raku", "R", "Julia", "Nim", "Crystal", "Tcl", "Awk", "sed"),
        *("Makefile", "CMake", "Dockerfile", "PowerShell", "fish", "Fish", "Nushell", "GAP", "jq"),
        *("Meson", "Nix", "Puppet", "Gnuplot", "Just", "BitBake", "Snakemake", "Batchfile"),
    ),
    words=WORDS,
    line_comments=("#",),
    block_comment=("=beg", "=en"),
)
DASHES = Analyser(
    languages=(
        *("Lua", "Haskell", "Ada", "Elm", "PureScript", "VHDL", "AppleScript", "Agda", "Idris"),
        *("PLpgSQL", "PLSQL", "TSQL", "SQLPL", "Luau", "MoonScript", "Terra", "Eiffel"),
    ),
    words=WORDS,
    line_comments=("--",),
    block_comment=None,
)
PERCENTS = Analyser(
    languages=("Erlang", "Prolog", "MATLAB", "TeX", "Mercury", "PostScript", "Logtalk"),
    words=WORDS,
    line_comments=("%",),
    block_comment=None,
)
SEMICOLONS = Analyser(
    languages=(
        *("Clojure", "Common Lisp", "Emacs Lisp", "Scheme", "Racket", "Fennel", "Hy", "NewLisp"),
        *("Assembly", "Unix Assembly", "LLVM", "AutoHotkey", "NSIS", "Janet", "WebAssembly"),
    ),
    words=WORDS,
    line_comments=(";", "#"),
    block_comment=None,
)
PARENTHESES = Analyser(
    languages=("OCaml", "Standard ML", "Pascal", "Coq", "Rocq Prover", "Wolfram Language"),
    words=WORDS,
    block_comment=("(*", "*)"),
)
QUOTES = Analyser(
    languages=("Visual Basic .NET", "VBA", "VBScript", "Visual Basic 6.0", "FreeBASIC", "BASIC"),
    words=WORDS,
    line_comments=("'",),
    block_comment=None,
)
BANGS = Analyser(
    languages=("Fortran", "Fortran Free Form"),
    words=WORDS,
    line_comments=("!", "C "),
    block_comment=None,
)
ANALYSERS = (
    SLASHES,
    HASHES,
    DASHES,
    PERCENTS,
    SEMICOLONS,
    PARENTHESES,
    QUOTES,
    BANGS,
)
