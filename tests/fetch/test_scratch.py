"""The folder for temporary files."""

from __future__ import annotations

from pathlib import Path

import pytest

from codelupe_daemon.errors import Fatal
from codelupe_daemon.fetch.scratch import temporary_folder


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="the disk is full"), temporary_folder(tmp_path / "scratch"):
        Path("/dev/full").write_bytes(b"one byte")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), temporary_folder(tmp_path):
        (tmp_path / "nowhere" / "file").read_bytes()
