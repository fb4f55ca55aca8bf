"""What stands around a conversation's texts: the model's own chat template, or plain markers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from trainer.types import Segment

_SYSTEM, _USER, _REPLY = "@codelupe:system@", "@codelupe:user@", "@codelupe:reply@"
_SPACE = "\t\t"
"""Behind the question: a template that trims drops it."""

Segments = tuple[Segment, ...]


class Frame(NamedTuple):
    """What comes before the question, before the reply, and after it."""

    opening: Segments
    turn: Segments
    closing: Segments
    is_trimmed: bool = False
    """Whether the template drops white space at a question's end."""


def frame_of(
    tokenizer: Any,
    system_prompt: str,
    controls: Iterable[str],
    *,
    begin: str | None,
    end: str | None,
) -> Frame:
    """The frame with the system prompt in it. The template is asked once, not for each sample."""
    names = sorted(controls, key=len, reverse=True)
    if parts := _rendered(tokenizer, has_system=bool(system_prompt)):
        space = parts.pop(1)
        opening, turn, closing = (_segments(part, names, system_prompt) for part in parts)
        return Frame(opening, turn, _supervised(closing), is_trimmed=not space)
    first = (Segment(begin, is_supervised=False, is_control=True),) if begin else ()
    before = f"{system_prompt}\n\n" if system_prompt else ""
    asked = Segment(f"{before}### Instruction:\n", is_supervised=False)
    reply = Segment("\n\n### Response:\n", is_supervised=False)
    last = (Segment(end, is_supervised=True, is_control=True),) if end else ()
    return Frame((*first, asked), (reply,), last)


def _rendered(tokenizer: Any, *, has_system: bool) -> list[str] | None:
    """The template's text before the question, directly behind it, before the reply and after it;
    None where there is no template, or one that cannot be taken apart.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    from jinja2 import TemplateError

    user, reply = f"{_USER}{_SPACE}", {"role": "assistant", "content": _REPLY}
    question = [{"role": "user", "content": user}, reply]
    asked = [{"role": "system", "content": _SYSTEM}, *question]
    # Some templates know no system prompt: it goes before the question.
    folded = [{"role": "user", "content": f"{_SYSTEM}\n\n{user}"}, reply]
    system = _SYSTEM if has_system else ""
    for messages in (asked, folded) if has_system else (question,):
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False)
        except TemplateError:
            continue
        text = _swallowing(tokenizer).sub("", text)
        shape = f"(.*{system}.*){_USER}({_SPACE}|)(.*){_REPLY}(.*)"
        if parts := re.fullmatch(shape, text, re.DOTALL):
            return [*parts.groups()]
    return None


def _swallowing(tokenizer: Any) -> re.Pattern[str]:
    """White space that the tokenizer drops behind its control tokens, as Phi-3's does."""
    names = (token.content for token in tokenizer.added_tokens_decoder.values() if token.rstrip)
    return re.compile("|".join(rf"(?<={re.escape(name)})\s+" for name in names) or "(?!)")


def _segments(text: str, controls: Sequence[str], system_prompt: str) -> Segments:
    """Control tokens by their names; what a person wrote as the system prompt is only text."""
    pattern = "|".join(map(re.escape, [_SYSTEM, *controls]))
    return tuple(
        Segment(system_prompt if part == _SYSTEM else part, is_supervised=False,
                is_control=part in controls)
        for part in re.split(f"({pattern})", text)
        if part
    )  # fmt: skip


def _supervised(closing: Segments) -> Segments:
    """With the first control token, which ends the reply, to be learned."""
    first = next((n for n, segment in enumerate(closing) if segment.is_control), len(closing))
    return tuple(
        segment._replace(is_supervised=True) if n == first else segment
        for n, segment in enumerate(closing)
    )
