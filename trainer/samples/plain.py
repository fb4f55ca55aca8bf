"""The text as it is: the next token, from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.samples.base import SampleFormat, Setting, ending
from trainer.types import Document, Format, Segment


class Plain(SampleFormat):
    name = Format.PLAIN

    def segments(self, documents: Sequence[Document], setting: Setting) -> tuple[Segment, ...]:
        (document,) = documents
        text = Segment(document.text, is_supervised=True)
        return (text, *ending(setting)) if document.is_end else (text,)


FORMAT = Plain()
