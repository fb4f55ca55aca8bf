"""Servers from published Java artifacts, built by Maven once for each state of their sources."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.servers.process import Unavailable, bound, program

# Read when the tests are loaded: later they have a home of their own.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codelupe-test-servers"
BUILD_S = 900


class Project(NamedTuple):
    """A Maven project beside this file, the oldest JDK that it can do with, its properties."""

    folder: Path
    jdk: int
    properties: tuple[str, ...] = ()

    @property
    def target(self) -> Path:
        """Where this state of the sources is built."""
        digest = hashlib.sha256(" ".join(self.properties).encode())
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                digest.update(str(path.relative_to(self.folder)).encode() + path.read_bytes())
        return CACHE / f"{self.folder.name}-{digest.hexdigest()[:12]}"

    def java(self, *options: str) -> list[str]:
        """The words that run its Main; raises Unavailable where it is not built."""
        target = self.target
        if not target.exists():
            raise Unavailable(f"{self.folder.name} is not built: scripts/servers")
        program_path = str(jdk_home(self.jdk) / "bin" / "java")
        return [program_path, *options, "-cp", f"{target}/node.jar:{target}/lib/*", "loopback.Main"]

    def build(self) -> None:
        """Build it unless it is; raises Unavailable with the end of what Maven said."""
        home, maven = jdk_home(self.jdk), program("mvn", "maven")
        if self.target.exists():
            return
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            work = Path(scratch) / "work"
            shutil.copytree(self.folder, work)
            defines = [f"-D{definition}" for definition in self.properties]
            done = subprocess.run(
                [*bound(""), maven, "-q", "-B", *defines, "package"],
                cwd=work,
                env=os.environ | {"JAVA_HOME": str(home)},
                timeout=BUILD_S,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode:
                raise Unavailable(f"Maven cannot build {self.folder.name}:\n{done.stdout[-2000:]}")
            with suppress(FileExistsError):  # another one was quicker
                (work / "target").rename(self.target)


def jdk_home(least: int) -> Path:
    """The oldest JDK that is new enough; raises Unavailable."""
    given = [Path(os.environ["JAVA_HOME"])] if "JAVA_HOME" in os.environ else []
    homes = [*given, *Path("/usr/lib/jvm").glob("*")]
    fit = [home for home in homes if (home / "bin" / "javac").exists() and release(home) >= least]
    if not fit:
        raise Unavailable(f"no JDK {least} or newer: apt-get install default-jdk-headless")
    return min(fit, key=release)


def release(home: Path) -> int:
    """The JDK's number, such as 17; 0 where it does not tell."""
    about = home / "release"
    text = about.read_text() if about.exists() else ""
    hit = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    return int(hit[1]) if hit else 0
