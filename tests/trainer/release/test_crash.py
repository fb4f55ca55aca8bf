"""A process that is killed while it publishes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_killed_at_every_kind_of_moment(left: Path, tmp_path: Path) -> None:
    """It leaves nothing under the version's name, or the whole version; published again it is the
    same version."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trainer.release.crashing", left, tmp_path / "models"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    whole = told["whole"]
    assert len(told["outcomes"]) >= 20
    assert {crashed for crashed, _, _ in told["outcomes"]} == {"", whole}
    assert {(again, *names) for _, again, names in told["outcomes"]} == {(whole, "v0001")}
