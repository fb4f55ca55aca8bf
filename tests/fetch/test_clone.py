"""Cloning, from servers that behave and servers that do not."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

import pytest

from codelupe_daemon.errors import Rejected, Transient
from codelupe_daemon.fetch import FetchLimits, sweep
from codelupe_daemon.model import Reason
from tests import builders
from tests.fetch.conftest import Look, Seen
from tests.git_server import git_server, silent_server

FILES = {b"a.py": b"a = 1\n", b"sub/b.py": b"b = 2\n" * 100, b"large.py": b"l" * 3000}
TEXT = {path.decode(): content for path, content in FILES.items()}
SMALL = FetchLimits(max_file_bytes=1000)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return builders.repo(tmp_path / "served" / "r.git", FILES)


def test_a_file_url_is_cloned(origin: Path, look: Look) -> None:
    seen = look(origin.as_uri())
    assert seen.contents == TEXT
    assert seen.commit == bytes.fromhex(builders.git(origin, "rev-parse", "HEAD").decode())


def test_http(origin: Path, look: Look) -> None:
    with git_server(origin.parent) as url:
        assert look(f"{url}/r.git").contents == TEXT


@pytest.mark.parametrize(("server_filters", "measured"), [(True, None), (False, 3000.0)])
def test_large_blobs_are_a_reason_whether_or_not_the_server_leaves_them_out(
    origin: Path, look: Look, *, server_filters: bool, measured: float | None
) -> None:
    builders.git(origin, "config", "uploadpack.allowFilter", str(server_filters).lower())
    with git_server(origin.parent) as url:
        seen = look(f"{url}/r.git", SMALL)
    assert seen.problems == {"large.py": (Reason.TOO_LARGE, measured)}
    assert set(seen.contents) == {"a.py", "sub/b.py"}


def test_a_blob_of_exactly_the_limit_is_not_left_out(origin: Path, look: Look) -> None:
    builders.git(origin, "config", "uploadpack.allowFilter", "true")
    with git_server(origin.parent) as url:
        assert look(f"{url}/r.git", FetchLimits(max_file_bytes=3000)).contents == TEXT


def test_an_empty_repository(tmp_path: Path, look: Look) -> None:
    assert look(builders.empty_repo(tmp_path / "r").as_uri()) == Seen()


def test_no_head(tmp_path: Path, look: Look) -> None:
    path = builders.no_head(tmp_path / "r")
    with pytest.raises(Rejected, match="no HEAD"):
        look(path.as_uri())


def test_a_corrupt_repository(tmp_path: Path, look: Look) -> None:
    path = builders.corrupt_pack(tmp_path / "r", FILES)
    with pytest.raises(Rejected):
        look(path.as_uri())


def test_a_repository_that_does_not_exist(tmp_path: Path, look: Look) -> None:
    with git_server(tmp_path) as url, pytest.raises(Rejected, match="not found"):
        look(f"{url}/gone.git")
    with pytest.raises(Rejected, match="not appear to be a git repo"):
        look((tmp_path / "gone").as_uri())


def test_a_server_that_is_not_there_may_come_back(look: Look) -> None:
    with silent_server() as address:
        pass
    with pytest.raises(Transient):
        look(f"http://{address}/r.git")


def test_a_password_fails_at_once(tmp_path: Path, look: Look) -> None:
    with git_server(tmp_path, wants_password=True) as url:
        started = monotonic()
        with pytest.raises(Rejected, match="wants a password"):
            look(f"{url}/r.git")
        assert monotonic() - started < 10


@pytest.mark.parametrize("scheme", ["http", "git", "ssh"])
def test_a_server_that_never_answers_ends_at_the_limit(look: Look, scheme: str) -> None:
    with silent_server() as address:
        started = monotonic()
        with pytest.raises(Rejected, match="no answer within 1 s"):
            look(f"{scheme}://{address}/r.git", FetchLimits(stall_timeout_s=1.0))
        assert monotonic() - started < 10


def test_the_whole_clone_has_a_time_limit(look: Look) -> None:
    limits = FetchLimits(clone_timeout_s=0.5)
    with silent_server() as address, pytest.raises(Rejected, match=r"longer than 0\.5 s"):
        look(f"http://{address}/r.git", limits)


def test_a_clone_that_outgrows_its_limit(tmp_path: Path, look: Look) -> None:
    path = builders.repo(tmp_path / "r", {b"noise.py": os.urandom(600_000)})
    with pytest.raises(Rejected, match="larger than 100000 bytes"):
        look(path.as_uri(), FetchLimits(max_repo_bytes=100_000))


def test_the_sweep_takes_what_dead_processes_left(tmp_path: Path) -> None:
    (tmp_path / "fetch-1-0-dead" / "clone").mkdir(parents=True)
    (tmp_path / "fetch-999999999-5-dead").mkdir()
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    (tmp_path / f"fetch-{os.getpid()}-{started}-alive").mkdir()
    (tmp_path / "somebody else's").mkdir()
    assert sweep(tmp_path) == 2
    assert {path.name.rpartition("-")[2] for path in tmp_path.iterdir()} == {
        "alive",
        "somebody else's",
    }
    assert sweep(tmp_path / "not there") == 0
