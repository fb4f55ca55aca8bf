"""The scripts on machines that lack something: one line says what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci" / "run"]
COREUTILS = ("cat", "cksum", "dirname", "find", "grep", "sh", "sort", "tr", "xargs")

GOOD = "#!/bin/sh\nexit 0\n"
OLD = '#!/bin/sh\ncase "$*" in *version_info*) exit 1 ;; esac\n'
BARE = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n'


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_executable_plain_shell(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(script)], check=True)


def setup_on(machine: dict[str, str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run `scripts/setup` in a checkout without .venv where only these commands are installed."""
    checkout, commands = tmp_path / "a check out", tmp_path / "bin"
    commands.mkdir()
    for name in ("scripts", "codelupe_daemon"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, checkout)
    for name in COREUTILS:
        (commands / name).symlink_to(str(shutil.which(name)))
    for name, script in machine.items():
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    return subprocess.run(
        [str(checkout / "scripts" / "setup")],
        env={"PATH": str(commands)},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("machine", "advice"),
    [
        ({}, "git is missing: apt-get install git python3-venv"),
        ({"git": GOOD}, "Python is missing: apt-get install python3-venv git"),
        (
            {"git": GOOD, "python3": OLD},
            "Python is older than 3.11: apt-get install python3.11 python3.11-venv git",
        ),
        (
            {"git": GOOD, "python3": BARE},
            "python3 cannot make virtual environments: apt-get install python3-venv git",
        ),
        (
            {"git": GOOD, "python3": OLD, "python3.11": BARE},
            "python3.11 cannot make virtual environments: apt-get install python3.11-venv git",
        ),
    ],
)
def test_what_is_missing_is_named_in_one_line(
    machine: dict[str, str], advice: str, tmp_path: Path
) -> None:
    done = setup_on(machine, tmp_path)
    assert (done.returncode, done.stderr) == (1, f"setup: {advice}\n")


def test_a_newer_python_beside_an_old_one_is_taken(tmp_path: Path) -> None:
    done = setup_on({"git": GOOD, "python3": OLD, "python3.12": GOOD}, tmp_path)
    assert done.stderr.startswith("setup: making .venv with")


def test_an_unknown_option_is_a_usage_error() -> None:
    done = subprocess.run([str(ROOT / "scripts" / "setup"), "--fast"], check=False)
    assert done.returncode == 2


@pytest.mark.timeout(300)
def test_quickstart_shows_the_main_job_and_then_that_nothing_is_new(tmp_path: Path) -> None:
    first, again = (
        subprocess.run(
            [str(ROOT / "scripts" / "quickstart")],
            cwd=tmp_path,
            env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for _ in range(2)
    )
    assert "new texts" in first
    assert "left out: not code" in first
    assert "def read_file" in first
    assert first.count(".venv/bin/codelupe ") == 3
    assert "nothing new" in again
