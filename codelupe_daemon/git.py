"""Git in subprocesses that trust nothing: not the repository, not its settings, not its server.

Every call gets an environment built from nothing, a session of its own that is killed as a whole
at the time limit, and limits on memory and on the size of any file it writes (a memfd is a file to
the kernel, so that also caps what git prints into one). `prlimit` sets them because a
`preexec_fn` would turn vfork into fork, which is slow in a large process.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which
from time import monotonic
from typing import NamedTuple

from codelupe_daemon.errors import Fatal, Rejected

_INHERITED = (
    *("PATH", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_SETTINGS = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.maxTreeDepth", "4096"),
    ("core.bigFileThreshold", "2m"),  # larger blobs are streamed, not held
    ("core.packedGitWindowSize", "64m"),
    ("core.packedGitLimit", "512m"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("init.templateDir", ""),
    ("safe.directory", "*"),
    ("submodule.recurse", "false"),
    ("advice.detachedHead", "false"),
)
_SSH = "ssh -oBatchMode=yes -oNumberOfPasswordPrompts=0 -oConnectTimeout=30"
_ERROR_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 18
_TICK_S = 0.5


class GitFailed(Rejected):
    """A git command did not end well. `code` is negative for a signal; `errors` is its stderr."""

    def __init__(self, reason: str, code: int = 0, errors: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.errors = errors


class Ended(NamedTuple):
    """How a command ended: its code (negative: the signal) and what it said on stderr."""

    code: int
    errors: str


class Filled(NamedTuple):
    """What a command printed: a memfd that the caller closes, and its size in bytes."""

    fd: int
    size_bytes: int
    ended: Ended
    is_cut: bool
    """The output reached its limit and is incomplete."""


@dataclass(frozen=True, slots=True)
class Git:
    """How git is called. `home` is a folder of ours that holds the only configuration read.

    `objects` replaces the object store of `git_dir`. `protocol` is the one transport allowed;
    none by default, so that nothing is ever fetched while reading. Once `is_stopping`, commands
    fail that do not end at once.
    """

    home: Path
    timeout_s: float
    memory_bytes: int
    git_dir: Path | None = None
    objects: Path | None = None
    protocol: str = ""
    is_stopping: Callable[[], bool] = lambda: False

    def capture(self, *arguments: str, output_bytes: int = 1 << 20) -> bytes:
        """What the command prints. Raises `GitFailed`, also for more than `output_bytes`."""
        filled = self.fill(arguments, b"", output_bytes)
        try:
            _check(arguments, filled.ended)
            return os.pread(filled.fd, filled.size_bytes, 0)
        finally:
            os.close(filled.fd)

    def fill(self, arguments: tuple[str, ...], stdin: bytes, output_bytes: int) -> Filled:
        """Run a command between two memfds: pipes would play ping-pong with the reader.

        Never raises for what the command did, except `GitFailed` past the time limit.
        """
        output = os.memfd_create("git-output")
        try:
            with _memfd(stdin) as source, _memfd() as errors:
                process = self._spawn(arguments, output_bytes, source, output, errors)
                ended = _finish(process, arguments, errors, self)
        except BaseException:
            os.close(output)
            raise
        size_bytes = os.fstat(output).st_size
        return Filled(output, size_bytes, ended, size_bytes >= output_bytes)

    def stream(self, *arguments: str) -> Iterator[bytes]:
        """What the command prints, in blocks; the time limit counts only while waiting for git."""
        with _memfd() as source, _memfd() as errors:
            process = self._spawn(arguments, _ERROR_BYTES, source, subprocess.PIPE, errors)
            try:
                while block := _next_block(process, arguments, self.timeout_s):
                    yield block
                ended = _finish(process, arguments, errors, self)
            finally:
                _reap(process)
                if process.stdout:
                    process.stdout.close()
        _check(arguments, ended)

    def transfer(self, *arguments: str, output_bytes: int, stall_s: float) -> Ended:
        """Run a command that talks to a server and reports its progress on stderr.

        No file that it writes grows beyond `output_bytes`. Raises `GitFailed` when nothing
        moved for `stall_s`, and past the time limit.
        """
        with _memfd() as source, _memfd() as errors, _memfd() as output:
            process = self._spawn(arguments, output_bytes, source, output, errors)
            return _finish(process, arguments, errors, self, stall_s)

    def _spawn(
        self, arguments: tuple[str, ...], file_bytes: int, stdin: int, stdout: int, stderr: int
    ) -> subprocess.Popen[bytes]:
        limits = (f"--fsize={file_bytes}", f"--as={self.memory_bytes}", "--core=0")
        command = [_program("prlimit"), *limits, _program("git")]
        if self.git_dir:
            command += ["--git-dir", str(self.git_dir)]
        return subprocess.Popen(
            [*command, *_settings(), *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=self.home,
            env=self._environment(),
            start_new_session=True,
            # Python ignores SIGXFSZ; inherited, that makes git say that a file is too large.
            restore_signals=False,
        )

    def _environment(self) -> dict[str, str]:
        environment = _base_environment() | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
            # Unlike protocol.allow=never, a repository's own protocol.ext.allow cannot outrank it.
            "GIT_ALLOW_PROTOCOL": self.protocol,
        }
        if self.objects:
            environment["GIT_OBJECT_DIRECTORY"] = str(self.objects)
        return environment


def prepare_home(home: Path) -> None:
    """Make the folder that stands in for HOME; `safe.directory` must also reach upload-pack."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "gitconfig").write_text("[safe]\n\tdirectory = *\n")


