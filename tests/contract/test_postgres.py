"""What holds for the served store alone: its server, its schema, its errors, its locks."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal import postgres_server
from codelupe_daemon.journal.postgres import PostgresJournal, regular_expression
from codelupe_daemon.journal.postgres_server import Server, without_password
from codelupe_daemon.journal.takedowns import place_matches
from codelupe_daemon.model import Op, Reason
from codelupe_daemon.retry import retried
from tests.contract.build import Ingest, repo, text
from tests.servers.fixtures import had
from tests.servers.postgres import Postgres, binaries, database_of, named, query
from tests.servers.process import bound
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis, certificate

NOW = "function codelupe_now() returns double precision"
A, B, C = text("a"), text("b"), text("c")


@pytest.fixture
async def journal(postgres_url: str) -> AsyncIterator[PostgresJournal]:
    """Three contents, one of them in two repositories, and one file that was left out."""
    opened = PostgresJournal(postgres_url)
    await opened.open(create=True)
    ingest = Ingest(opened)
    await ingest.complete("b/b", {"b.py": B, "z.py": A, "big.py": Reason.TOO_LARGE})
    await ingest.complete(repo("a/a", "MIT", 3), {"a.py": A, "c.py": C})
    yield opened
    await opened.close()


async def refusal(url: str, *, create: bool = True) -> str:
    """What a person reads where the store cannot be used."""
    journal = PostgresJournal(url)
    with pytest.raises(Fatal) as caught:
        await journal.open(create=create)
    await journal.close()
    return str(caught.value)


# -- what keeps us out ----------------------------------------------------------------------------


async def test_no_store_yet(postgres_url: str) -> None:
    assert "codelupe migrate" in await refusal(postgres_url, create=False)
    assert query(postgres_url, "select relname from pg_class where relname = 'journal'") == []


async def test_a_database_that_is_not_there(postgres_url: str) -> None:
    said = await refusal(named(postgres_url, "nowhere"))
    assert "nowhere" in said
    assert "CODELUPE_STORE" in said


async def test_a_database_that_cannot_hold_every_text(postgres_server: Postgres) -> None:
    name = f"codelupe_test_{secrets.token_hex(6)}"
    made = f"create database {name} encoding 'LATIN1' locale 'C' template template0"
    postgres_server.query(made)
    said = await refusal(named(postgres_server.url, name))
    postgres_server.query(f"drop database {name}")
    assert "LATIN1" in said
    assert "UTF8" in said


async def test_a_wrong_password() -> None:
    with had(lambda: Postgres(password="right")) as server:
        wrong = server.url.replace("codelupe@", "codelupe:wrong@")
        said = await refusal(wrong)
        right = PostgresJournal(server.url.replace("codelupe@", "codelupe:right@"))
        await right.open(create=True)
        await right.close()
    assert "CODELUPE_STORE" in said
    assert "wrong" not in said
    assert "right" not in right.location


async def test_a_server_that_is_not_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port = reserved.getsockname()[1]
    said = await refusal(f"postgresql://codelupe@127.0.0.1:{port}/x")
    assert "away" in said
    assert "CODELUPE_STORE" in said


async def test_a_server_of_another_kind() -> None:
    with had(Redis) as server:
        said = await refusal(f"postgresql://codelupe@127.0.0.1:{server.port}/x")
    assert "CODELUPE_STORE" in said


async def test_a_read_only_replica(journal: PostgresJournal, postgres_server: Postgres) -> None:
    with_data = Postgres()
    command = [str(binaries() / "pg_basebackup"), "-R", "-X", "stream", "-c", "fast", "--no-sync"]
    command += ["-d", postgres_server.url, "-D", str(with_data.folder / "data")]
    whole = [*bound(with_data.user), *command]
    await asyncio.to_thread(subprocess.run, whole, check=True, capture_output=True)
    with with_data:
        replica = named(with_data.url, database_of(journal.location))
        said = await refusal(replica)
        reader = PostgresJournal(replica)
        await reader.open(create=False)
        assert await reader.last_id() == await journal.last_id()
        with pytest.raises(Fatal, match="read-only"):
            await reader.register(repo("c/c"))
        await reader.close()
    assert "primary" in said


async def test_a_certificate_that_does_not_fit(tmp_path: Path) -> None:
    other = certificate(tmp_path, "DNS:elsewhere.example")
    with had(Postgres) as server:
        fitting = certificate(server.folder, "IP:127.0.0.1")
        for path in (fitting, fitting.with_suffix(".key")):
            path.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(path, server.user, server.user)
        server.stop()
        server.settings |= {
            "ssl": "on",
            "ssl_cert_file": str(fitting),
            "ssl_key_file": str(fitting.with_suffix(".key")),
        }
        server.start()
        known = PostgresJournal(f"{server.url}?sslmode=verify-full&sslrootcert={fitting}")
        await known.open(create=True)
        await known.close()
        said = await refusal(f"{server.url}?sslmode=verify-full&sslrootcert={other}")
    assert "certificate" in said
    assert "sslrootcert" in said


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("alter table occurrences drop column own_license", "occurrences.own_license"),
        ("alter table journal alter content type varchar", "journal.content"),
        ("drop index occurrences_oid", "occurrences_oid"),
        ("drop trigger repositories_added on repositories", "repositories_added on repositories"),
        (f"create or replace {NOW} language sql volatile return 0", "codelupe_now()"),
    ],
    ids=["column", "type", "index", "trigger", "function"],
)
async def test_a_schema_that_was_changed_by_hand(
    journal: PostgresJournal, change: str, name: str
) -> None:
    query(journal.location, "drop view code_chunks, processed_files, live")
    for view in ("code_chunks", "processed_files", "live"):
        assert view in await refusal(journal.location)
    query(journal.location, change)
    assert name in await refusal(journal.location)


async def test_what_a_person_adds_is_left_alone(journal: PostgresJournal) -> None:
    query(journal.location, "create table notes (body text)")
    query(journal.location, "create index by_language on journal (language)")
    again = PostgresJournal(journal.location)
    await again.open(create=True)
    await again.close()


async def test_a_newer_schema(journal: PostgresJournal) -> None:
    query(journal.location, "insert into codelupe_schema (version) values (999)")
    assert "newer CodeLupe" in await refusal(journal.location)
    with pytest.raises(Fatal, match="newer CodeLupe"):
        await journal.server.migrate()


async def test_tables_of_the_first_codelupe_are_for_migrate(postgres_url: str) -> None:
    query(postgres_url, "create table processed_files (id bigserial primary key)")
    assert "codelupe migrate" in await refusal(postgres_url)


async def test_migrating_twice_is_once(journal: PostgresJournal) -> None:
    rows = await journal.read(0, 10)
    before, after = await journal.server.migrate()
    assert before == after
    await journal.server.check()
    assert await journal.read(0, 10) == rows


# -- what people and the trainer read -------------------------------------------------------------


async def test_the_trainers_statement(journal: PostgresJournal) -> None:
    statement = """select id, content, language, quality_score from processed_files
        where id > $1 and quality_score >= 70 and length(content) between 50 and 8000 order by id"""
    rows = query(journal.location, statement, 0)
    assert {row[1] for row in rows} == {A, B, C}
    assert query(journal.location, statement, rows[0][0]) == rows[1:]
    await Ingest(journal).complete("b/b", {"z.py": A})
    await journal.forget_places("a/a", "c.py")
    [left] = query(journal.location, statement, 0)
    assert left in rows
    assert left[1] == A


async def test_texts_are_compressed_with_lz4(journal: PostgresJournal) -> None:
    await Ingest(journal).complete("c/c", {"long.py": "x = 'compress me'\n" * 1000})
    used = query(journal.location, "select distinct pg_column_compression(content) from journal")
    assert set(used) == {(None,), ("lz4",)}


async def test_odd_names_and_reasons(journal: PostgresJournal) -> None:
    """A NUL and a lone surrogate have no place in Postgres' text."""
    ingest = Ingest(journal)
    visit = await ingest.begin('o\'dd/$c$ \\ "ä"')
    await ingest.record(visit, {"a'b\\n$$.py": A, "\u2028.py": B})
    assert await journal.paths(visit.repo_id, "", 9) == ["a'b\\n$$.py", "\u2028.py"]
    await journal.release(visit, "failed", "a \0 and a \udcff: ' $c$")
    row = next(row for row in await journal.repositories() if row.id == visit.repo_id)
    assert (row.state, row.reason) == ("failed", "a \\x00 and a \\udcff: ' $c$")


