"""Repository context: several files of one repository, each after its path.

As the Qwen2.5-Coder and StarCoder2 reports lay them out. Names and paths are given, not learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trainer.samples.base import Dice, SampleFormat, Setting, control, ending
from trainer.types import Document, Format, Segment


class _Tokens(NamedTuple):
    repo: str
    file: str
    after_repo: str


_FAMILIES = (
    _Tokens("<|repo_name|>", "<|file_sep|>", "\n"),  # Qwen2.5-Coder
    _Tokens("<repo_name>", "<file_sep>", ""),  # StarCoder2
)


class Repo(SampleFormat):
    name = Format.REPO
    is_of_many = True

    def is_possible(self, controls: frozenset[str]) -> bool:
        return _tokens(controls) is not None

    def segments(
        self,
        documents: Sequence[Document],
        setting: Setting,
        dice: Dice,  # noqa: ARG002 (nothing is left to chance)
    ) -> tuple[Segment, ...]:
        tokens = _tokens(setting.controls)
        assert tokens
        name = documents[0].taken.repo + tokens.after_repo
        files = (part for document in documents for part in _file(document, tokens.file))
        return (
            control(tokens.repo), Segment(name, is_supervised=False), *files, *ending(setting),
        )  # fmt: skip


def _file(document: Document, separator: str) -> Iterator[Segment]:
    yield control(separator)
    yield Segment(f"{document.taken.path}\n", is_supervised=False)
    yield Segment(document.text, is_supervised=True)


def _tokens(controls: frozenset[str]) -> _Tokens | None:
    return next((t for t in _FAMILIES if {t.repo, t.file} <= controls), None)


FORMAT = Repo()
