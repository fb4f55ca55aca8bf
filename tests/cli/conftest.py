"""A small store, made by the command itself: two folders, a repository, what is left out of them.

`home` is what the tests may look at; a test that changes something works on a `copy`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import builders
from tests.drills.process import done, ingest

SHAPES = b'"""Shapes."""\n\n\ndef area(width, height):\n    return width * height\n' * 2
GREETING = b"def greet(name):\n    print('hello', name)\n\n\ndef read_file(path):\n    pass\n"
ROTATE = b"pub fn rotate(angle: f64) -> f64 {\n    let turned = angle + 90.0;\n    turned\n}\n"
UNIQUE = b"class OnlyHere:\n    def wombat(self):\n        return 'only here and nowhere else'\n"
TINY = b"x = 1\n"


class Home(NamedTuple):
    """A folder with `one`, `two` and the bare `three.git`, read into `store/codelupe.db`."""

    path: Path

    @property
    def store(self) -> Path:
        return self.path / "store" / "codelupe.db"


def build(path: Path) -> Home:
    home = Home(path)
    builders.folder(path / "one", {
        b"shapes.py": SHAPES, b"sub/greeting.py": GREETING, b"tiny.py": TINY,
        b"new\nline.py": UNIQUE, b"back\\slash.py": SHAPES + b"# other\n",
        b"[b]old.py": GREETING + b"# bold\n", b"-dash.py": GREETING + b"# dash\n",
    })  # fmt: skip
    builders.folder(path / "two", {b"shapes.py": SHAPES, b"notes.md": b"Nothing but words. " * 9})
    builders.repo(path / "three.git", {b"src/rotate.rs": ROTATE, b"bad\xff.py": UNIQUE + b"#\n"})
    return home


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = build(tmp_path_factory.mktemp("cli"))
    for name in ("one", "two", "three.git"):  # in turn: so the journal's rows are always the same
        done(ingest(home.store, [home.path / name]))
    return home


@pytest.fixture
def copy(home: Home, tmp_path: Path) -> Path:
    """A copy of the store; the sources it knows are those of `home`."""
    shutil.copytree(home.store.parent, tmp_path / "store")
    return tmp_path / "store" / "codelupe.db"
