"""Plain folders, sound, hostile and restless."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from codelupe_daemon.errors import Rejected
from codelupe_daemon.fetch import FetchLimits, open_tree
from codelupe_daemon.model import Reason, Repo
from codelupe_daemon.paths import escape_path
from tests import builders
from tests.fetch.conftest import Look, Seen, read_blobs, wanted_of

MANY = 100_000 if builders.FULL else 10_000
HUGE_BYTES = 2 << 30
FILES = {b"a.py": b"a = 1\n", b"sub/b.py": b"b = 2\n" * 100, b"sub.py": b"", b"z/z/z.py": b"z"}


def test_a_folder_is_listed_and_read_as_git_would(tmp_path: Path, look: Look) -> None:
    in_folder = look(builders.folder(tmp_path / "f", FILES))
    in_git = look(builders.repo(tmp_path / "r", FILES))
    assert in_folder.commit is None
    assert list(in_folder.listed.items()) == list(in_git.listed.items())
    assert in_folder.contents == in_git.contents


def test_git_s_own_folders_are_skipped_at_every_depth(tmp_path: Path, look: Look) -> None:
    builders.folder(tmp_path / "f", {b"a.py": b"a", b"below/.git/config": b"c", b"x/.git": b"g"})
    assert list(look(tmp_path / "f").listed) == ["a.py"]


def test_a_path_below_a_clone_is_a_plain_folder(tmp_path: Path, look: Look) -> None:
    path = builders.work_tree(tmp_path / "r", FILES)
    (path / "sub" / "new.py").write_text("new = 1\n")
    assert set(look(path / "sub").contents) == {"b.py", "new.py"}


def test_links_are_never_followed(tmp_path: Path, look: Look) -> None:
    outside = builders.folder(tmp_path / "outside", {b"secret.py": b"secret = 1\n"})
    seen = look(builders.links(tmp_path / "f", outside))
    assert seen.contents == {"kept.py": b"kept = 1\n", "sub/also.py": b"also = 1\n"}
    assert set(seen.reasons().values()) == {Reason.SYMLINK}
    assert len(seen.reasons()) == 5


def test_what_is_no_file_is_not_listed(tmp_path: Path, look: Look) -> None:
    builders.folder(tmp_path / "f", {b"a.py": b"a"})
    os.mkfifo(tmp_path / "f" / "fifo.py")
    assert list(look(tmp_path / "f").listed) == ["a.py"]


def test_3000_folders(tmp_path: Path, look: Look) -> None:
    path = builders.deep_folder(tmp_path / "f", 3000)
    try:
        seen = look(path)
        deepest = "/".join(["d"] * 257)
        assert {p: (e.reason, e.measured) for p, e in seen.listed.items()} == {
            deepest: (Reason.TOO_DEEP, 257)
        }
    finally:
        subprocess.run(["rm", "-rf", path], check=True)  # pytest's own removal is recursive


def test_many_tiny_files(tmp_path: Path, look: Look) -> None:
    seen = look(builders.folder(tmp_path / "f", builders.tiny_files(MANY)))
    assert len(seen.contents) == MANY
    assert seen.largest_page <= 6000


def test_more_files_than_allowed(tmp_path: Path, look: Look) -> None:
    builders.folder(tmp_path / "f", builders.tiny_files(300))
    with pytest.raises(Rejected, match="more than 250 files"):
        look(tmp_path / "f", FetchLimits(max_files=250))


def test_odd_paths(tmp_path: Path, look: Look) -> None:
    *short, longest = builders.ODD_PATHS
    files = {path: b"%d" % i for i, path in enumerate([*short, longest[-1000:]])}
    seen = look(builders.folder(tmp_path / "f", files))
    assert seen.contents == {escape_path(path): content for path, content in files.items()}


def test_a_huge_file_is_measured_without_reading(tmp_path: Path, look: Look) -> None:
    path = builders.folder(tmp_path / "f", {b"a.py": b"a", b"huge.py": b""})
    os.truncate(path / "huge.py", HUGE_BYTES)
    seen = look(path)
    assert seen.contents == {"a.py": b"a"}
    assert (seen.listed["huge.py"].reason, seen.listed["huge.py"].measured) == (
        Reason.TOO_LARGE,
        HUGE_BYTES,
    )


def test_the_size_limit_is_the_last_size_that_is_read(tmp_path: Path, look: Look) -> None:
    builders.folder(tmp_path / "f", {b"fits": b"1" * 100, b"over": b"1" * 101})
    seen = look(tmp_path / "f", FetchLimits(max_file_bytes=100))
    assert list(seen.contents) == ["fits"]
    assert seen.reasons() == {"over": Reason.TOO_LARGE}


def test_a_folder_that_changes_while_it_is_read(tmp_path: Path) -> None:
    names = [b"grown", b"gone", b"rewritten", b"linked", b"kept", b"folder-linked/f"]
    path = builders.folder(tmp_path / "f", {name: b"old " + name for name in names})
    seen = Seen()
    with open_tree(Repo("f", str(path), is_local=True), FetchLimits(), tmp_path / "s") as tree:
        for page in tree.pages():
            seen.listed.update({entry.path: entry for entry in page})
        (path / "grown").write_bytes(b"x" * (2 << 20))
        (path / "gone").unlink()
        (path / "rewritten").write_bytes(b"new rewritten")
        (path / "linked").rename(tmp_path / "target")
        (path / "linked").symlink_to(tmp_path / "target")
        (path / "folder-linked").rename(tmp_path / "folder")
        (path / "folder-linked").symlink_to(tmp_path / "folder")
        read_blobs(tree, wanted_of(seen), seen)
    assert seen.contents == {"kept": b"old kept"}
    assert set(seen.reasons().values()) == {Reason.CHANGED_WHILE_READ}
    assert len(seen.reasons()) == 5


def test_a_folder_that_vanishes_is_rejected(tmp_path: Path) -> None:
    path = builders.folder(tmp_path / "f", FILES)
    with open_tree(Repo("f", str(path), is_local=True), FetchLimits(), tmp_path / "s") as tree:
        path.rename(tmp_path / "elsewhere")
        with pytest.raises(Rejected, match="No such file"):
            list(tree.pages())


def test_what_may_not_be_read_is_a_reason(tmp_path: Path, look: Look) -> None:
    path = builders.folder(tmp_path / "f", {b"a.py": b"a", b"closed/b.py": b"b", b"c.py": b"c"})
    (path / "a.py").chmod(0)
    (path / "closed").chmod(0)
    if os.access(path / "a.py", os.R_OK):
        pytest.skip("root may read everything")
    seen = look(path)
    (path / "closed").chmod(0o755)
    assert seen.reasons() == {"a.py": Reason.UNREADABLE, "closed": Reason.UNREADABLE}
    assert seen.contents == {"c.py": b"c"}


@pytest.mark.parametrize(("name", "reason"), [("gone", "does not exist"), ("a", "not a folder")])
def test_sources_that_are_no_folder(tmp_path: Path, look: Look, name: str, reason: str) -> None:
    (tmp_path / "a").write_text("a")
    with pytest.raises(Rejected, match=reason):
        look(tmp_path / name)
