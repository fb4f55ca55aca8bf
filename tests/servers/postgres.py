"""Postgres from the distribution's binaries, and fresh databases on any Postgres."""

from __future__ import annotations

import asyncio
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from tests.servers.process import Server, bound, program

# Commits still reach the operating system, so they outlive a killed server, though not the machine.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
SMALL = {"max_connections": "100", "shared_buffers": "64MB", "timezone": "UTC"}


class Postgres(Server):
    """Its superuser `codelupe` needs a password only where one is given.

    `durable` keeps fsync on, as a drill of lost power or a benchmark wants; `settings` go on top.
    """

    name = "postgres"
    user = "postgres"
    stop_signal = signal.SIGINT  # fast: does not wait for clients
    orphan_signal = signal.SIGQUIT  # at once, but without leaving shared memory behind

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        durable: bool = False,
        password: str = "",
    ) -> None:
        super().__init__()
        self.settings = SMALL | ({} if durable else NOT_DURABLE) | dict(settings or {})
        self.password = password

    @classmethod
    def prepare(cls) -> None:
        binaries()

    @property
    def url(self) -> str:
        return f"postgresql://codelupe@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        if not (self.folder / "data").exists():
            self._initdb()
        super().start()

    def command(self) -> list[str]:
        fixed = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        options = [f"--{name}={value}" for name, value in (fixed | self.settings).items()]
        return [str(binaries() / "postgres"), "-D", str(self.folder / "data"), *options]

    def answers(self) -> bool:
        try:
            self.query("select 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def query(self, sql: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of one statement, on a connection of its own."""
        return query(named(self.url, database), sql, *values, password=self.password)

    def database(self, template: str = "template1") -> str:
        """The URL of a new database: an empty one, or a copy of another that nobody uses now."""
        return create_database(self.url, template, password=self.password)

    def _initdb(self) -> None:
        words = ["-U", "codelupe", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        words += ["--no-instructions", "-D", str(self.folder / "data")]
        words += ["-A", "trust"]
        if self.password:
            secret = self.folder / "password"
            secret.write_text(f"{self.password}\n")
            words += ["-A", "scram-sha-256", f"--pwfile={secret}"]
        done = subprocess.run(
            [*bound(self.user), str(binaries() / "initdb"), *words],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stderr}")


def binaries() -> Path:
    """The folder of the newest installed Postgres; raises Unavailable."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    return Path(program("initdb", "postgresql")).resolve().parent


def query(url: str, sql: str, *values: object, password: str = "") -> list[tuple[Any, ...]]:
    """The rows of one statement, on a connection of its own; also inside a running event loop."""

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(
            url, password=password or None, timeout=10, statement_cache_size=0
        )
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close(timeout=10)

    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(asyncio.run, ask()).result()


def create_database(url: str, template: str = "template1", *, password: str = "") -> str:
    """A new database beside the one of the URL; its URL."""
    name = f"codelupe_test_{secrets.token_hex(6)}"
    query(url, f'create database "{name}" template "{template}"', password=password)
    return named(url, name)


def drop_database(url: str, *, password: str = "") -> None:
    """Remove what `create_database` made, also from under its clients."""
    name = database_of(url)
    assert name.startswith("codelupe_test_")
    query(named(url, "postgres"), f'drop database "{name}" with (force)', password=password)


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """The URL of a database that lives as long as the body, on the server of `url`."""
    database = create_database(url)
    try:
        yield database
    finally:
        drop_database(database)


def named(url: str, database: str) -> str:
    """The same server's URL for another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def database_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
