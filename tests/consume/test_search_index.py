"""What the index holds after each op, and after a takedown."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from codelupe_daemon.consume.search_index import SearchIndex
from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.model import Op
from tests.consume.following import catch_up, rowids
from tests.contract.build import Ingest, repo, text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "codelupe-search.db"


async def test_removes_and_returns(
    journal: Journal, ingest: Ingest, index: SearchIndex, path: Path
) -> None:
    await ingest.complete("a/a", {"x.py": text("walrus"), "y.py": text("otter")})
    await catch_up(journal, index)
    before = rowids(path, "walrus")
    await ingest.complete("a/a", {"y.py": text("otter")})
    await catch_up(journal, index)
    assert rowids(path, "walrus") == []
    await ingest.complete("a/a", {"x.py": text("walrus"), "y.py": text("otter")})
    await catch_up(journal, index)
    [again] = rowids(path, "walrus")
    assert [again] != before
    assert again == await journal.last_id()


async def test_one_page_may_add_remove_and_add_again(
    journal: Journal, ingest: Ingest, index: SearchIndex, path: Path
) -> None:
    for _ in range(2):
        await ingest.complete("a/a", {"x.py": text("walrus")})
        await ingest.complete("a/a", {})
    await ingest.complete("a/a", {"x.py": text("walrus")})
    assert [op for op, _ in await ingest.ops()] == [Op.ADD, Op.REMOVE] * 2 + [Op.ADD]
    await catch_up(journal, index)
    assert rowids(path, "walrus") == [5]


async def test_a_move_changes_nothing(
    journal: Journal, ingest: Ingest, index: SearchIndex, path: Path
) -> None:
    await ingest.complete(repo("z/z"), {"x.py": text("walrus")})
    await catch_up(journal, index)
    await ingest.complete(repo("a/a", "MIT", 100), {"x.py": text("walrus")})
    assert [op for op, _ in await ingest.ops()] == [Op.ADD, Op.MOVE]
    await catch_up(journal, index)
    assert rowids(path, "walrus") == [1]
    assert await index.watermark() == 2


async def test_replay_gives_the_same_index(
    journal: Journal, ingest: Ingest, index: SearchIndex, path: Path
) -> None:
    files = {f"{n}.py": text(f"animal{chr(n)}z") for n in range(97, 117)}
    await ingest.complete("a/a", files)
    await ingest.complete("a/a", dict(list(files.items())[5:]))
    await catch_up(journal, index)
    before = rowids(path, "return")
    await catch_up(journal, index, replay=True)
    assert rowids(path, "return") == before
    assert len(before) == 15
    assert await index.watermark() == await journal.last_id()


async def test_after_a_takedown_no_word_is_left_in_any_file(
    journal: Journal, ingest: Ingest, index: SearchIndex, path: Path
) -> None:
    marker = "qzxvjkwqpphhgg"
    files = {f"{n}.py": text(f"animal{chr(97 + n)}z") for n in range(20)}
    await ingest.complete("a/a", files | {"secret.py": text(marker)})
    await catch_up(journal, index)
    assert _holds(path, marker[3:])
    forgotten = await journal.forget_places("a/a", "secret.py")
    assert len(forgotten.removed_ids) == 1
    await catch_up(journal, index)
    await index.erase()
    assert not _holds(path, marker[3:])
    assert rowids(path, marker) == []
    assert len(rowids(path, "return")) == 20


async def test_erased_again_from_an_index_of_one_segment(
    journal: Journal, ingest: Ingest, index: SearchIndex, path: Path
) -> None:
    markers = ["qzxvjkwqpphhgg", "wjxqkzvvfpqqrr"]
    files = {f"{marker}.py": text(marker) for marker in markers}
    await ingest.complete("a/a", files | {"other.py": text("otter")})
    for marker in markers:
        await journal.forget_places("a/a", f"{marker}.py")
        await catch_up(journal, index)
        await index.erase()
        assert not _holds(path, marker[3:])
    assert len(rowids(path, "return")) == 1


async def test_erased_after_a_replay_too(
    journal: Journal, ingest: Ingest, index: SearchIndex, path: Path
) -> None:
    marker = "qzxvjkwqpphhgg"
    await ingest.complete("a/a", {"only.py": text(marker)})
    await catch_up(journal, index)
    await journal.forget_places("a/a", None)
    await catch_up(journal, index, replay=True)
    await index.erase()
    assert not _holds(path, marker[3:])


async def test_a_newer_index_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "newer-search.db"
    cx = apsw.Connection(str(path))
    cx.execute("pragma user_version = 99")
    cx.close()
    index = SearchIndex(path)
    with pytest.raises(Fatal, match="codelupe replay search"):
        await index.open()
    await index.close()


async def test_a_damaged_index_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "damaged-search.db"
    path.write_bytes(b"no database at all " * 1000)
    index = SearchIndex(path)
    with pytest.raises(Fatal, match="codelupe replay search"):
        await index.open()
    await index.close()


def _holds(path: Path, marker: str) -> bool:
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    return any(marker.encode() in file.read_bytes() for file in files if file.exists())
