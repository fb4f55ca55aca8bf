from __future__ import annotations

from pathlib import Path

import pytest

from codelupe_daemon.discover.named import named
from codelupe_daemon.errors import Rejected, UsageError
from codelupe_daemon.model import Repo


@pytest.mark.parametrize(
    ("url", "full_name"),
    [
        ("https://github.com/owner/name", "owner/name"),
        ("https://github.com/owner/name.git", "owner/name"),
        ("https://www.github.com/owner/name/", "owner/name"),
        ("git@github.com:owner/name.git", "owner/name"),
        ("ssh://git@github.com/owner/name.git", "owner/name"),
        ("https://GitLab.com/group/sub/name.git", "gitlab.com/group/sub/name"),
        ("https://example.org:8443/a%20b.git", "example.org:8443/a b"),
        ("git://example.org/x", "example.org/x"),
        ("host:path/to/x.git", "host/path/to/x"),
        ("file:///srv/x.git", "/srv/x.git"),
    ],
)
def test_urls(url: str, full_name: str) -> None:
    assert named(url) == [Repo(full_name, url)]


def test_local_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    absolute = str(tmp_path / "sub")
    assert named("./sub/") == [Repo(absolute, absolute, is_local=True)]


def test_an_existing_folder_wins_over_its_reading_as_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a:b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert named("a:b")[0].is_local


def test_lists(tmp_path: Path) -> None:
    lines = ["# sources", "", f"  {tmp_path}  ", "https://github.com/o/n", str(tmp_path / "gone")]
    (tmp_path / "list").write_text("\n".join(lines))
    repos = named(f"@{tmp_path / 'list'}")
    assert [repo.full_name for repo in repos] == [str(tmp_path), "o/n", str(tmp_path / "gone")]


def test_lists_are_not_nested(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("@other\n")
    with pytest.raises(UsageError, match="nested"):
        named(f"@{tmp_path / 'list'}")


@pytest.mark.parametrize(
    "url",
    [
        "https://me:s3cret@example.org/x",
        "https://s3cret@example.org/x",
        "ssh://git:s3cret@example.org/x",
    ],
)
def test_secrets_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="ssh") as caught:
        named(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "ext::sh -c true",
        "fd::17",
        "ftp://example.org/x",
        "ext://x/y",
        "https:///x",
        "https://example.org/",
        "ssh://-oProxyCommand=x/y",
        "-host:y",
        "https://[x/y",
        "https://example.org:port/y",
        "a\nb",
        "\udcff",
        "",
    ],
)
def test_refused(source: str) -> None:
    with pytest.raises(UsageError):
        named(source)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "does not exist"),
        ("owner/name", "https://github.com/owner/name"),
        ("file", "not a folder"),
        ("@gone", "cannot read the list"),
    ],
)
def test_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Rejected, match=reason):
        named(name)
