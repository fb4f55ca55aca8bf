"""How the fetch tests open a source and look at everything in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from codelupe_daemon.fetch import FetchLimits, Tree, open_tree
from codelupe_daemon.model import Listed, Reason, Repo, Wanted


@dataclass
class Seen:
    """A source read to its end: what was listed, and the content or problem of every blob."""

    commit: bytes | None = None
    listed: dict[str, Listed] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, tuple[Reason, float | None]] = field(default_factory=dict)
    largest_page: int = 0
    largest_buffer_bytes: int = 0

    def reasons(self) -> dict[str, Reason]:
        """Why paths have no content, wherever that was found."""
        by_listing = {path: entry.reason for path, entry in self.listed.items() if entry.reason}
        return by_listing | {path: problem[0] for path, problem in self.problems.items()}


Look = Callable[..., Seen]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Open a folder, a local clone (`Path`) or a URL (`str`) and read it to its end."""

    def read_all(source: Path | str, limits: FetchLimits | None = None) -> Seen:
        location = str(source)
        repo = Repo(location, location, is_local=isinstance(source, Path))
        with open_tree(repo, limits or FetchLimits(), tmp_path / "scratch") as tree:
            seen = read_tree(tree)
        assert list((tmp_path / "scratch").glob("*")) == []
        return seen

    return read_all


def read_tree(tree: Tree) -> Seen:
    """List everything, then read every blob that the listing leaves open."""
    seen = Seen(tree.commit)
    for page in tree.pages():
        seen.listed.update({entry.path: entry for entry in page})
        seen.largest_page = max(seen.largest_page, len(page))
    read_blobs(tree, wanted_of(seen), seen)
    return seen


def wanted_of(seen: Seen) -> list[Wanted]:
    """One request a listed file, as each has a path of its own."""
    return [
        Wanted(entry.oid, "code", None, [entry.path])
        for entry in seen.listed.values()
        if entry.oid is not None and entry.reason is None
    ]


def read_blobs(tree: Tree, wanted: list[Wanted], seen: Seen) -> None:
    """Read, and hold the tree to what it promises about every piece."""
    answered: list[Wanted] = []
    for part, blobs in tree.read(wanted):
        answered += part
        assert len(part) == len(blobs.offsets) == len(blobs.sizes)
        ends = blobs.offsets + blobs.sizes
        assert len(blobs.buffer) >= int(ends.max(initial=0)) + 64
        seen.largest_buffer_bytes = max(seen.largest_buffer_bytes, len(blobs.buffer))
        for i, blob in enumerate(part):
            assert (blobs.sizes[i] == -1) == (i in blobs.problems)
            if i in blobs.problems:
                seen.problems[blob.paths[0]] = blobs.problems[i]
            else:
                content = blobs.buffer[int(blobs.offsets[i]) : int(ends[i])]
                seen.contents[blob.paths[0]] = bytes(content)
    assert answered == wanted
