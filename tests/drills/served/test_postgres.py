"""Postgres in trouble: restarted in the middle, full, out of connections, locked."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from tests.drills.process import mount
from tests.drills.served.state import Corpus, Site
from tests.servers.postgres import Postgres, database_of, drop_database, named
from tests.servers.process import Server
from tests.servers.proxy import Proxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
LOCK = 19276114465
"""What an append holds."""
FULL_S = 1.0
pytestmark = pytest.mark.timeout(1500)


def test_restarted_in_the_middle_of_copies(
    servers: dict[str, Server], urls: dict[str, str], corpus: Corpus, tmp_path: Path
) -> None:
    server, url = servers["store"], urls["store"]

    def stop() -> None:
        server.stop()
        server.start()

    def kill() -> None:
        server.kill()
        server.start()

    with Proxy(url) as proxy, Site(corpus, tmp_path, url, store=proxy.url) as site:
        site.start()
        for interrupt in (proxy.cut, stop, kill):
            proxy.delay(0.05)
            site.wait(lambda: site.count("select count(*) from pg_stat_progress_copy") > 0)
            interrupt()
            proxy.normal()
        site.assert_undisturbed()


# -- out of connections ---------------------------------------------------------------------------


def test_out_of_connections(
    own_postgres: Postgres, urls: dict[str, str], corpus: Corpus, tmp_path: Path
) -> None:
    url, log = urls["store"], own_postgres.folder / "log"
    with (
        Site(corpus, tmp_path, url, store=f"{url}?application_name=drill") as site,
        asyncio.Runner() as others,
    ):
        daemon = site.start()
        site.reaches(corpus.texts // 4)
        taken = others.run(all_connections(url))
        refused = log.read_text().count("too many clients")
        site.wait(lambda: log.read_text().count("too many clients") > refused)
        for connection in taken:
            others.run(connection.close())
        site.hears([daemon], "store: works again")
        site.assert_undisturbed()


async def all_connections(url: str) -> list[Connection]:
    """Every connection of the server, also those that the daemon had."""
    taken = [await asyncpg.connect(url)]
    while True:
        try:
            taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            ended = await taken[0].fetch(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'drill'"
            )
            if not ended:
                return taken


# -- no room --------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(own_postgres: Postgres) -> Iterator[Path]:
    """A file system for a table space."""
    place = own_postgres.folder / "small"
    place.mkdir()
    if os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", "size=5m", "drill", place):
        pytest.skip("only root, with the right to mount, can make a small file system")
    shutil.chown(place, own_postgres.user)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def small_database(own_postgres: Postgres, small_disk: Path) -> Iterator[str]:
    own_postgres.query(f"create tablespace small location '{small_disk}'")
    own_postgres.query("create database codelupe_test_small tablespace small")
    url = named(own_postgres.url, "codelupe_test_small")
    yield url
    drop_database(url)
    own_postgres.query("drop tablespace small")


def test_a_full_disk(small_database: str, small_disk: Path, corpus: Corpus, tmp_path: Path) -> None:
    with Site(corpus, tmp_path, small_database, store=small_database) as site:
        daemon = site.start()
        site.hears([daemon], "no room left")
        time.sleep(FULL_S)
        assert mount("-o", "remount,size=200m", small_disk)
        site.assert_undisturbed()


# -- locks and conflicts --------------------------------------------------------------------------


def test_deadlocks_lock_timeouts_and_conflicts_of_two(
    urls: dict[str, str], corpus: Corpus, tmp_path: Path
) -> None:
    url = urls["store"]
    with Site(corpus, tmp_path, url, store=url) as site, asyncio.Runner() as other:
        database = database_of(url)
        site.rows(f"alter database {database} set default_transaction_isolation = 'serializable'")
        site.hold_back()
        for _ in range(2):
            site.start(CODELUPE_REPO_WORKERS="1")  # so that there is load left
        connection = other.run(asyncpg.connect(url))
        for share, provoke in ((0.3, deadlock), (0.3, lock_timeout), (1, conflict)):
            other.run(provoke(connection, site, share))
            # A trouble is told when it begins: the next one has to be another.
            site.wait(lambda: not any(daemon.troubles("store") for daemon in site.daemons))
        other.run(connection.close())
        site.assert_undisturbed()


async def told(site: Site, what: str) -> None:
    await asyncio.to_thread(site.hears, site.daemons, what)


async def deadlock(cx: Connection, site: Site, share: float) -> None:
    """A table first, then the lock; an append has them the other way round, and has to yield."""
    async with cx.transaction():
        await cx.execute("set local deadlock_timeout = '60s'")
        await cx.execute("lock table occurrences in exclusive mode")
        site.release(share)
        while not await cx.fetchval(  # noqa: ASYNC110 - nobody is told of locks
            "select count(*) from pg_locks where locktype = 'advisory' and granted"
            " and pg_backend_pid() = any (pg_blocking_pids(pid))"
        ):
            await asyncio.sleep(0.02)
        await cx.execute("select pg_advisory_xact_lock($1)", LOCK)
    await told(site, "deadlock detected")


async def lock_timeout(cx: Connection, site: Site, share: float) -> None:
    """Somebody changes a table at leisure."""
    await cx.execute("alter function codelupe_call set lock_timeout = '200ms'")
    async with cx.transaction():
        await cx.execute("lock table occurrences in exclusive mode")
        site.release(share)
        await told(site, "lock timeout")
    await cx.execute("alter function codelupe_call set lock_timeout = '60s'")


async def conflict(cx: Connection, site: Site, share: float) -> None:
    """Every fifth call fails as one under a stricter isolation would."""
    await cx.execute("create sequence drill_calls")
    await cx.execute(
        "create function drill_conflict() returns trigger language plpgsql as $$ begin"
        " if nextval('drill_calls') % 5 = 0 then"
        "  raise exception 'could not serialize access' using errcode = '40001';"
        " end if; return new; end $$"
    )
    await cx.execute(
        "create trigger drill_conflict before insert on results"
        " for each row execute function drill_conflict()"
    )
    site.release(share)
    await told(site, "could not serialize")
