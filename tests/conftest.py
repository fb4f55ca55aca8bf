"""What every test stands on: an empty home, git without anybody's configuration, one switch."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.builders import LENIENT

pytest_plugins = ["tests.servers.fixtures"]


@pytest.fixture(scope="session", autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or changes what the person who runs it has configured or stored."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("GIT_", "XDG_")) or (
                name.startswith("CODELUPE_") and not name.startswith("CODELUPE_TEST_")
            ):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        for setting, value in LENIENT.items():
            patch.setenv(f"CODELUPE_{setting.upper()}", str(value))
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Ada")
            patch.setenv(f"GIT_{who}_EMAIL", "ada@example.org")
            patch.setenv(f"GIT_{who}_DATE", "2026-01-01T00:00:00Z")
        yield


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether the drills run all their rounds (`scripts/test --full`) or a few of them."""
    return os.environ.get("CODELUPE_TEST_FULL") == "1"
