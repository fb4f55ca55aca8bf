"""What the trainer's tables say, for those who may not know the trainer: nothing where none are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson

from codelupe_daemon.journal import sqlite_files as files
from codelupe_daemon.journal.sql import queries
from codelupe_daemon.journal.sqlite_look import connect_read_only

if TYPE_CHECKING:
    from codelupe_daemon.journal.postgres_server import Server

CONSUMER: Final = "trainer"
DEFAULT_PROFILE: Final = "qwen2.5-coder-14b"
"""Its consumer has no profile in its name."""

Place: TypeAlias = "Path | Server"
"""Where the tables may lie: a file of their own, or the journal's database."""


class Saw(NamedTuple):
    """A version that was trained on some text, itself or by one that it began from."""

    profile: str
    version: str
    path: str
    is_active: bool


def beside(store: Path) -> Path:
    """The trainer's file of an embedded store."""
    return store.with_name(f"{store.stem}-trainer{store.suffix or '.db'}")


async def watermarks(place: Place) -> dict[str, int]:
    """Up to which row of the journal trainers have considered every one, by consumer."""
    return {
        CONSUMER if profile == DEFAULT_PROFILE else f"{CONSUMER}@{profile}": row_id
        for profile, row_id in await _ask(place, "training_watermarks")
    }


async def versions_that_saw(place: Place, hashes: Iterable[bytes]) -> list[Saw]:
    """By profile, newest first."""
    found = await _ask(place, "versions_that_saw", [one.hex() for one in hashes])
    return [Saw._make((*names, bool(is_active))) for _, *names, is_active in found]


async def _ask(place: Place, statement: str, *bound: list[str]) -> list[Any]:
    if isinstance(place, Path):
        return await asyncio.to_thread(_ask_file, place, statement, bound)
    if not await place.value("select to_regclass('training_schema') is not null"):
        return []
    return await place.rows(queries("postgres", "training.sql")[statement], *bound)


def _ask_file(path: Path, statement: str, bound: tuple[list[str], ...]) -> list[Any]:
    if not path.exists():
        return []
    with files.explained(path):
        cx = connect_read_only(path)
        try:
            if not cx.table_exists("main", "model_versions"):  # it is being made
                return []
            json = [orjson.dumps(one).decode() for one in bound]
            return cx.execute(queries("sqlite", "training.sql")[statement], json).fetchall()
        finally:
            cx.close()
