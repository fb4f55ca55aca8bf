"""Pipes, colours, closed streams, completion, settings that are wrong."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from codelupe_daemon.observe.progress import line
from codelupe_daemon.tally import Tally
from tests.cli.conftest import Home
from tests.drills.process import CODELUPE, run

COLOUR = re.compile(r"\x1b\[[\d;]*3\dm|\x1b\[[\d;]*38;")


def on_terminal(*arguments: str | Path) -> str:
    """What a command writes to a terminal."""
    ours, its = pty.openpty()
    with subprocess.Popen([CODELUPE, *arguments], stdout=its, stderr=its, stdin=its) as process:
        os.close(its)
        written = b""
        try:
            while block := os.read(ours, 1 << 16):
                written += block
        except OSError:  # the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


QUOTED = shlex.quote(str(CODELUPE))


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command", ["status", "search area", "ingest {one}", "why {one}/shapes.py"]
)
def test_piped_output_is_plain(home: Home, copy: Path, command: str) -> None:
    ended = run(*command.format(one=home.path / "one").split(), "--store", copy)
    assert ended.code == 0
    assert "\x1b" not in ended.output + ended.errors
    assert ended.output == "".join(f"{line.rstrip()}\n" for line in ended.output.splitlines())


def test_a_terminal_has_colours_unless_unwanted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert COLOUR.search(on_terminal("search", "area", "--store", home.store))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(on_terminal("search", "area", "--store", home.store))


def test_code_does_not_steer_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    source, store = tmp_path / "source", tmp_path / "s.db"
    source.mkdir()
    (source / "evil.py").write_text("def evil(value):\n    return '\x1b]0;owned\x07' + value\n" * 3)
    assert run("ingest", source, "--store", store).code == 0
    seen = on_terminal("search", "owned", "--store", store)
    assert "owned" in seen
    assert "\x1b]0;" not in seen
    content_id = shell(f"{QUOTED} search owned --store {store} | head -1").stdout.split()[-1]
    assert "\x1b]0;" not in on_terminal("show", content_id, "--store", store)


@pytest.mark.parametrize(
    "command", ["ingest {one}", "search area", "export", "why {one}/shapes.py"]
)
def test_a_reader_that_leaves_early_is_no_error_to_tell(
    home: Home, copy: Path, command: str
) -> None:
    whole = f"{QUOTED} {command.format(one=home.path / 'one')} --store {copy}"
    ended = shell(f"{whole} | head -c 0")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(home: Home, copy: Path, closed: str) -> None:
    ended = shell(f"{QUOTED} ingest {home.path}/one --store {copy} {closed}")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_completion_for_bash() -> None:
    script = shell(f"{QUOTED} --show-completion; exit").stdout  # asked by the shell that runs it
    typed = "COMP_WORDS=(codelupe exp); COMP_CWORD=1; _codelupe_completion codelupe"
    path = f"PATH={shlex.quote(str(CODELUPE.parent))}:$PATH"
    completed = shell(f"{path}\n{script}\n{typed}\necho ${{COMPREPLY[@]}}")
    assert completed.stdout.strip() == "export"


def test_completion_is_installed_for_bash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ended = shell(f"{QUOTED} --install-completion; exit")
    assert ended.returncode == 0, ended.stderr
    assert "codelupe" in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("CODELUPE_REPO_WORKERS", "many", "'many'"),
        ("CODELUPE_MIN_QUALITY", "7", "less than or equal to 1"),
        ("CODELUPE_REPO_WORKER", "2", "did you mean 'repo_workers'"),
        ("CODELUPE_STORE", "http://host/x", "sqlite:///FILE"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, hint: str
) -> None:
    monkeypatch.setenv(variable, value)
    ended = run("status")
    assert (ended.code, ended.output) == (2, "")
    assert hint in ended.errors
    assert variable in ended.errors or value in ended.errors


def test_progress_names_who_is_waited_for_until_its_turn_is_over() -> None:
    tally = Tally(sources=2)
    tally.waiting_for("ada/lovelace")
    assert "ada/lovelace is visited by another process: waiting" in line(tally)
    tally.source_done("ada/lovelace")
    assert line(tally).startswith("1/2 sources")
    assert "waiting" not in line(tally)


def test_every_command_has_help() -> None:
    usage = run("--help").output
    for command in re.findall(r"^  (\w+)  ", usage, re.MULTILINE):
        assert "--json" in run(command, "--help").output
