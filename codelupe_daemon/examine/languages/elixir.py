"""Elixir: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Word

ANALYSER = Analyser(
    languages=("Elixir",),
    line_comments=("#",),
    block_comment=None,
    triple_quotes=True,
    words={
        Word.DEFINITION: "def defp defmodule defmacro defmacrop defprotocol defimpl defstruct "
        "defguard defdelegate",
        Word.BRANCH: "if else unless case cond with when",
        Word.LOOP: "for receive",
        Word.JUMP: "throw exit",
        Word.ERROR: "try rescue catch raise after error reraise",
        Word.IMPORT: "import alias require use",
        Word.OTHER: "do end fn and or not in nil true false ok quote unquote",
        Word.DANGER: "binary_to_term",
        Word.DANGER_CALL: "eval_string eval_quoted to_atom cmd",
    },
)
