"""The two forms of a rule: what a path decides, and what the measures of a text decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from codelupe_daemon.examine.features import Batch, Column
from codelupe_daemon.examine.settings import ExamineSettings
from codelupe_daemon.model import Reason


@dataclass(frozen=True)
class PathRule:
    """Leaves out a file by its path. All are compared in lower case.

    `folders`: names of a folder anywhere above the file, or `parent/child`. `top_folders`: of one
    in the root of the repository. `folder_pattern` is searched in the path of the folder.
    `names` are whole, `endings` may be several; `pattern` matches from a name's beginning.
    """

    reason: Reason
    folders: frozenset[str] = frozenset()
    top_folders: frozenset[str] = frozenset()
    folder_pattern: re.Pattern[str] | None = None
    names: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None

    def holds_folder(self, folder: str) -> bool:
        """Whether a file in this folder is left out; the folder is in lower case."""
        parts = folder.split("/")
        return (
            parts[0] in self.top_folders
            or any(part in self.folders for part in parts)
            or any(f"{above}/{below}" in self.folders for above, below in pairwise(parts))
            or (self.folder_pattern is not None and bool(self.folder_pattern.search(folder)))
        )

    def holds_name(self, name: str) -> bool:
        """Whether a file of this name, in lower case, is left out."""
        return (
            name in self.names
            or name.endswith(self.endings)
            or (self.pattern is not None and self.pattern.match(name) is not None)
        )


@dataclass(frozen=True)
class ContentRule:
    """Leaves out texts by their measures.

    `judge` gives one number for each text: the measurement that condemns it, NaN to keep it.
    """

    reason: Reason
    judge: Callable[[Batch, ExamineSettings], Column]
