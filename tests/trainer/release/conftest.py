from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.release import rounds


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """What training left."""
    return rounds.result(tmp_path / "work" / "best")


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A folder that publishing makes."""
    return tmp_path / "var" / "models"
