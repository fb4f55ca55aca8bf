"""What keeps the trainer out of its tables, and what passes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.journal import sqlite_files, training
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.postgres import PostgresJournal
from tests.contract.build import ELSEWHERE
from tests.contract.stores import URL
from tests.servers.postgres import query
from tests.servers.proxy import Proxy
from tests.trainer.registry.build import LEASE_S, PROFILE, SOURCE, manifest, rounds, row
from tests.trainer.registry.conftest import FILE
from trainer.registry.base import Registry
from trainer.registry.opening import registry as opening
from trainer.registry.postgres import SQL, PostgresRegistry
from trainer.registry.sqlite import SqliteRegistry
from trainer.types import SessionStatus

INSERTING = """
select 1 from pg_stat_activity
where datname = current_database() and query like 'insert into training_examples%'"""
LIMITS = ("idle_in_transaction_session_timeout", "lock_timeout")
WAITS = 2000


def change(store: str, place: Path, statement: str) -> None:
    """Past the registry, as a person would."""
    if store == "sqlite":
        with closing(sqlite3.connect(place / FILE)) as db:
            db.execute(statement)
            db.commit()
    else:
        query((place / URL).read_text(), statement)


async def test_what_is_remembered_outlives_the_process(
    registry: Registry, another: Callable[[], Registry]
) -> None:
    done = await rounds(registry)
    await done.end(row(1, "a"), status=SessionStatus.COMPLETED, made="v1")
    before = await registry.sessions(None, 9), await registry.versions()
    await registry.close()
    again = another()
    await again.open()
    assert (await again.sessions(None, 9), await again.versions()) == before
    await again.close()


async def test_a_newer_schema_is_refused(
    registry: Registry, another: Callable[[], Registry], store: str, place: Path
) -> None:
    newer = {"sqlite": "pragma user_version = 999"}
    change(store, place, newer.get(store, "insert into training_schema (version) values (999)"))
    with pytest.raises(Fatal, match=r"newer.*schema 999"):
        await another().open()


async def test_a_manifest_that_was_changed_is_refused(
    registry: Registry, store: str, place: Path
) -> None:
    done = await rounds(registry)
    await registry.begin(done.holder, manifest("one", [row(1, "a"), row(2, "b")]), {})
    change(store, place, "update training_examples set side = 'validation' where ordinal = 1")
    with pytest.raises(Fatal, match="not what was frozen"):
        await registry.manifest("one")


async def test_one_version_is_active_whoever_writes(
    registry: Registry, store: str, place: Path
) -> None:
    done = await rounds(registry)
    for name in ("v1", "v2"):
        await done.end(status=SessionStatus.COMPLETED, made=name)
    with pytest.raises(Exception, match=r"(?i)unique"):
        change(store, place, "update model_versions set is_active = true")
    with pytest.raises(Exception, match=r"(?i)unique"):
        change(store, place, "update training_sessions set ended_at = null")


# -- embedded -------------------------------------------------------------------------------------


async def test_a_file_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table notes (body text)")
    registry = SqliteRegistry(path)
    with pytest.raises(Fatal, match="another program"):
        await registry.open()
    await registry.close()


async def test_a_busy_file_may_be_free_in_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SqliteRegistry(tmp_path / FILE)
    await registry.open()
    monkeypatch.setattr(sqlite_files, "LOCK_TIMEOUT_S", 0.1)
    with sqlite_files.writers_lock(tmp_path / FILE):
        with pytest.raises(Transient):
            await registry.claim(PROFILE, this_process(), LEASE_S)
        assert await registry.watermark(PROFILE, SOURCE) == 0  # reading goes on
    assert await registry.claim(PROFILE, this_process(), LEASE_S) is not None
    await registry.close()


async def test_a_full_disk(tmp_path: Path) -> None:
    registry = SqliteRegistry(tmp_path / FILE)
    await registry.open()
    done = await rounds(registry)
    assert registry._connection is not None
    pages = registry._connection.execute("pragma page_count").get
    registry._connection.execute(f"pragma max_page_count = {pages + 2}")
    many = manifest("one", [row(number, f"w{number}") for number in range(5000)])
    with pytest.raises(Fatal, match="no room left"):
        await registry.begin(done.holder, many, {})
    registry._connection.execute("pragma max_page_count = 1000000")
    assert await registry.sessions(None, 9) == []
    await registry.begin(done.holder, many, {})
    await registry.close()


async def test_settings_name_the_file_beside_the_store(tmp_path: Path) -> None:
    settings = Settings(store=str(tmp_path / "new" / "codelupe.db"))
    async with opening(settings) as registry:
        await rounds(registry)
    path = tmp_path / "new" / "codelupe-trainer.db"
    assert path == training.beside(settings.store_path)
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as cx:
        assert cx.execute("select profile from training_leases").get == PROFILE
    assert training.beside(Path("/x/store")) == Path("/x/store-trainer.db")
    assert Settings().profile == training.DEFAULT_PROFILE


async def test_who_only_looks_makes_nothing_where_nothing_is(tmp_path: Path) -> None:
    settings = Settings(store=str(tmp_path / "wrong" / "codelupe.db"))
    with pytest.raises(Fatal, match=r"no store at .*wrong/codelupe\.db.*--store"):
        async with opening(settings, create=False):
            raise AssertionError
    assert not list(tmp_path.iterdir())
    for there in ("store.db", "mine-trainer.db"):
        (tmp_path / there).touch()
        beside = Settings(store=str(tmp_path / f"{there.removesuffix('-trainer.db')}"))
        async with opening(beside, create=False) as registry:
            assert await registry.versions() == []


# -- served ---------------------------------------------------------------------------------------


async def test_settings_name_the_database(postgres_url: str) -> None:
    async with opening(Settings(store=postgres_url)) as registry:
        await rounds(registry)
    assert query(postgres_url, "select profile from training_leases") == [(PROFILE,)]


async def test_a_database_that_is_away_for_a_while(postgres_url: str) -> None:
    with Proxy(postgres_url) as proxy:
        registry = PostgresRegistry(proxy.url)
        await registry.open()
        done = await rounds(registry)
        begun = await done.begin(row(1, "a"))
        proxy.refuse()
        for attempt in (
            registry.watermark(PROFILE, SOURCE),
            registry.renew(done.holder, LEASE_S),
            registry.finish(done.holder, begun.id, SessionStatus.DIVERGED),
            registry.manifest(begun.id),
        ):
            with pytest.raises(Transient):
                await attempt
        proxy.normal()
        assert await registry.open_session(PROFILE) == begun
        await registry.finish(done.holder, begun.id, SessionStatus.DIVERGED)
        assert await registry.watermark(PROFILE, SOURCE) == 100
        await registry.close()


async def test_a_connection_that_breaks_in_the_middle_of_a_beginning(postgres_url: str) -> None:
    with Proxy(postgres_url) as proxy:
        registry = PostgresRegistry(proxy.url)
        await registry.open()
        done = await rounds(registry)
        many = manifest("one", [row(number, f"w{number}") for number in range(20_000)])
        begun = asyncio.create_task(registry.begin(done.holder, many, {}))
        for _ in range(WAITS):
            if query(postgres_url, INSERTING):
                break
            await asyncio.sleep(0.01)
        proxy.cut()
        with pytest.raises(Transient):
            await begun
        assert await registry.sessions(None, 9) == []
        await registry.begin(done.holder, many, {})
        assert len((await registry.manifest("one")).taken) == 20_000
        await registry.close()


async def test_the_clock_of_leases_is_the_databases(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opening(Settings(store=postgres_url)) as registry:
        held = await registry.claim(PROFILE, ELSEWHERE, LEASE_S)
        assert held is not None
        monkeypatch.setattr(time, "time", lambda: 4e9)
        assert await registry.claim(PROFILE, this_process(), LEASE_S) is None
        query(postgres_url, "update training_leases set until = training_now() - 1")
        assert await registry.claim(PROFILE, this_process(), LEASE_S) is not None


async def test_tables_of_the_journal_are_not_needed(postgres_url: str) -> None:
    """The trainer of another source; the journal may come later."""
    registry = PostgresRegistry(postgres_url)
    await registry.open()
    await (await rounds(registry)).begin()
    journal = PostgresJournal(postgres_url)
    for _ in range(2):
        await journal.open(create=True)
        await journal.close()
    assert len(await registry.sessions(None, 9)) == 1
    await registry.close()


async def test_who_is_stopped_in_the_middle_of_a_write_is_ended(postgres_url: str) -> None:
    registry = PostgresRegistry(postgres_url)
    await registry.open()
    async with registry._server.transaction() as cx:
        await cx.execute(SQL["limits"])
        limits = [await cx.fetchval(f"show {name}") for name in LIMITS]
    assert limits == ["1min", "30s"]
    async with registry._server.transaction() as cx:
        assert await cx.fetchval("show lock_timeout") == "0"
    await registry.close()
