"""What holds for the embedded store alone: its file, its view, its damage."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal import sqlite_files
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.model import Reason
from tests.contract.build import Ingest, all_live, content, hash_of, repo, text

A, B, C = text("a"), text("b"), text("c")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[SqliteJournal]:
    """Three contents, one of them in two repositories, and one file that was left out."""
    opened = SqliteJournal(path)
    await opened.open(create=True)
    ingest = Ingest(opened)
    await ingest.complete("b/b", {"b.py": B, "z.py": A, "big.py": Reason.TOO_LARGE})
    await ingest.complete(repo("a/a", "MIT", 3), {"a.py": A, "c.py": C})
    yield opened
    await opened.close()


def rows(path: Path, statement: str) -> list[tuple[apsw.SQLiteValue, ...]]:
    """Plain SQL, as a person would write it."""
    with apsw_connection(path) as cx:
        return list(cx.execute(statement))


@contextmanager
def apsw_connection(path: Path) -> Iterator[apsw.Connection]:
    cx = sqlite_files.connect(path)
    try:
        yield cx
    finally:
        cx.close()


# -- the view processed_files ---------------------------------------------------------------------


async def test_processed_files_shows_each_live_content_once(
    journal: SqliteJournal, path: Path
) -> None:
    shown = rows(
        path, "select id, file_path, content, language, quality_score from processed_files"
    )
    live = await all_live(journal)
    assert sorted(shown) == sorted(
        (one.id, one.place.path, one.content, one.language, one.quality) for one in live
    )
    assert {row[1:3] for row in shown} == {("a.py", A), ("b.py", B), ("c.py", C)}


async def test_processed_files_keeps_the_id_and_shows_the_newest_verdict(
    journal: SqliteJournal, path: Path
) -> None:
    before = {row[0]: row[1] for row in rows(path, "select content, id from processed_files")}
    newer = Ingest(journal, examiner="examiner-2")
    visit = await newer.begin("b/b")
    piece = newer.part(visit, {"b.py": B}, language="Cython")
    verdict = content(journal, B, language="Cython", score=0.123)
    await journal.append([piece._replace(contents={verdict.key: verdict})])
    shown = rows(path, "select content, id, language, quality_score from processed_files")
    assert {row[0]: row[1] for row in shown} == before
    assert [row[2:] for row in shown if row[0] == B] == [("Cython", 12.3)]


async def test_processed_files_never_shows_the_dead(journal: SqliteJournal, path: Path) -> None:
    ingest = Ingest(journal)
    await ingest.complete("b/b", {"new.py": A})
    await journal.forget_content(hash_of(C))
    await ingest.complete(repo("a/a", "MIT", 3), {})
    await ingest.complete("b/b", {"back.py": B})
    assert rows(path, "select file_path, content, count(*) from processed_files") == [
        ("back.py", B, 1)
    ]


async def test_the_seeds_sql_works(journal: SqliteJournal, path: Path) -> None:
    shown = rows(
        path,
        "select id, content, language, quality_score from processed_files where id > 0 "
        "and quality_score >= 70 and length(content) between 10 and 1000 "
        "and created_at > datetime('now', '-1 hour') order by quality_score desc limit 2",
    )
    assert len(shown) == 2


# -- takedowns leave no byte ----------------------------------------------------------------------


async def test_erase_leaves_no_byte_of_a_takedown(path: Path) -> None:
    """The text is packed, so what is looked for is its packed form, whole and in pieces."""
    noise = "".join(f"{hash_of(str(number)).hex()}\n" for number in range(40))
    journal = SqliteJournal(path)
    await journal.open(create=True)
    ingest = Ingest(journal)
    packed = content(journal, noise).packed
    assert packed is not None
    await ingest.complete("a/a", {"key.py": noise, "b.py": B})
    await journal.forget_places("a/a", "key.py")
    await journal.erase()
    files = [one.read_bytes() for one in path.parent.iterdir()]
    pieces = [packed[start : start + 24] for start in range(0, len(packed) - 24, 100)]
    assert not [piece for piece in pieces for data in files if piece in data]
    assert await ingest.live() == {B: "a/a/b.py"}
    await journal.close()


# -- verify finds what is wrong -------------------------------------------------------------------


DAMAGE = {
    "text of another": "update journal set content = (select content from journal where id = 2) "
    "where id = 1",
    "text broken": "update journal set content = x'28b52ffd00' where id = 1",
    "text lost": "update journal set content = null where id = 1",
    "kept and left out": "update occurrences set reason = 'data' where path = 'c.py'",
    "neither of both": "update occurrences set reason = null where path = 'big.py'",
    "content unknown": "update occurrences set content_hash = zeroblob(16), reason = null "
    "where path = 'big.py'",
    "content stands nowhere": "delete from occurrences where path = 'c.py'",
    "content not live": "delete from contents where path = 'c.py'",
    "place not best": "update contents set path = 'z.py', "
    "repo_id = (select id from repositories where full_name = 'b/b') where path = 'a.py'",
    "standing altered": "update repositories set license = null where full_name = 'a/a'; "
    "update repositories set license = 'MIT' where full_name = 'b/b'",
    "newest of another": "update contents set newest_id = 1 where path = 'c.py'",
    "add that is none": "update contents set add_id = newest_id where path = 'a.py'",
    "move lost": "delete from journal where op = 'move'",
    "removed yet live": "insert into journal "
    "(op, content_hash, content_chars, repo_id, file_path, created_at) "
    "select 'remove', content_hash, 0, repo_id, file_path, 0 from journal where id = 1",
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_verify_finds_planted_damage(journal: SqliteJournal, path: Path, damage: str) -> None:
    assert (await journal.verify())[1] == []
    with apsw_connection(path) as cx:
        cx.execute(DAMAGE[damage])
        assert cx.total_changes() > 0
    assert (await journal.verify())[1] != []


async def test_verify_finds_a_damaged_page(journal: SqliteJournal, path: Path) -> None:
    await Ingest(journal).complete("n/n", {f"{n}.py": text(f"n{n}") for n in range(500)})
    await journal.close()
    with sqlite3.connect(path) as plain:
        plain.execute("pragma wal_checkpoint(truncate)")
    plain.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - size // 3)
        file.write(b"\xaa" * (size // 3))
    damaged = SqliteJournal(path)
    try:
        await damaged.open(create=False)
        problems = (await damaged.verify())[1]
    except Fatal as error:
        problems = [str(error)]
    await damaged.close()
    assert problems


# -- a store that cannot be used ------------------------------------------------------------------


async def fatal(path: Path, *, create: bool = True) -> str:
    """The message with which opening and writing ends."""
    journal = SqliteJournal(path)

    async def use() -> None:
        await journal.open(create=create)
        await Ingest(journal).complete("x/x", {"x.py": text("x")})

    with pytest.raises(Fatal) as caught:
        await use()
    await journal.close()
    return str(caught.value)


async def test_a_store_that_is_not_there(path: Path) -> None:
    assert str(path) in await fatal(path, create=False)
    assert not path.exists()


async def test_a_store_from_a_newer_version(journal: SqliteJournal, path: Path) -> None:
    await journal.close()
    with apsw_connection(path) as cx:
        cx.execute("pragma user_version = 999")
    before = path.read_bytes()
    assert "newer" in await fatal(path)
    assert path.read_bytes() == before


async def test_a_database_of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("create table journal (id integer)")
    other.close()
    assert "another program" in await fatal(path)
    assert rows_of_other(path) == [("journal",)]


def rows_of_other(path: Path) -> list[tuple[str]]:
    with sqlite3.connect(path) as other:
        found = other.execute("select name from sqlite_schema").fetchall()
    other.close()
    return found


@pytest.mark.parametrize("data", [b"not a database at all\n" * 900, b"\0" * 40_000])
async def test_a_file_that_is_no_database(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert str(path) in await fatal(path)
    assert path.read_bytes() == data


async def test_a_folder_in_place_of_the_store(path: Path) -> None:
    path.mkdir()
    assert str(path) in await fatal(path)


async def test_a_full_disk_loses_nothing_that_was_recorded(
    journal: SqliteJournal, path: Path
) -> None:
    """`max_page_count` gives the very error of a full disk, on every new connection."""
    before = await Ingest(journal).live()
    await journal.close()

    def nearly_full(cx: apsw.Connection) -> None:
        pages = cx.execute("pragma page_count").get
        cx.execute(f"pragma max_page_count = {pages + 3}")

    apsw.connection_hooks.append(nearly_full)
    full = SqliteJournal(path)
    try:
        await full.open(create=False)
        ingest = Ingest(full)
        with pytest.raises(Fatal, match=r"(?i)room|full|space"):
            await ingest.complete("x/x", {f"{n}.py": text(f"n{n}") for n in range(3000)})
        assert await ingest.live() == before
    finally:
        apsw.connection_hooks.remove(nearly_full)
        await full.close()
    again = SqliteJournal(path)
    await again.open(create=False)
    await Ingest(again).complete("y/y", {"y.py": text("y")})
    assert (await again.verify())[1] == []
    await again.close()


def run_apart(code: str, path: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, whose limits or rights are lowered first."""
    script = f"""
import asyncio, pathlib, resource, sys
from tests.contract.test_sqlite import fatal
{code}
print(asyncio.run(fatal(pathlib.Path(sys.argv[1]))))
"""
    return subprocess.run(
        [*before, sys.executable, "-c", script, path],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip


async def test_a_file_that_may_not_grow(journal: SqliteJournal, path: Path) -> None:
    """A quota or a file size limit is not SQLite's `full`, and is explained all the same."""
    await journal.close()
    limit = path.stat().st_size
    done = run_apart(f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit // 2},) * 2)", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(path) in done.stdout


async def test_a_store_that_is_read_only(journal: SqliteJournal, path: Path) -> None:
    """Root may write anything, unless it is started without that right."""
    await journal.close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    unprivileged: list[str] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        assert setpriv is not None, "util-linux is part of every Debian"
        unprivileged = [setpriv, "--bounding-set=-all", "--inh-caps=-all"]
    done = await asyncio.to_thread(run_apart, "", path, *unprivileged)
    path.parent.chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(path) in done.stdout
    assert "write" in done.stdout


# -- the file itself ------------------------------------------------------------------------------


async def test_the_wal_stays_small(journal: SqliteJournal, path: Path) -> None:
    """Many small batches and a reader beside them: nothing keeps old pages alive."""
    ingest = Ingest(journal)
    visit = await ingest.begin("n/n")
    for number in range(300):
        await ingest.record(visit, {f"{number}.py": text(f"n{number}") * 200})
        await journal.read(number, 10)
    wal = path.with_name(f"{path.name}-wal")
    assert wal.stat().st_size <= 64 << 20


async def test_the_file_is_as_the_design_says(journal: SqliteJournal, path: Path) -> None:
    [[page_size]] = rows(path, "pragma page_size")
    [[mode]] = rows(path, "pragma journal_mode")
    assert (page_size, mode) == (16384, "wal")
    [[stored]] = rows(path, "select content from journal where op = 'add' limit 1")
    assert isinstance(stored, bytes)
    assert stored[:4] == b"\x28\xb5\x2f\xfd"


async def test_opening_again_changes_nothing(journal: SqliteJournal, path: Path) -> None:
    before = await journal.read(0, 99)
    second = SqliteJournal(path)
    await second.open(create=True)
    assert await second.read(0, 99) == before
    assert second.location == str(path)
    await second.close()
