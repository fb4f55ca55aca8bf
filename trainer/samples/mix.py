"""Which format a text gets: by shares, and always the same one for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from trainer.samples import chat, fim, plain, repo
from trainer.samples.base import Dice, SampleFormat, Setting, control
from trainer.types import Document, Format, Sample

FORMATS: dict[Format, SampleFormat] = {m.FORMAT.name: m.FORMAT for m in (chat, fim, repo, plain)}


def of_piece(name: Format, piece: int) -> Format:
    """Of a file's pieces only the first can stand under the file's path."""
    return Format.PLAIN if piece and FORMATS[name].is_of_many else name


class Mix:
    """The formats that the tokenizer can write, at their shares.

    What one that it cannot write would have had goes to the others.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        weights = {
            name: getattr(setting.data.formats, name.value)
            for name, form in FORMATS.items()
            if form.tokens(setting.controls) is not None
        }
        if not any(weights.values()):
            weights = {Format.PLAIN: 1.0}
        total = sum(weights.values())
        self._names = list(weights)
        self._upto = [part / total for part in accumulate(weights.values())]

    def choose(self, content_hash: bytes, piece: int) -> Format:
        share = Dice(self._setting.seed, content_hash, piece).share()
        pairs = zip(self._names, self._upto, strict=True)
        chosen = next((name for name, upto in pairs if share < upto), self._names[-1])
        return of_piece(chosen, piece)

    def sample(self, documents: Sequence[Document], name: Format) -> Sample:
        """The documents as one sample; several only where the format is of many."""
        segments = FORMATS[name].segments(documents, self._setting)
        begin = self._setting.begin
        if begin and name is not Format.CHAT:  # a chat's frame has its own beginning
            segments = (control(begin), *segments)
        return Sample(segments, documents[0].taken, name)
