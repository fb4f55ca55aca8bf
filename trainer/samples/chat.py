"""A conversation: the beginning of a text is asked about, and its continuation is the reply.

Only the reply is learned, and the token that ends it where the text ends too.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainer.samples.base import Dice, SampleFormat, Setting
from trainer.samples.borders import border
from trainer.types import Document, Format, Segment

_REACH = 0.15
"""How far from the wanted share a border may lie, as a share of the text."""
_ANY = (
    "Complete the following {language} code.",
    "Continue this {language} code.",
    "Here is the beginning of a {language} file. Write what comes next.",
    "Finish this {language} implementation.",
    "Write the rest of this {language} code in the same style.",
    "Given this {language} code, write its continuation.",
)
_OF_LANGUAGE = {
    "C": ("Complete this C code; check what is allocated and free it once.",),
    "C++": ("Complete this modern C++ code; let objects own their resources.",),
    "Dart": ("Complete this Dart code, with sound null safety.",),
    "Elixir": (
        "Complete this Elixir module in an idiomatic way.",
        "Continue this Elixir code, with pattern matching and pipelines.",
    ),
    "Go": ("Complete this Go code; handle every error.",),
    "Java": ("Complete this Java class.",),
    "JavaScript": ("Complete this modern JavaScript code.",),
    "Python": (
        "Complete this Python code in an idiomatic way.",
        "Continue this Python module, with type hints where it has them.",
    ),
    "Rust": (
        "Complete this Rust code in an idiomatic way.",
        "Continue this Rust code, with errors handled by Result.",
    ),
    "TypeScript": ("Complete this TypeScript code, with precise types.",),
}


class Chat(SampleFormat):
    name = Format.CHAT

    def segments(self, documents: Sequence[Document], setting: Setting) -> tuple[Segment, ...]:
        (document,) = documents
        language, text, frame = document.taken.language, document.text, setting.frame
        cut = split_at(text, language, setting.data.context_share)
        context, reply = text[:cut], text[cut:]
        asked = instruction(language, setting.dice(document))
        return (
            *frame.opening,
            Segment(f"{asked}\n\n", is_supervised=False),
            Segment(context.rstrip() if frame.is_trimmed else context, is_supervised=False),
            *frame.turn,
            Segment(reply, is_supervised=True),
            *(frame.closing if document.is_end else ()),
        )


def instruction(language: str | None, dice: Dice) -> str:
    """One of the templates for the language; a text of none is only code."""
    choices = _OF_LANGUAGE.get(language or "", ()) + _ANY
    chosen = choices[dice.below(len(choices))]
    return chosen.format(language=language) if language else chosen.replace("{language} ", "")


def split_at(text: str, language: str | None, share: float) -> int:
    """Where the reply begins. At least one character is on either side, if there are two."""
    chars = len(text)
    if chars < 2:
        return 0
    at = min(max(round(chars * share), 1), chars - 1)
    first = max(at - round(chars * _REACH), 1)
    last = min(at + round(chars * _REACH), chars - 1)
    if "\n" not in text[first - 1 : last]:
        first, last = 1, chars - 1
    return border(text, language, at, first, last)


FORMAT = Chat()
