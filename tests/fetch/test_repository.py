"""Git repositories, sound, damaged and hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from codelupe_daemon.errors import Rejected
from codelupe_daemon.fetch import FetchLimits, open_tree
from codelupe_daemon.model import Reason, Repo, Wanted
from codelupe_daemon.paths import escape_path
from tests import builders
from tests.fetch.conftest import Look, Seen, read_blobs

MANY = 100_000 if builders.FULL else 10_000
HUGE_BYTES = (2 << 30) if builders.FULL else (256 << 20)
FILES = {b"a.py": b"a = 1\n", b"sub/b.py": b"b = 2\n" * 100, b"sub/empty.py": b"", b"z.py": b"z"}
TEXT = {path.decode(): content for path, content in FILES.items()}


def test_listing_and_contents_in_git_order(tmp_path: Path, look: Look) -> None:
    path = builders.repo(tmp_path / "r", FILES)
    seen = look(path)
    assert seen.commit == bytes.fromhex(builders.git(path, "rev-parse", "HEAD").decode())
    assert list(seen.listed) == ["a.py", "sub/b.py", "sub/empty.py", "z.py"]
    assert seen.listed["a.py"].oid == builders.blob_id(b"a = 1\n")
    assert seen.contents == TEXT


def test_a_work_tree_is_read_through_git(tmp_path: Path, look: Look) -> None:
    path = builders.work_tree(tmp_path / "r", FILES)
    (path / "uncommitted.py").write_text("no = 1\n")
    assert look(path).contents == TEXT


def test_a_linked_worktree_is_read_through_git(tmp_path: Path, look: Look) -> None:
    path = builders.repo(tmp_path / "r", FILES)
    builders.git(path, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    assert look(tmp_path / "linked").contents == TEXT


def test_sha256_repositories(tmp_path: Path, look: Look) -> None:
    path = builders.empty_repo(tmp_path / "r", object_format="sha256")
    seen = look(builders.repo(path, FILES))
    assert seen.contents == TEXT
    assert len(seen.commit or b"") == 32


def test_an_empty_repository_has_no_pages_and_no_commit(tmp_path: Path, look: Look) -> None:
    assert look(builders.empty_repo(tmp_path / "r")) == Seen()


@pytest.mark.parametrize("build", [builders.no_head, builders.without_head_file])
def test_no_head(tmp_path: Path, look: Look, build: Look) -> None:
    build(tmp_path / "r")
    with pytest.raises(Rejected, match="no HEAD"):
        look(tmp_path / "r")


def test_a_corrupt_pack_is_rejected(tmp_path: Path, look: Look) -> None:
    builders.corrupt_pack(tmp_path / "r", FILES)
    with pytest.raises(Rejected):
        look(tmp_path / "r")


def test_missing_objects_cost_only_themselves(tmp_path: Path, look: Look) -> None:
    files = builders.tiny_files(50)
    lost = [b"d0/f0.py", b"d0/f7.py", b"d0/f49.py"]
    seen = look(builders.missing_object(tmp_path / "r", files, lost))
    assert seen.problems == {name.decode(): (Reason.UNREADABLE, None) for name in lost}
    assert len(seen.contents) == 47


def test_corrupt_objects_cost_only_themselves(tmp_path: Path, look: Look) -> None:
    files = {b"f%d.py" % i: b"%d = " % i + bytes(range(256)) * 8 for i in range(60)}
    hurt = [b"f0.py", b"f1.py", b"f30.py", b"f59.py"]
    seen = look(builders.corrupt_object(tmp_path / "r", files, hurt))
    assert seen.problems == {name.decode(): (Reason.UNREADABLE, None) for name in hurt}
    assert seen.contents == {
        name.decode(): content for name, content in files.items() if name not in hurt
    }


def test_an_id_that_is_no_blob_is_unreadable(tmp_path: Path) -> None:
    path = builders.repo(tmp_path / "r", FILES)
    tree_id = bytes.fromhex(builders.git(path, "rev-parse", "HEAD^{tree}").decode())
    wanted = [Wanted(tree_id, "", None, ["t"]), Wanted(builders.blob_id(b"z"), "", None, ["z"])]
    seen = Seen()
    with open_tree(Repo("r", str(path), is_local=True), FetchLimits(), tmp_path / "s") as tree:
        read_blobs(tree, wanted, seen)
    assert (seen.problems, seen.contents) == ({"t": (Reason.UNREADABLE, None)}, {"z": b"z"})


def test_a_tree_of_3000_folders(tmp_path: Path, look: Look) -> None:
    seen = look(builders.deep_repo(tmp_path / "r", 3000))
    assert [(entry.reason, entry.measured) for entry in seen.listed.values()] == [
        (Reason.TOO_DEEP, 3000)
    ]


def test_a_tree_without_end_is_rejected(tmp_path: Path, look: Look) -> None:
    builders.endless_repo(tmp_path / "r")
    with pytest.raises(Rejected, match="more than 20000 files"):
        look(tmp_path / "r", FetchLimits(max_files=20_000))


def test_an_endless_path_is_rejected(tmp_path: Path, look: Look) -> None:
    builders.repo(tmp_path / "r", {b"/".join([b"d" * 250] * 20): b""})
    with pytest.raises(Rejected, match="a path of more than 4096 bytes"):
        look(tmp_path / "r", FetchLimits(max_path_bytes=4096))


def test_many_tiny_files(tmp_path: Path, look: Look) -> None:
    files = builders.tiny_files(MANY)
    seen = look(builders.repo(tmp_path / "r", files), FetchLimits(page_files=1000))
    assert len(seen.contents) == MANY
    assert seen.contents["d3/f399.py"] == b"x = 399\n"
    assert seen.largest_page < 1000 + (1 << 18) // 50


def test_odd_paths(tmp_path: Path, look: Look) -> None:
    files = {path: b"%d" % i for i, path in enumerate(builders.ODD_PATHS)}
    seen = look(builders.repo(tmp_path / "r", files))
    assert seen.contents == {escape_path(path): content for path, content in files.items()}


def test_links_and_submodules_are_reasons(tmp_path: Path, look: Look) -> None:
    files = {b"loop": b"loop", b"out": b"/etc/passwd", b"a.py": b"a"}
    modes = {b"loop": builders.LINK, b"out": builders.LINK}
    seen = look(builders.repo(tmp_path / "r", files, modes=modes))
    assert seen.reasons() == {"loop": Reason.SYMLINK, "out": Reason.SYMLINK}
    assert seen.contents == {"a.py": b"a"}


def test_a_submodule_with_a_program_for_a_url_runs_nothing(tmp_path: Path, look: Look) -> None:
    seen = look(builders.ext_submodule(tmp_path / "r", tmp_path / "ran"))
    assert seen.reasons() == {"s": Reason.SUBMODULE}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("as_url", [False, True])
def test_nothing_in_a_repository_s_settings_runs(
    tmp_path: Path, look: Look, *, as_url: bool
) -> None:
    path = builders.repo(tmp_path / "r", FILES)
    builders.hostile_config(path, tmp_path / "ran")
    assert look(path.as_uri() if as_url else path).contents == TEXT
    assert not (tmp_path / "ran").exists()


def test_a_missing_blob_of_a_hostile_partial_clone_is_not_fetched(
    tmp_path: Path, look: Look
) -> None:
    path = builders.missing_object(tmp_path / "r", FILES, [b"a.py"])
    builders.hostile_config(path, tmp_path / "ran")
    assert look(path).problems == {"a.py": (Reason.UNREADABLE, None)}
    assert not (tmp_path / "ran").exists()


def test_a_huge_blob_is_measured_and_left(tmp_path: Path, look: Look) -> None:
    seen = look(builders.huge_blob(tmp_path / "r", HUGE_BYTES, FILES))
    assert seen.problems == {"huge.py": (Reason.TOO_LARGE, HUGE_BYTES)}
    assert seen.contents == TEXT
    assert seen.largest_buffer_bytes <= (16 << 20) + 64


def test_an_object_that_announces_a_petabyte(tmp_path: Path, look: Look) -> None:
    seen = look(builders.lying_blob(tmp_path / "r", 1 << 50, FILES))
    assert seen.problems == {"bomb.py": (Reason.TOO_LARGE, 1 << 50)}
    assert seen.contents == TEXT


def test_a_pack_of_bombs_costs_one_look_at_the_sizes(tmp_path: Path, look: Look) -> None:
    path = builders.packed_bombs(tmp_path / "r", 8, 3 << 20)
    seen = look(path, FetchLimits(batch_bytes=2 << 20))
    assert set(seen.reasons().values()) == {Reason.TOO_LARGE}
    assert len(seen.problems) == 8
    assert seen.contents == {"kept.py": b"kept = 1\n"}
    assert seen.largest_buffer_bytes <= (2 << 20) + 64


def test_one_line_of_50_mb(tmp_path: Path, look: Look) -> None:
    seen = look(builders.repo(tmp_path / "r", {b"line.py": b"x" * 50_000_000}))
    assert seen.problems == {"line.py": (Reason.TOO_LARGE, 50_000_000)}


def test_pieces_stay_below_their_limit(tmp_path: Path, look: Look) -> None:
    files = {b"f%02d.py" % i: b"%d" % i * 9000 for i in range(40)} | {b"large": b"l" * 30_000}
    limits = FetchLimits(max_file_bytes=20_000, batch_bytes=50_000)
    seen = look(builders.repo(tmp_path / "r", files), limits)
    assert seen.largest_buffer_bytes <= 50_000 + 64
    assert seen.problems == {"large": (Reason.TOO_LARGE, 30_000)}
    del files[b"large"]
    assert seen.contents == {path.decode(): content for path, content in files.items()}


def test_changes_since_an_earlier_commit(tmp_path: Path) -> None:
    git_dir = builders.repo(tmp_path / "r", {b"a": b"1", b"d/b": b"2", b"d/gone": b"3", b"t": b"4"})
    before = builders.git(git_dir, "rev-parse", "HEAD").decode().strip()
    builders.commit(git_dir, [(b"a", b"1"), (b"d/b", b"22"), (b"n\n", b"5"), (b"t", b"a")],
                    {b"t": "120000"})  # fmt: skip
    local = Repo(str(git_dir), str(git_dir), is_local=True)
    with open_tree(local, FetchLimits(), tmp_path / "scratch") as tree:
        pages = tree.changes(bytes.fromhex(before))
        assert pages is not None
        changes = list(pages)
        listed = {entry.path: entry for change in changes for entry in change.listed}
        whole = {entry.path: entry for page in tree.pages() for entry in page}
        assert listed == {path: whole[path] for path in ("d/b", "n\\x0a", "t")}
        assert listed["t"].reason is Reason.SYMLINK
        assert [path for change in changes for path in change.gone] == ["d/gone"]
        assert tree.changes(bytes(20)) is None