def find_git_dir(folder: Path) -> Path | None:
    """The git folder of a clone at exactly this place, bare or not; None for a plain folder."""
    dot_git = folder / ".git"
    if dot_git.is_dir():
        return dot_git
    if dot_git.is_file():
        return _linked_git_dir(dot_git)
    is_bare = (folder / "objects").is_dir() and (folder / "refs").is_dir()
    has_files = any((folder / name).is_file() for name in ("HEAD", "config", "packed-refs"))
    return folder if is_bare and has_files else None


def last_words(errors: str) -> str:
    """The line of stderr that says what went wrong."""
    lines = [line.strip() for line in errors.replace("\r", "\n").splitlines() if line.strip()]
    fatal = [line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")]
    telling = [line for line in fatal if not line.startswith("Could not read from remote")]
    said = [line for line in lines if not line.startswith(("fatal: ", "Cloning into"))]
    chosen = telling[-1:] or (said[:1] if fatal else said[-1:]) or lines[-1:] or [""]
    return chosen[0][:300]


def _linked_git_dir(dot_git: Path) -> Path | None:
    """What the `.git` file of a worktree or submodule points to."""
    with dot_git.open("rb") as file:
        first = file.read(4096).split(b"\n", 1)[0]
    if not first.startswith(b"gitdir: "):
        return None
    return dot_git.parent / os.fsdecode(first.removeprefix(b"gitdir: ").strip())


@cache
def _program(name: str) -> str:
    path = which(name)
    if path is None:
        package = "util-linux" if name == "prlimit" else name
        raise Fatal(f"{name} is not installed: apt-get install {package}")
    return path


@cache
def _settings() -> tuple[str, ...]:
    return tuple(part for name, value in _SETTINGS for part in ("-c", f"{name}={value}"))


@cache
def _base_environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_SSH_COMMAND": _SSH,
        "GIT_SSH_VARIANT": "ssh",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


@contextmanager
def _memfd(content: bytes = b"") -> Iterator[int]:
    fd = os.memfd_create("git")
    try:
        with memoryview(content) as view:
            written = 0
            while written < len(view):
                written += os.write(fd, view[written:])
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _next_block(
    process: subprocess.Popen[bytes], arguments: tuple[str, ...], timeout_s: float
) -> bytes:
    assert process.stdout is not None
    if not _readable(process.stdout.fileno(), timeout_s):
        raise _timed_out(arguments, timeout_s)
    return os.read(process.stdout.fileno(), _BLOCK_BYTES)


def _readable(fd: int, timeout_s: float) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(max(0.0, timeout_s) * 1000))


def _finish(
    process: subprocess.Popen[bytes],
    arguments: tuple[str, ...],
    errors: int,
    git: Git,
    stall_s: float | None = None,
) -> Ended:
    """Wait for the end. A pidfd wakes at once, where `Popen.wait(timeout)` polls with pauses."""
    pidfd = os.pidfd_open(process.pid)
    try:
        _await_end(pidfd, arguments, errors, git, stall_s)
    finally:
        os.close(pidfd)
        code = _reap(process)
    said = os.pread(errors, _ERROR_BYTES, max(0, os.fstat(errors).st_size - (1 << 14)))
    return Ended(code, said.decode("utf-8", "replace"))


def _await_end(
    pidfd: int, arguments: tuple[str, ...], errors: int, git: Git, stall_s: float | None
) -> None:
    deadline, moved_at, said_bytes = monotonic() + git.timeout_s, monotonic(), 0
    while not _readable(pidfd, min(_TICK_S, deadline - monotonic())):
        now, size_bytes = monotonic(), os.fstat(errors).st_size
        if size_bytes > _ERROR_BYTES:
            raise GitFailed(f"git {arguments[0]} prints errors without end")
        if size_bytes != said_bytes:
            moved_at, said_bytes = now, size_bytes
        if now >= deadline:
            raise _timed_out(arguments, git.timeout_s)
        if git.is_stopping():
            raise GitFailed(f"git {arguments[0]} was given up")
        if stall_s is not None and now - moved_at >= stall_s:
            raise GitFailed(f"no answer within {stall_s:g} s")


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of the session; the leader is not yet reaped, so its id is still ours."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _check(arguments: tuple[str, ...], ended: Ended) -> None:
    if ended.code == 0:
        return
    how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"failed ({ended.code})"
    words = last_words(ended.errors) or f"git {arguments[0]} {how}"
    raise GitFailed(words, ended.code, ended.errors)


def _timed_out(arguments: tuple[str, ...], timeout_s: float) -> GitFailed:
    return GitFailed(f"git {arguments[0]} took longer than {timeout_s:g} s")
