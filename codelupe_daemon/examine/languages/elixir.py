"""Elixir: its words."""

from __future__ import annotations

from codelupe_daemon.examine.languages.base import Analyser, Lexis, Word

ANALYSER = Analyser(
    languages=("Elixir",),
    line_comments=("#",),
    block_comment=None,
    triple_quotes=True,
    lexis=Lexis.DOUBLE | Lexis.DOUBLE_LINES | Lexis.TRIPLE,
    words={
        Word.DEFINITION: "def defp defmodule defmacro defmacrop defprotocol defimpl defstruct "
        "defguard defdelegate",
        Word.BRANCH: "if else unless case cond with when",
        Word.LOOP: "for receive",
        Word.JUMP: "throw exit",
        Word.ERROR: "try raise after error reraise",
        Word.IMPORT: "import alias require use",
        Word.OTHER: "do end fn and or not in nil true false quote unquote",
        Word.HANDLER: "rescue catch",
        Word.IDIOM: "ok GenServer Supervisor Agent Task Stream Enum Map Keyword spec callback "
        "behaviour moduledoc doc impl typep type opts handle_call handle_cast handle_info",
        Word.SMELL_CALL: "puts inspect",
        Word.DANGER: "binary_to_term",
        Word.DANGER_CALL: "eval_string eval_quoted to_atom cmd",
    },
)