@pytest.mark.parametrize(
    "pattern",
    ["*.py", "src/*", "src", "a?c.py", "[ab]*.py", "[!a]*.py", "*a*b*c*", "a.b", "a+(b)|c$", "[",
     "]", "[]]", "**/x", "{a,b}"],
)  # fmt: skip
def test_a_pattern_means_the_same_on_the_server(postgres_server: Postgres, pattern: str) -> None:
    paths = ["a.py", "abc.py", "src/a.py", "src", "srca", "c.py", "a.b", "axb", "a+(b)|c$", "[",
             "]", "a/x", "x", "a b c", "xaxbxcx", "a\nb.py", "{a,b}", "ä.py"]  # fmt: skip
    rows = postgres_server.query(
        "select path from unnest($1::text[]) path where path ~ $2",
        paths,
        regular_expression(pattern),
    )
    below = pattern.rstrip("/") + "/"
    expected = {p for p in paths if place_matches(pattern, p) and not p.startswith(below)}
    assert {row[0] for row in rows} | ({pattern} & set(paths)) == expected


def test_a_location_shows_no_password() -> None:
    assert without_password("postgresql://ada:secret@h:5432/db?password=x") == (
        "postgresql://ada@h:5432/db"
    )
    assert without_password("postgresql:///db") == "postgresql:///db"


