from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

import pytest

from codelupe_daemon.git import Git, GitFailed, find_git_dir, last_words, prepare_home
from tests import builders


@pytest.fixture
def open_git(tmp_path: Path) -> Callable[..., Git]:
    """Git over one repository; options as in `Git`."""
    path = builders.repo(tmp_path / "r", {b"a.py": b"a = 1\n"})
    prepare_home(tmp_path / "home")

    def make(timeout_s: float = 30.0, memory_bytes: int = 4 << 30) -> Git:
        return Git(tmp_path / "home", timeout_s, memory_bytes, path)

    return make


def test_what_it_prints(open_git: Callable[..., Git]) -> None:
    assert open_git().capture("cat-file", "-p", "HEAD:a.py") == b"a = 1\n"
    assert b"".join(open_git().stream("ls-tree", "--name-only", "HEAD")) == b"a.py\n"


def test_no_variable_of_the_caller_reaches_git(
    open_git: Callable[..., Git], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_TRACE", "/nonexistent/trace")
    git = open_git()
    shown = git.capture("-c", "alias.env=!env", "env").decode()
    names = {line.split("=")[0] for line in shown.splitlines() if line.startswith("GIT_")}
    assert "GIT_TRACE" not in names
    assert f"HOME={git.home}\n" in shown
    assert {"GIT_TERMINAL_PROMPT", "GIT_NO_LAZY_FETCH", "GIT_ALLOW_PROTOCOL"} <= names


def test_failures_say_why(open_git: Callable[..., Git]) -> None:
    with pytest.raises(GitFailed, match="Not a valid object name gone") as caught:
        open_git().capture("cat-file", "-p", "gone")
    assert caught.value.code == 128
    with pytest.raises(GitFailed, match="Not a valid object name gone"):
        list(open_git().stream("ls-tree", "gone"))


def test_a_time_limit_ends_the_whole_group(open_git: Callable[..., Git], tmp_path: Path) -> None:
    script = f"!sleep 600 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(GitFailed, match=r"longer than 0\.5 s"):
        open_git(timeout_s=0.5).capture("-c", f"alias.hang={script}", "hang")
    pid = int((tmp_path / "pid").read_text())
    assert _ends(pid)


def test_a_stream_that_is_left_ends_its_process(
    open_git: Callable[..., Git], tmp_path: Path
) -> None:
    script = f"!echo $$ > {tmp_path}/pid; echo first; exec sleep 600"
    stream = open_git().stream("-c", f"alias.talk={script}", "talk")
    assert next(stream) == b"first\n"
    stream.close()  # type: ignore[attr-defined]
    assert _ends(int((tmp_path / "pid").read_text()))


def test_a_stream_that_says_nothing_ends_at_the_limit(open_git: Callable[..., Git]) -> None:
    with pytest.raises(GitFailed, match="longer than"):
        list(open_git(timeout_s=0.3).stream("-c", "alias.hang=!sleep 600", "hang"))


def test_output_is_cut_at_its_limit(open_git: Callable[..., Git]) -> None:
    filled = open_git().fill(("-c", "alias.flood=!exec cat /dev/zero", "flood"), b"", 100_000)
    os.close(filled.fd)
    assert (filled.size_bytes, filled.is_cut) == (100_000, True)
    assert filled.ended.code != 0


def test_memory_is_limited(open_git: Callable[..., Git]) -> None:
    with pytest.raises(GitFailed):
        open_git(memory_bytes=1 << 20).capture("cat-file", "-p", "HEAD:a.py")


def test_where_a_clone_keeps_its_git_folder(tmp_path: Path) -> None:
    bare = builders.repo(tmp_path / "bare", {b"a": b"a"})
    clone = builders.work_tree(tmp_path / "clone", {b"sub/a": b"a"})
    builders.git(bare, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / ".git").write_text("nothing that git would write\n")
    assert find_git_dir(bare) == bare
    assert find_git_dir(clone) == clone / ".git"
    assert find_git_dir(tmp_path / "linked") == bare / "worktrees" / "linked"
    assert find_git_dir(clone / "sub") is None
    assert find_git_dir(tmp_path / "odd") is None


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ("warning: x\nfatal: bad object HEAD\n", "bad object HEAD"),
        ("Cloning into 'x'...\nfatal: y\n\nPlease make sure\n", "y"),
        ("ERROR: gone.\nfatal: Could not read from remote repository.\n\nPlease\n", "ERROR: gone."),
        (
            "fatal: 'x' is no repository\nfatal: Could not read from remote\n",
            "'x' is no repository",
        ),
        ("progress 1%\rprogress 2%\rerror: z\n", "error: z"),
        ("", ""),
    ],
)
def test_last_words(errors: str, words: str) -> None:
    assert last_words(errors) == words


def _ends(pid: int) -> bool:
    """Whether the process is gone within a moment; killing does not wait for grandchildren."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        return bool(poller.poll(5000))
    finally:
        os.close(pidfd)
