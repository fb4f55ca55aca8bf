"""What a person can type, set or be told is documented, and what is documented exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer

from codelupe_daemon.cli import app
from codelupe_daemon.config import Settings
from codelupe_daemon.examine.signals import SIGNALS
from codelupe_daemon.model import Reason

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHARED = {"--help", "--json", "--store", "--redis", "--elasticsearch", "--mongo"}
"""Options that nearly every command has."""
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@cache
def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def section(command: str) -> str:
    """What docs/commands.md says about a command, from its heading to the next."""
    found = re.search(
        rf"^## `{command}`\n(.*?)(?=^## |\Z)", page("commands.md"), re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/commands.md has no section ## `{command}`"
    return found[1]


def options(name: str) -> set[str]:
    parameters = COMMANDS[name].params
    names = (opt for one in parameters for opt in (*one.opts, *one.secondary_opts))
    return {name for name in names if name.startswith("-")}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    missing = {opt for opt in options(name) if f"`{opt}" not in text}
    assert missing - SHARED == set()


def test_what_every_command_knows_is_documented_once() -> None:
    stored = COMMANDS.keys() - {"examine", "copy"}  # no store, and two of them
    assert all("--json" in options(name) for name in COMMANDS)
    assert all(options(name) >= SHARED - {"--help"} for name in stored)
    shared = page("commands.md").split("\n## ")[0]
    assert [opt for opt in SHARED if f"`{opt}" not in shared] == []


def test_only_commands_that_exist_are_documented() -> None:
    assert set(re.findall(r"^## `([\w-]+)`$", page("commands.md"), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in page("settings.md")


def test_only_settings_that_exist_are_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", page("settings.md"), re.MULTILINE))
    assert documented == set(Settings.model_fields)


def test_every_reason_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `([\w ]+)` \|", page("reasons.md"), re.MULTILINE)
    assert sorted(documented) == sorted(Reason)


def test_every_signal_is_documented_with_its_weight() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", page("examine.md"), re.MULTILINE)
    weights = {name: float(weight) for name, weight in rows}
    assert weights == {signal.__name__: weight for signal, weight in SIGNALS}


def typed_commands() -> Iterator[tuple[str, list[str]]]:
    """Every `codelupe ...` line inside a code block of the pages."""
    for path in PAGES:
        for block in re.findall(
            r"^```\w*\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            for line in re.findall(
                r"^(?:\$ )?(?:\.venv/bin/)?codelupe (\w.*)$", block, re.MULTILINE
            ):
                example = re.split(r"\s{2,}|\s[|>]|\s#", line)[0]
                yield f"{path.name}: {example}", shlex.split(example)


@pytest.mark.parametrize(
    "words", [pytest.param(words, id=name) for name, words in typed_commands()]
)
def test_a_command_in_the_documents_exists(words: list[str]) -> None:
    assert words[0] in COMMANDS
    used = {word.split("=")[0] for word in words if word.startswith("--")}
    assert used - options(words[0]) - {"--help"} == set()


@pytest.mark.parametrize("path", [*PAGES, ROOT / "ARCHITECTURE.md"], ids=lambda path: path.name)
def test_links_and_scripts_in_the_documents_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    scripts = re.findall(r"(?<![\w/])(?:scripts|\.ci)/[\w-]+", text)
    named = [path.parent / link for link in links] + [ROOT / name for name in scripts]
    assert [str(target) for target in named if not target.exists()] == []
