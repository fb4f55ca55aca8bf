"""PgBouncer in transaction mode: clients share a few connections to the server behind it."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg

from tests.servers.postgres import query
from tests.servers.process import Server, at_port, program

CONFIG = """\
[databases]
* = host={host} port={port} user={user} {password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
"""


class PgBouncer(Server):
    """In front of the Postgres of that URL, for every database there; it holds no state."""

    name = "pgbouncer"
    user = "postgres"

    def __init__(self, postgres_url: str, *, pool_size: int = 4) -> None:
        super().__init__()
        self.postgres_url = postgres_url
        behind = urlsplit(postgres_url)
        config = CONFIG.format(
            host=behind.hostname,
            port=behind.port or 5432,
            user=behind.username,
            password=f"password={behind.password}" if behind.password else "",
            listen_port=self.port,
            pool_size=pool_size,
        )
        (self.folder / "pgbouncer.ini").write_text(config)

    @classmethod
    def prepare(cls) -> None:
        program("pgbouncer", "pgbouncer")

    @property
    def url(self) -> str:
        return self.through(self.postgres_url)

    def through(self, url: str) -> str:
        """The way to the same database that leads through the bouncer."""
        return at_port(url, self.port)

    def command(self) -> list[str]:
        return [program("pgbouncer", "pgbouncer"), str(self.folder / "pgbouncer.ini")]

    def answers(self) -> bool:
        try:
            query(self.url, "select 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def stop(self) -> None:
        """At once: newer releases would wait for their clients to leave."""
        self.kill()
