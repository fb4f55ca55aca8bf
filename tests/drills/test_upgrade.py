"""A store of the first release under the present one: its schema, and its verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import apsw
import orjson
import pytest
import zstandard

from codelupe_daemon.journal import sqlite_files
from codelupe_daemon.journal.sql import migrations
from tests import builders
from tests.drills.process import done, ingest, rows, run

OLD = "1.12345678"
CODE = "def area(width, height):\n    return width * height\n\n\n" * 2
SECRET = f'\npassword = "{"x8Hs7dKq" + "92LmPzW4"}"\n'
FILES = {"area.py": CODE, "secret.py": CODE + SECRET, "left_out.py": CODE + "# left out\n"}


def old_store(path: Path, source: Path, files: Mapping[str, str]) -> None:
    """What the first release wrote, with a file that it left out by a rule of its own."""
    path.parent.mkdir(parents=True)
    with closing(apsw.Connection(str(path))) as cx:
        cx.execute(f"pragma page_size = {sqlite_files.PAGE_BYTES}")
        cx.execute(migrations("sqlite")[0])
        cx.execute(f"pragma application_id = {sqlite_files.APPLICATION_ID}")
        cx.execute("pragma user_version = 1")
        cx.execute(
            "insert into repositories (id, full_name, location, is_local, file_count, state,"
            " examined_by) values (1, ?, ?, 1, 3, 'done', ?)",
            (str(source), str(source), OLD),
        )
        for number, (name, text) in enumerate(files.items(), 1):
            record(cx, number, name, text)


def record(cx: apsw.Connection, number: int, name: str, text: str) -> None:
    raw = text.encode()
    oid = hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).digest()
    content_hash = hashlib.blake2b(raw, digest_size=16).digest()
    is_out = name == "left_out.py"
    cx.execute(
        "insert into occurrences values (1, ?, ?, 'text:Python', 'Python', ?, ?, null, ?)",
        (name, oid, None if is_out else content_hash, "data" if is_out else None, OLD),
    )
    if is_out:
        return
    cx.execute(
        "insert into journal (id, op, content_hash, content_chars, language, quality_score,"
        " signals, repo_id, file_path, oid, examiner_version, created_at, content)"
        " values (?, 'add', ?, ?, 'Python', 90.0, '{}', 1, ?, ?, ?, 0, ?)",
        (
            number, content_hash, len(text), name, oid, OLD,
            zstandard.ZstdCompressor(level=1).compress(raw),
        ),
    )  # fmt: skip
    cx.execute("insert into contents values (?, ?, ?, 1, ?)", (content_hash, number, number, name))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    source = builders.folder(
        tmp_path / "source", {name.encode(): text.encode() for name, text in FILES.items()}
    )
    path = tmp_path / "store" / "codelupe.db"
    old_store(path, source, FILES)
    return path


def test_reexamine_brings_a_store_up_to_date(store: Path) -> None:
    summary = done(run("reexamine", "--json", "--store", store))
    assert summary["texts"] == 2
    assert summary["left out files"] == 1
    assert summary["repositories visited"] == 1
    versions = rows(store, "select distinct substr(examiner_version, 1, 2) from occurrences")
    assert OLD[:2] not in {version for (version,) in versions}
    assert done(run("verify", "--json", "--store", store))["ok"]
    live = rows(store, "select file_path, signals, fingerprint is not null from live order by 1")
    assert [(path, has_print) for path, _, has_print in live] == [
        ("area.py", 1), ("left_out.py", 1), ("secret.py", 1)
    ]  # fmt: skip
    assert orjson.loads(live[0][1])["names"] == ["area"]
    again = done(run("reexamine", "--json", "--store", store))
    assert not any(again.values())


def test_reexamine_redacts_what_was_recorded(store: Path) -> None:
    done(run("reexamine", "--json", "--store", store))
    text = rows(store, "select content from journal where content is not null")
    unpack = zstandard.ZstdDecompressor().decompress
    assert all(b"x8Hs7dKq" not in unpack(packed) for (packed,) in text)
    [(signals,)] = rows(store, "select signals from live where file_path = 'secret.py'")
    assert orjson.loads(signals)["redacted"] == {"secret": 1}


def test_an_old_store_takes_the_next_visit(store: Path, tmp_path: Path) -> None:
    done(ingest(store, [tmp_path / "source"]))
    assert done(run("verify", "--json", "--store", store))["ok"]
    assert len(rows(store, "select 1 from live")) == 3
