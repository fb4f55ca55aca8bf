"""roles.sql gives daemons and readers the rights that they need, and not one more."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal.sql import script
from tests.cli.conftest import UNIQUE, build
from tests.drills.process import done, run
from tests.servers.postgres import binaries, database_of, query
from tests.trainer.registry.build import rounds, row
from trainer.registry.opening import registry
from trainer.types import SessionStatus

PASSWORD = "made-up"
GROUPS = ("codelupe_writer", "codelupe_reader", "codelupe_trainer")


@pytest.fixture
def users(postgres_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A URL for the owner, a writer and a reader; the roles are gone afterwards."""
    tag = f"_{secrets.token_hex(4)}"
    statements = script("postgres", "roles.sql")
    for group in GROUPS:
        statements = statements.replace(group, group + tag)
    done(run("migrate", "--json", "--store", postgres_url))
    try:
        psql(postgres_url, tmp_path, statements)
        trained(postgres_url)
        psql(postgres_url, tmp_path, statements)  # it is run again where tables were made
        yield {"owner": postgres_url} | {
            group: member(postgres_url, f"a_{group}{tag}", group + tag) for group in GROUPS
        }
    finally:
        for (role,) in query(
            postgres_url, "select rolname from pg_roles where right(rolname, 9) = $1", tag
        ):
            query(postgres_url, f"drop owned by {role}")
            query(postgres_url, f"drop role {role}")


def psql(url: str, folder: Path, statements: str) -> None:
    (folder / "roles.sql").write_text(statements)
    command = [
        str(binaries() / "psql"),
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        str(folder / "roles.sql"),
        url,
    ]
    subprocess.run(command, check=True, capture_output=True)


def trained(url: str) -> None:
    """The trainer's tables, with a version in them."""

    async def work() -> None:
        async with registry(Settings(store=url)) as opened:
            done = await rounds(opened)
            await done.end(row(1, UNIQUE.decode()), status=SessionStatus.COMPLETED, made="v1")
            await opened.release(done.holder)

    asyncio.run(work())


def member(url: str, user: str, group: str) -> str:
    """The URL of a user that has the group's rights, and none that everybody has."""
    query(url, f"create role {user} login password '{PASSWORD}' in role {group}")
    query(url, f'revoke all on database "{database_of(url)}" from public')
    query(url, "revoke all on schema public from public")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{PASSWORD}@{host}").geturl()


def test_a_writer_runs_whatever_a_daemon_does(
    users: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODELUPE_STORE", users["codelupe_writer"])
    home = build(tmp_path / "sources").path
    one = home / "one"
    done(run("ingest", "--json", one, home / "two"))
    (one / "new.py").write_bytes(UNIQUE * 2)
    (one / "sub" / "greeting.py").unlink()
    done(run("ingest", "--later", "--json", one, home / "three.git"))
    done(run("daemon", "--until-idle", "--json"))
    assert done(run("forget", "--json", f"{one}/new.py"))["removed"] == 1
    monkeypatch.setenv("CODELUPE_MAX_LINE_CHARS", "50")
    assert done(run("reexamine", "--json"))["texts"] > 1
    done(run("replay", "near_duplicates", "--json"))
    done(run("dead-letters", "--json"))
    output = home / "texts.jsonl"
    done(run("export", "--min-quality", "0", "--output", output, "--json"))
    status = done(run("status", "--json"))
    assert status["repositories"]["done"] == 3
    assert status["consumers"]["trainer@demo"]["watermark"] == 100
    assert done(run("verify", "--json"))["ok"]


def test_a_reader_looks_at_everything_and_changes_nothing(
    users: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODELUPE_STORE", users["owner"])
    home = build(tmp_path / "sources").path
    done(run("ingest", "--json", home / "one"))
    monkeypatch.setenv("CODELUPE_STORE", users["codelupe_reader"])
    assert done(run("status", "--json"))["repositories"]["done"] == 1
    assert done(run("search", "area", "--json"))["total"] == 2
    place = f"{home}/one/shapes.py"
    id_ = done(run("why", "--json", place))["id"]
    assert done(run("show", "--json", id_))["id"] == id_
    assert run("export", "--min-quality", "0").output.count("\n") > 1
    assert done(run("verify", "--json"))["ok"]
    seen = [query(users[who], "select * from processed_files") for who in users]
    assert seen[0] == seen[1] == seen[2] != []
    for words in (["ingest", str(home / "two")], ["forget", place], ["reexamine"], ["daemon"]):
        ended = run(*words)
        assert ended.code == 1
        assert "permission denied" in ended.errors
        assert "which rights each role needs" in ended.errors


async def test_a_trainer_remembers_and_changes_nothing_else(users: dict[str, str]) -> None:
    async with registry(Settings(store=users["codelupe_trainer"])) as opened:
        trained = await rounds(opened)
        await trained.end(row(2, "b"), status=SessionStatus.COMPLETED, made="v2", parent="v1")
        await opened.activate("demo", "v1")
    async with registry(Settings(store=users["codelupe_reader"])) as opened:
        assert [one.version for one in await opened.versions() if one.is_active] == ["v1"]
        with pytest.raises(Fatal, match="which rights each role needs"):
            await opened.activate("demo", "v2")


@pytest.mark.parametrize(
    ("group", "statement"),
    [
        ("codelupe_writer", "delete from journal"),
        ("codelupe_writer", "update journal set op = 'add'"),
        ("codelupe_writer", "truncate contents"),
        ("codelupe_writer", "create table mine (id integer)"),
        ("codelupe_writer", "update codelupe_schema set version = 99"),
        ("codelupe_reader", "insert into takedowns (why, created_at) values ('', 0)"),
        ("codelupe_writer", "update model_versions set is_active = false"),
        ("codelupe_trainer", "delete from training_sessions"),
        ("codelupe_trainer", "insert into training_schema (version) values (99)"),
        ("codelupe_trainer", "insert into watermarks (consumer) values ('trainer')"),
        ("codelupe_reader", "select * from results"),
        ("codelupe_reader", "create temporary table mine (id integer)"),
    ],
)
def test_what_nobody_but_the_owner_may(users: dict[str, str], group: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        query(users[group], statement)


def test_no_table_was_forgotten(users: dict[str, str]) -> None:
    """A table that a later schema adds has to be named in the rights."""
    group = urlsplit(users["codelupe_writer"]).username
    forgotten = query(
        users["owner"],
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'v') and not has_table_privilege($1, oid, 'select')",
        group,
    )
    assert forgotten == []
