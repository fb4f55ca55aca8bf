"""Sources that a person names: URLs, local clones, folders, and files that list them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from codelupe_daemon.errors import Rejected, UsageError
from codelupe_daemon.model import Repo

_SCHEMES = frozenset({"https", "http", "ssh", "git", "file"})
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*::")
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?(?P<host>[A-Za-z0-9_.-]+):(?P<path>[^:].*)")
_GITHUB = frozenset({"github.com", "www.github.com", "ssh.github.com"})
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def named(argument: str) -> list[Repo]:
    """The repositories that one argument of the command names.

    A URL (https, http, ssh, git, file, `git@host:path`), a local clone, a folder, or `@FILE` with
    one of these a line. Raises `UsageError` for what must not be asked, `Rejected` for what is
    not there; a local path inside `@FILE` is looked at only when it is visited.
    """
    if argument.startswith("@"):
        return _listed_in(argument[1:])
    repo = repo_at(argument)
    if repo.is_local:
        _check_folder(argument)
    return [repo]


def _listed_in(file_name: str) -> list[Repo]:
    try:
        text = os.fsdecode(Path(file_name).read_bytes())
    except OSError as error:
        raise Rejected(f"cannot read the list {file_name}: {error.strerror}") from error
    lines = [line.strip() for line in text.splitlines()]
    sources = [line for line in lines if line and not line.startswith("#")]
    if any(source.startswith("@") for source in sources):
        raise UsageError(f"{file_name} names another list: lists cannot be nested")
    return [repo_at(source) for source in sources]


def repo_at(source: str) -> Repo:
    """What one URL or path names; a path is not looked at. Raises `UsageError`."""
    if not source or _UNPRINTABLE.search(source):
        raise UsageError("a source is a URL or path in UTF-8, without control characters")
    if _URL.match(source):
        return _from_url(source)
    if _HELPER.match(source):
        transport = source.partition("::")[0]
        raise UsageError(f"{transport}:: is refused: it runs a program of the source's choice")
    scp_like = _SCP_LIKE.fullmatch(source)
    if scp_like and not os.path.lexists(source):
        host = _checked_host(scp_like["host"])
        return Repo(_full_name(host, scp_like["path"]), source)
    path = os.path.abspath(source)
    return Repo(path, path, is_local=True)


def _from_url(url: str) -> Repo:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"not a URL: {error}") from error
    _check_no_secret(parts)
    if parts.scheme not in _SCHEMES:
        allowed = ", ".join(sorted(_SCHEMES))
        raise UsageError(f"{parts.scheme}:// is refused; git URLs may be {allowed}")
    if parts.scheme == "file":
        return Repo(os.path.normpath(unquote(parts.path)), url)
    host = _checked_host(parts.hostname or "")
    return Repo(_full_name(f"{host}:{port}" if port else host, unquote(parts.path)), url)


def _check_no_secret(parts: SplitResult) -> None:
    """Command lines are seen by every user of the machine, and URLs are recorded."""
    is_token = parts.scheme in {"http", "https"} and parts.username is not None
    if is_token or parts.password is not None:
        raise UsageError(
            "the URL carries a password or token; leave it out and use ssh with a key or an agent"
            " (git@host:owner/name.git)"
        )


def _checked_host(host: str) -> str:
    if not host or host.startswith("-"):
        raise UsageError("the URL names no host")
    return host.lower()


def _full_name(host: str, path: str) -> str:
    name = path.strip("/").removesuffix(".git").rstrip("/")
    if not name or _UNPRINTABLE.search(name):
        raise UsageError("the URL names no repository")
    return name if host in _GITHUB else f"{host}/{name}"


def _check_folder(argument: str) -> None:
    try:
        mode = Path(argument).stat().st_mode
    except OSError as error:
        is_like_github = re.fullmatch(r"[\w.-]+/[\w.-]+", argument)
        hint = f"; on GitHub it would be https://github.com/{argument}" if is_like_github else ""
        is_gone = isinstance(error, FileNotFoundError)
        raise Rejected(f"does not exist{hint}" if is_gone else str(error.strerror)) from error
    if not stat.S_ISDIR(mode):
        raise Rejected("is not a folder")
