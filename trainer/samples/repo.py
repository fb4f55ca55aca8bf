"""Repository context: several files of one repository, each after its path.

As the Qwen2.5-Coder and StarCoder2 reports lay them out. Names and paths are given, not learned.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainer.samples.base import SampleFormat, Setting, control, ending
from trainer.types import Document, Format, Segment

_ON_A_LINE = "<|file_sep|>"
"""Qwen2.5-Coder's begins a line; StarCoder2's follows at once."""


class Repo(SampleFormat):
    name = Format.REPO
    is_of_many = True
    families = (("<|repo_name|>", _ON_A_LINE), ("<repo_name>", "<file_sep>"))

    def segments(self, documents: Sequence[Document], setting: Setting) -> tuple[Segment, ...]:
        tokens = self.tokens(setting.controls)
        assert tokens
        repo, file = tokens
        before = documents[0].taken.repo
        parts = [control(repo), Segment(before, is_supervised=False)]
        for document in documents:
            if file == _ON_A_LINE and not before.endswith("\n"):
                parts.append(Segment("\n", is_supervised=False))
            path = Segment(f"{document.taken.path}\n", is_supervised=False)
            parts += control(file), path, Segment(document.text, is_supervised=True)
            before = document.text
        return (*parts, *ending(setting)) if documents[-1].is_end else tuple(parts)


FORMAT = Repo()
