"""The text as it is: the next token, from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.samples.base import Dice, SampleFormat, Setting, ending
from trainer.types import Document, Format, Segment


class Plain(SampleFormat):
    name = Format.PLAIN

    def segments(
        self,
        documents: Sequence[Document],
        setting: Setting,
        dice: Dice,  # noqa: ARG002 (nothing is left to chance)
    ) -> tuple[Segment, ...]:
        (document,) = documents
        return (Segment(document.text, is_supervised=True), *ending(setting))


FORMAT = Plain()
