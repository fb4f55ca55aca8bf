"""Fill in the middle: the text around a hole is given before what was in it.

Bavarian et al. 2022 (arXiv:2207.14255): spans at character level, half of the samples with the
suffix first (the paper's variant 2, as StarCoder2 has it), and the loss on prefix, suffix and
middle alike, so that left-to-right prediction does not suffer; the tokens between them are given.
The other half of the holes are whole pieces of syntax, which is what editors ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trainer.samples.base import Dice, SampleFormat, Setting, control, ending
from trainer.samples.borders import definition_starts
from trainer.types import Document, Format, Segment

_SYNTAX_SHARE = 0.5
_LINES_MAX = 3
_BLOCK_TRIES = 8
_NO_CODE = ("@", "#", "//", "/*", "*")
_CLOSING = ("}", ")", "]")
_OPENING = ("{", "(", "[", ":")

Span = tuple[int, int]


class Fim(SampleFormat):
    name = Format.FIM
    families = (
        ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder
        ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, StarCoder2
        ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
        ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001 (DeepSeek-Coder's)
        ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"),  # Code Llama, with an end of its own
    )

    def segments(self, documents: Sequence[Document], setting: Setting) -> tuple[Segment, ...]:
        (document,) = documents
        tokens, text, dice = self.tokens(setting.controls), document.text, setting.dice(document)
        assert tokens
        is_suffix_first = dice.share() < setting.data.spm_share
        start, end = hole(text, document.taken.language, dice)
        prefix, middle, suffix = (
            Segment(part, is_supervised=True)
            for part in (text[:start], text[start:end], text[end:])
        )
        given = [control(name) for name in tokens[:3]]
        if is_suffix_first:
            parts = (given[0], given[1], suffix, given[2], prefix, middle)
        else:
            parts = (given[0], prefix, given[1], suffix, given[2], middle)
        own = tuple(control(name, is_supervised=True) for name in tokens[3:])
        return (*parts, *(own or ending(setting)))


def hole(text: str, language: str | None, dice: Dice) -> Span:
    """What is to be filled in: [start, end) in characters."""
    if dice.share() < _SYNTAX_SHARE:
        kinds: tuple[Callable[[], Span | None], ...] = (
            lambda: _definition(text, language, dice),
            lambda: _block(text, dice),
            lambda: _some_lines(text, dice),
        )
        found = kinds[dice.below(len(kinds))]()
        if found:
            return found
    one, other = dice.below(len(text) + 1), dice.below(len(text) + 1)
    return min(one, other), max(one, other)


def _definition(text: str, language: str | None, dice: Dice) -> Span | None:
    starts = definition_starts(text, language)
    if not starts:
        return None
    start = starts[dice.below(len(starts))]
    return start, _body_end(text, _first_code(text, start))


def _block(text: str, dice: Dice) -> Span | None:
    """The lines that stand deeper than the one before them."""
    for _ in range(_BLOCK_TRIES):
        head = _line_start(text, dice.below(len(text) + 1))
        start, end = _next_line(text, head), _body_end(text, head)
        if start < end:
            return start, end
    return None


def _some_lines(text: str, dice: Dice) -> Span:
    start = end = _line_start(text, dice.below(len(text) + 1))
    for _ in range(1 + dice.below(_LINES_MAX)):
        end = _next_line(text, end)
    return start, end


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _next_line(text: str, start: int) -> int:
    return text.find("\n", start) + 1 or len(text)


def _first_code(text: str, start: int) -> int:
    """Past comments and decorators: the line whose depth the definition has."""
    while text[start : (following := _next_line(text, start))].lstrip().startswith(_NO_CODE):
        if following >= len(text):
            break
        start = following
    return start


def _body_end(text: str, head: int) -> int:
    """Where the lines end that belong to the one at `head`: deeper ones, and what closes them."""
    end = at = _next_line(text, head)
    depth = _indent(text[head:at])
    while at < len(text):
        following = _next_line(text, at)
        line, at = text[at:following], following
        words = line.strip()
        if words and _indent(line) <= depth:
            is_closed = words.startswith(_CLOSING) or words.rstrip(";") == "end"
            if not is_closed and not words.startswith("{"):
                return end
            if is_closed and not words.endswith(_OPENING):
                return following
        end = following if words else end
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


FORMAT = Fim()
