"""What only the embedded index can lack."""

from __future__ import annotations

from pathlib import Path

import pytest

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.search.fts5 import Fts5


async def test_without_an_index(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="codelupe replay search"):
        await Fts5(journal, tmp_path / "none.db").search("walrus")