# -- locks and outages ----------------------------------------------------------------------------


async def test_a_client_that_stops_in_the_middle_of_a_batch_blocks_nobody(
    journal: PostgresJournal,
) -> None:
    """What such a client has done by then: begun, staged, and sent nothing more."""
    stopped = await asyncpg.connect(journal.location)
    await stopped.execute("begin")
    await stopped.execute("create temporary table staged (id integer) on commit delete rows")
    await stopped.execute("select * from repositories")
    ingest = Ingest(journal)
    await asyncio.wait_for(ingest.complete("d/d", {"d.py": text("d")}), 20)
    await stopped.close()
    assert (await ingest.live())[text("d")] == "d/d/d.py"


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    with had(Postgres) as server:
        yield server


async def test_a_server_that_went_away_is_transient_and_comes_back(own_server: Postgres) -> None:
    journal = PostgresJournal(own_server.url)
    await journal.open(create=True)
    ingest = Ingest(journal)
    visit = await ingest.begin("a/a")
    await ingest.record(visit, {"a.py": A})
    own_server.kill()
    for attempt in (ingest.record(visit, {"b.py": B}), journal.read(0, 10), journal.last_id()):
        with pytest.raises(Transient, match=r"away|connection"):
            await attempt
    own_server.start()
    await ingest.record(visit, {"a.py": A, "b.py": B})
    await ingest.end(visit, {"a.py": A, "b.py": B}, repo("a/a").standing)
    assert await ingest.ops() == [(Op.ADD, "a/a/a.py"), (Op.ADD, "a/a/b.py")]
    assert (await journal.verify())[1] == []
    await journal.close()


async def test_connections_that_others_took_are_transient(postgres_url: str) -> None:
    journal = PostgresJournal(postgres_url)
    await journal.open(create=True)
    role = f"limited_{database_of(postgres_url)}"
    query(postgres_url, f"create role {role} login superuser connection limit 0")
    query(postgres_url, f"alter role {role} nosuperuser")
    limited = postgres_url.replace("codelupe@", f"{role}@")
    said = await refusal(limited, create=False)
    await journal.close()
    query(postgres_url, f"drop role {role}")
    assert "too many connections" in said


async def test_an_answer_that_is_lost_is_asked_for_again(own_server: Postgres) -> None:
    """The call and its commit get through, and then the connection breaks."""
    with Proxy(own_server.url) as proxy:
        journal = PostgresJournal(proxy.url)
        await journal.open(create=True)
        visit = await Ingest(journal).begin("a/a")
        holder = await asyncpg.connect(own_server.url)
        await holder.execute("begin")
        await holder.execute("select pg_advisory_xact_lock(19276114465)")
        ending = asyncio.create_task(journal.finish(visit, None, repo("a/a").standing, "v"))
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while not await holder.fetchval(waiting):  # noqa: ASYNC110 - nobody is told of locks
            await asyncio.sleep(0.01)
        proxy.half_answer()
        await holder.execute("commit")
        await holder.close()
        await ending
        assert proxy.halved == 1
        assert [row.state for row in await journal.repositories()] == ["done"]
        await journal.close()


@pytest.mark.parametrize("end", ["complete", "release"])
async def test_an_end_whose_answer_does_not_come_is_tried_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The visit ended, and the server cannot be asked about it for longer than its patience."""
    commit = Server._commit
    told = list[Transient | None]()

    async def breaking(*call: Any) -> None:
        if end not in call or proxy.halved:
            await commit(*call)
            return
        proxy.half_answer()
        await commit(*call)
        proxy.refuse()

    def heard(error: Transient | None) -> None:
        told.append(error)
        proxy.normal()

    monkeypatch.setattr(Server, "_commit", breaking)
    monkeypatch.setattr(postgres_server, "RESULT_PATIENCE_S", 0.0)
    with Proxy(postgres_url) as proxy:
        journal = PostgresJournal(proxy.url)
        await journal.open(create=True)
        visit = await Ingest(journal).begin("a/a")
        if end == "complete":
            finish = partial(journal.finish, visit, None, repo("a/a").standing, "v")
            await retried(finish, 60.0, told=heard)
        else:
            release = partial(journal.release, visit, "failed", "no such repository")
            await retried(release, 60.0, told=heard)
        assert proxy.halved == 1
        assert len(told) >= 2
        state = "done" if end == "complete" else "failed"
        assert [row.state for row in await journal.repositories()] == [state]
        await journal.close()
