"""SQL as another program asks it, past the registry."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import zstandard

from tests.contract.stores import URL
from tests.servers.postgres import query


def rows_of(store: str, place: Path, file: str, statement: str) -> list[tuple[Any, ...]]:
    """`file`: of an embedded store, which of its files."""
    if store != "sqlite":
        return query((place / URL).read_text(), statement)
    with closing(sqlite3.connect(f"file:{place / file}?mode=ro", uri=True)) as db:
        db.create_function(
            "codelupe_text", 1, lambda packed: packed and zstandard.decompress(packed).decode()
        )
        return db.execute(statement).fetchall()
