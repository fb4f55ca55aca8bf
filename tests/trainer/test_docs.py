"""What a person can type, set or be told by the trainer is documented, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from trainer.cli import app
from trainer.profile import Profile
from trainer.types import ENDED, Format, NotTaken

DOCS = Path(__file__).parent.parent.parent / "docs"
TRAINING = (DOCS / "training.md").read_text("utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group
KEYS = {
    f"{section}.{key}": field
    for section, whole in Profile.model_fields.items()
    if section != "name"
    for key, field in whole.annotation.model_fields.items()  # type: ignore[union-attr]  # a section
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    assert f"| `{name}` |" in TRAINING
    options = {opt for one in COMMANDS[name].params for opt in one.opts if opt.startswith("--")}
    assert [opt for opt in sorted(options) if f"`{opt}" not in TRAINING] == []


def test_every_key_of_a_profile_is_documented_with_its_default() -> None:
    page = (DOCS / "profiles.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.+) \|$", page, re.MULTILINE)
    assert [key for key, _, _ in rows] == list(KEYS)
    for key, told, meaning in rows:
        assert len(meaning) > 3, key
        default = KEYS[key].get_default(call_default_factory=True)
        if isinstance(default, int | float | str) and not isinstance(default, bool):
            assert told == f"`{default}`", key


@pytest.mark.parametrize("what", [*NotTaken, *sorted(ENDED), *Format], ids=str)
def test_every_reason_outcome_and_format_is_documented(what: str) -> None:
    assert re.search(rf"^\| [^|]*\b{re.escape(what)}\b", TRAINING, re.MULTILINE)
