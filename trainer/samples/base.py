"""What a format is: the shape that texts get as samples.

A new format is a new file with a `FORMAT`, and its name in the list of `mix.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from trainer.profile import DataSection
from trainer.samples.frame import Frame
from trainer.types import Document, Format, Segment

_64_BITS = (1 << 64) - 1


class Dice:
    """Numbers that only the seed, the text and its piece decide."""

    def __init__(self, seed: int, content_hash: bytes, piece: int) -> None:
        self._seed = seed & _64_BITS
        self._key = content_hash + piece.to_bytes(4, "big")
        self._rolls = 0

    def below(self, limit: int) -> int:
        """One of 0..limit-1."""
        self._rolls += 1
        digest = xxh3_64_intdigest(self._key + self._rolls.to_bytes(4, "big"), self._seed)
        return digest * limit >> 64

    def share(self) -> float:
        """From [0, 1)."""
        return self.below(1 << 53) / (1 << 53)


class Setting(NamedTuple):
    """What is the same for all samples of a round."""

    controls: frozenset[str]
    """The tokenizer's control tokens by name."""
    begin: str | None
    """The one that the model's texts begin with, if they do."""
    end: str | None
    """The one that ends a text."""
    frame: Frame
    data: DataSection
    seed: int

    def dice(self, document: Document) -> Dice:
        """Other numbers than the one that chose the format."""
        return Dice(~self.seed, document.taken.content_hash, document.piece)


class SampleFormat(ABC):
    """Pure: the same documents under the same setting give the same segments."""

    name: Format
    is_of_many = False
    """Whether it takes several texts of one repository together."""
    families: Sequence[tuple[str, ...]] = ((),)
    """The control tokens that it needs, as each family of models names them."""

    def tokens(self, controls: frozenset[str]) -> tuple[str, ...] | None:
        """Those that a tokenizer has; None where it cannot write this format."""
        return next((names for names in self.families if controls.issuperset(names)), None)

    @abstractmethod
    def segments(self, documents: Sequence[Document], setting: Setting) -> tuple[Segment, ...]:
        """The sample; `documents` is one, or several where the format is of many."""


def control(name: str, *, is_supervised: bool = False) -> Segment:
    return Segment(name, is_supervised, is_control=True)


def ending(setting: Setting) -> tuple[Segment, ...]:
    """What ends a text, and is to be learned."""
    return (control(setting.end, is_supervised=True),) if setting.end else ()
