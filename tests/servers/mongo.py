"""The in-memory server that speaks MongoDB's protocol (mongo-node/)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.servers.java import Project
from tests.servers.process import Server

PROJECT = Project(Path(__file__).parent / "mongo-node", jdk=17)


class Mongo(Server):
    """A restart forgets everything."""

    name = "mongo"

    @classmethod
    def prepare(cls) -> None:
        PROJECT.java()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [*PROJECT.java("-Xmx256m", "-XX:-UsePerfData"), str(self.port)]

    def answers(self) -> bool:
        try:
            with client(self.url) as asked:
                return bool(asked.admin.command("ping")["ok"])
        except PyMongoError:
            return False


def client(url: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(url, serverSelectionTimeoutMS=1000)


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """The URL of a database that lives as long as the body."""
    name = f"codelupe_test_{secrets.token_hex(6)}"
    try:
        yield f"{url.rstrip('/')}/{name}"
    finally:
        with client(url) as asked:
            asked.drop_database(name)
