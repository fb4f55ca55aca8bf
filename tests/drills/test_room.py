"""A disk that is full, and a store that must not be written."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.conftest import Reference
from tests.drills.process import done, ingest, mount, state, verified

pytestmark = pytest.mark.timeout(600)
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; only root may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    if not IS_ROOT or not mount("-t", "tmpfs", "-o", "size=2m", "drill", place):
        pytest.skip("only root, with the right to mount, can make a small file system")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(sources: list[Path], reference: Reference, small_disk: Path) -> None:
    store = small_disk / "store.db"
    full = ingest(store, sources)
    assert full.code == 1
    assert "full" in full.errors
    assert "Traceback" not in full.errors
    assert mount("-o", "remount,size=200m", small_disk)
    done(ingest(store, sources))
    assert state(store) == reference.state
    assert verified(store)


def _few_bytes_a_file() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))


def test_a_limit_on_the_size_of_files(
    sources: list[Path], reference: Reference, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    full = ingest(store, sources, preexec_fn=_few_bytes_a_file)
    assert full.code == 1
    assert "Traceback" not in full.errors
    done(ingest(store, sources))
    assert state(store) == reference.state
    assert verified(store)


def test_a_read_only_store(small_disk: Path) -> None:
    store, source = small_disk / "store.db", small_disk / "source"
    source.mkdir()
    (source / "shapes.py").write_text("def area(width, height):\n    return width * height\n" * 4)
    done(ingest(store, [source]))
    before = store.read_bytes()
    assert mount("-o", "remount,ro", small_disk)
    refused = ingest(store, [source])
    assert refused.code == 1
    assert "read-only" in refused.errors
    assert "Traceback" not in refused.errors
    assert store.read_bytes() == before
    assert mount("-o", "remount,rw", small_disk)
    assert done(ingest(store, [source]))["files"]["unchanged"] == 1
    assert verified(store)
