"""From a repository's name to its tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from codelupe_daemon.errors import Rejected
from codelupe_daemon.fetch.clone import clone, has_refs
from codelupe_daemon.fetch.folder import FolderTree
from codelupe_daemon.fetch.repository import GitTree
from codelupe_daemon.fetch.scratch import temporary_folder
from codelupe_daemon.fetch.tree import FetchLimits, Tree
from codelupe_daemon.git import Git, GitFailed, find_git_dir, prepare_home
from codelupe_daemon.model import Reason, Repo


class _Store(NamedTuple):
    """Where a repository keeps its objects, and what HEAD is (None: nothing was committed)."""

    objects: Path
    object_format: str
    head: bytes | None


@contextmanager
def open_tree(
    repo: Repo,
    limits: FetchLimits,
    scratch: Path,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Tree]:
    """The repository as it is now; a URL is cloned below `scratch` until the end.

    Once `is_stopping`, a clone is given up. Raises `Rejected` (cannot be read, has no HEAD) and
    `Transient` (the network failed).
    """
    if repo.is_local:
        with _open_local(Path(repo.location), limits, scratch) as tree:
            yield tree
        return
    with temporary_folder(scratch) as work:
        prepare_home(work / "home")
        target = work / "clone"
        clone(repo.location, target, work / "home", limits, is_stopping)
        store = _inspect(target, work / "home", limits)
        if store.head is None and has_refs(repo.location, work / "home", limits):
            raise Rejected("no HEAD: it names a branch that does not exist")
        # Git fetches missing blobs one by one; the view knows no remote, so they are just missing.
        yield GitTree(_view(store, work, limits), limits, store.head, (Reason.TOO_LARGE, None))


@contextmanager
def _open_local(folder: Path, limits: FetchLimits, scratch: Path) -> Iterator[Tree]:
    git_dir = _git_dir(folder)
    if git_dir is None:
        yield FolderTree(folder, limits)
        return
    with temporary_folder(scratch) as work:
        prepare_home(work / "home")
        store = _inspect(git_dir.absolute(), work / "home", limits)
        yield GitTree(_view(store, work, limits), limits, store.head)


def _git_dir(folder: Path) -> Path | None:
    try:
        if not folder.is_dir():
            raise Rejected("is not a folder" if folder.exists() else "does not exist")
        return find_git_dir(folder)
    except OSError as error:
        raise Rejected(f"cannot be opened: {error.strerror}") from error


def _inspect(git_dir: Path, home: Path, limits: FetchLimits) -> _Store:
    """The only calls that read the repository's own configuration; none of them can act on it."""
    git = Git(home, limits.git_timeout_s, limits.memory_bytes, git_dir)
    try:
        answer = git.capture("rev-parse", "--show-object-format", "--git-path", "objects")
    except GitFailed as error:
        reason = "no HEAD, or a damaged one" if "not a git repo" in error.reason else error.reason
        raise Rejected(reason) from error
    object_format, objects = answer.decode("utf-8", "surrogateescape").splitlines()[:2]
    return _Store(home / objects, object_format, _head(git))


def _head(git: Git) -> bytes | None:
    try:
        return bytes.fromhex(git.capture("rev-parse", "--verify", "-q", "HEAD").decode().strip())
    except GitFailed as error:
        if not _has_content(git):
            return None
        raise Rejected("no HEAD: it names a branch that does not exist") from error


def _has_content(git: Git) -> bool:
    if git.capture("for-each-ref", "--count=1"):
        return True
    counts = dict(line.split(b": ") for line in git.capture("count-objects", "-v").splitlines())
    return any(int(counts.get(name, b"0")) for name in (b"count", b"in-pack"))


def _view(store: _Store, work: Path, limits: FetchLimits) -> Git:
    """A repository of our own over the other's objects, so that its settings are never read."""
    git_dir = work / "view"
    (git_dir / "refs").mkdir(parents=True)
    (git_dir / "HEAD").write_text("ref: refs/heads/none\n")
    extension = f"[extensions]\n\tobjectFormat = {store.object_format}\n"
    version = 0 if store.object_format == "sha1" else 1
    core = f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = true\n"
    (git_dir / "config").write_text(core + (extension if version else ""))
    home = work / "home"
    return Git(home, limits.git_timeout_s, limits.memory_bytes, git_dir, store.objects)
