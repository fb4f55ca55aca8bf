"""A small but real corpus, Python's own library, and what an undisturbed run makes of it."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.drills.process import State, done, found, ingest, last_id, state

STDLIB = Path(sysconfig.get_path("stdlib"))
QUERIES = ("socket timeout", '"return self"')
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.so", "*.whl", "*.exe")


class Reference(NamedTuple):
    """An undisturbed run: its state, its seconds, its answers to QUERIES."""

    state: State
    last_id: int
    seconds: float
    answers: list[tuple[int, list[str]]]


def commit(repo: Path) -> None:
    """Make everything in the folder the new HEAD."""
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "now", "--allow-empty"]):
        subprocess.run(["git", "-C", str(repo), *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Each package a repository, and others with the same texts, so that places are at stake."""
    home = tmp_path_factory.mktemp("sources")
    packages = {
        path.parent.name: [path.parent.name] for path in sorted(STDLIB.glob("*/__init__.py"))
    }
    shared = {"network": ["asyncio", "email", "http", "urllib"], "fork": ["asyncio", "email"]}
    for name, wanted in (packages | shared).items():
        if name != "test":
            copy_packages(wanted, home / name)
            commit(home / name)
    (home / "fork" / "email" / "message.py").write_text("def changed(value):\n" * 20)
    commit(home / "fork")
    copy_packages(["json", "xml", "ctypes"], home / "folder")
    return sorted(home.iterdir())


def copy_packages(packages: list[str], into: Path) -> None:
    for package in packages:
        place = into / package
        shutil.copytree(STDLIB / package, place, ignore=NOT_SOURCES, ignore_dangling_symlinks=True)


@pytest.fixture(scope="session")
def reference(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Reference:
    store = tmp_path_factory.mktemp("reference") / "store.db"
    answer = done(ingest(store, sources))
    answers = [found(store, query) for query in QUERIES]
    return Reference(state(store), last_id(store), answer["seconds"], answers)
