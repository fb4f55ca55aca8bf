"""Files that move, change, vanish and return; and takedowns, also in the middle of a visit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.drills.conftest import commit
from tests.drills.process import (
    done,
    end,
    found,
    ingest,
    number,
    rows,
    run,
    running,
    verified,
    wait_until,
    why,
)

pytestmark = pytest.mark.timeout(600)
MARKER = "qzvolatilewombat"
SECRET = f"def {MARKER}(value):\n    return value + 20461\n\n\nclass Kept{MARKER}:\n    pass\n"
PLAIN = "def area(width, height):\n    return width * height\n\n\ndef double(value):\n    pass\n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder / "store.db"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    return folder


def visit(store: Path, repo: Path) -> dict[str, Any]:
    commit(repo)
    answer: dict[str, Any] = done(ingest(store, [repo]))
    return answer


def ops(store: Path) -> list[tuple[str, str]]:
    return [(op, path) for op, path in rows(store, "select op, file_path from journal order by id")]


def test_moved_changed_deleted_restored(store: Path, repo: Path) -> None:
    place = repo / "shapes.py"
    place.write_text(PLAIN)
    assert visit(store, repo)["files"] | {"unchanged": 0} == {
        "listed": 1, "accepted": 1, "new": 1, "left_out": 0, "unchanged": 0
    }  # fmt: skip
    first = why(store, str(place))["id"]

    moved = place.rename(repo / "forms.py")
    visit(store, repo)
    assert why(store, str(moved))["id"] == first
    assert run("why", str(place), "--store", store).code == 1

    moved.write_text(PLAIN.replace("width", "breadth"))
    visit(store, repo)
    assert found(store, "width") == (0, [])
    assert found(store, "breadth") == (1, [why(store, str(moved))["id"]])

    moved.unlink()
    visit(store, repo)
    assert found(store, "breadth") == (0, [])

    place.write_text(PLAIN)
    assert visit(store, repo)["files"]["new"] == 1
    assert found(store, "width") == (1, [first])
    assert ops(store) == [
        ("add", "shapes.py"),
        ("move", "forms.py"),
        ("add", "forms.py"),
        ("remove", "forms.py"),
        ("remove", "forms.py"),
        ("add", "shapes.py"),
    ]
    assert visit(store, repo)["files"]["new"] == 0
    assert verified(store)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("how", ["path", "repository", "content"])
def test_after_a_takedown_no_byte_is_left(
    store: Path, repo: Path, tmp_path: Path, how: str
) -> None:
    (repo / "secret.py").write_text(SECRET)
    (repo / "plain.py").write_text(PLAIN)
    visit(store, repo)
    content_id = why(store, f"{repo}/secret.py")["id"]
    ((packed,),) = rows(
        store, "select content from journal where hex(content_hash) = ?", content_id.upper()
    )
    before = everything_in(store.parent)
    assert packed in before
    assert MARKER.encode() in before

    what: dict[str, list[str]] = {
        "path": [f"{repo}/secret.py"],
        "repository": [str(repo)],
        "content": ["--content", content_id],
    }
    done(run("forget", "--json", "--store", store, *what[how]))
    after = everything_in(store.parent)
    # Compressed, the text holds pieces of itself that no chance makes twice.
    assert not [k for k in range(16, len(packed) - 16) if packed[k : k + 16] in after]
    assert MARKER.encode() not in after
    assert found(store, MARKER) == (0, [])
    assert verified(store)

    fork = tmp_path / "fork"
    fork.mkdir()
    (fork / "copy.py").write_text(SECRET)
    if how == "content":
        visit(store, fork)
        assert why(store, f"{fork}/copy.py")["reason"] == "taken down"
    visit(store, repo)
    assert why(store, f"{repo}/secret.py")["reason"] == "taken down"
    assert found(store, MARKER) == (0, [])


def test_a_takedown_in_the_middle_of_a_visit(store: Path, repo: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    for n in range(1200):
        text = f"def number_{n}(value):\n    return value * {n}\n" * 4
        (repo / f"m{n:04}.py").write_text(text)
    (repo / "a_secret.py").write_text(SECRET)
    (repo / "z_secret.py").write_text(f"# drill: wait\n{SECRET}")
    commit(repo)
    first = "select count(*) from contents where path = 'a_secret.py'"
    with running("ingest", "--json", "--store", store, repo, gate=gate) as process:
        assert wait_until(lambda: number(store, first) > 0, process)
        done(run("forget", f"{repo}/*secret.py", "--json", "--store", store))
        gate.touch()
        answer = done(end(process))
    assert answer["files"]["listed"] == 1202
    for path in ("a_secret.py", "z_secret.py"):
        assert why(store, f"{repo}/{path}")["reason"] == "taken down"
    assert rows(store, "select count(*) from contents") == [(1200,)]
    assert found(store, MARKER) == (0, [])
    assert verified(store)
    done(run("forget", f"{repo}/*secret.py", "--json", "--store", store))
    assert MARKER.encode() not in everything_in(store.parent)
