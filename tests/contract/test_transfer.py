"""A store copied into another one, of the same kind or not, is the same store."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zstandard

from codelupe_daemon.errors import Fatal, StaleVisit
from codelupe_daemon.journal import transfer
from codelupe_daemon.journal.base import ExportRow, Journal, Rejudged
from codelupe_daemon.journal.clusters import Cluster, ClusterStore
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.postgres import PostgresJournal
from codelupe_daemon.journal.postgres_clusters import PostgresClusters
from codelupe_daemon.journal.postgres_transfer import PostgresSource, PostgresTarget
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.journal.sqlite_transfer import SqliteSource, SqliteTarget
from codelupe_daemon.journal.transfer import Snapshot, Source, Target
from codelupe_daemon.model import Part, Reason
from tests.contract.build import (
    COMMIT,
    DEAD,
    ELSEWHERE,
    EXAMINER,
    LEASE_S,
    Ingest,
    content,
    hash_of,
    occurrence,
    repo,
    text,
)
from tests.servers.fixtures import url_of
from tests.servers.postgres import fresh_database, query

A, B, C, D, E = (text(word) for word in "abcde")
MANY = {f"many/{n}.py": text(f"many{n}") for n in range(14)}
NEAR = "near_duplicates"
LEASES = ("lease_owner", "lease_until")


class Spot(NamedTuple):
    """Where a store is, or will be: a path or a URL."""

    name: str

    @property
    def is_served(self) -> bool:
        return "://" in self.name

    def journal(self) -> Journal:
        return PostgresJournal(self.name) if self.is_served else SqliteJournal(Path(self.name))

    def target(self) -> Target:
        return PostgresTarget(self.name) if self.is_served else SqliteTarget(Path(self.name))

    def mark(self, column: str, value: object) -> None:
        """Change the marker of a copy, past every lock."""
        statement = f"update codelupe_copying set {column} = $1"  # noqa: S608 - our own names
        if self.is_served:
            query(self.name, statement, value)
            return
        with closing(sqlite3.connect(self.name)) as db, db:
            db.execute(statement.replace("$", "?"), (value,))


@contextmanager
def spot(kind: str, request: pytest.FixtureRequest, tmp_path: Path, name: str) -> Iterator[Spot]:
    if kind == "sqlite":
        yield Spot(str(tmp_path / f"{name}.db"))
        return
    with fresh_database(url_of(request, "postgres")) as url:
        through = request.getfixturevalue("pgbouncer_server").through if kind == "bouncer" else str
        yield Spot(through(url))


PAIRS = ["sqlite-postgres", "postgres-sqlite"]
MORE_PAIRS = ["sqlite-sqlite", "bouncer-postgres", "postgres-bouncer"]


@pytest.fixture(params=[*PAIRS, *MORE_PAIRS])
def any_pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Spot, Spot]]:
    yield from spots(request, tmp_path)


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Spot, Spot]]:
    yield from spots(request, tmp_path)


def spots(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Spot, Spot]]:
    kinds = request.param.split("-")
    with (
        spot(kinds[0], request, tmp_path, "from") as source,
        spot(kinds[1], request, tmp_path, "to") as target,
    ):
        yield source, target


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAGE_ROWS", 4)
    monkeypatch.setattr(transfer, "PAGE_CHARS", 250)


@asynccontextmanager
async def opened(where: Spot, *, create: bool = False) -> AsyncIterator[Journal]:
    journal = where.journal()
    await journal.open(create=create)
    try:
        yield journal
    finally:
        await journal.close()


@asynccontextmanager
async def clusters_of(journal: Journal) -> AsyncIterator[ClusterStore]:
    if isinstance(journal, PostgresJournal):
        yield PostgresClusters(journal.server)
        return
    store = SqliteClusters(Path(journal.location))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def source_of(journal: Journal) -> Source:
    if isinstance(journal, PostgresJournal):
        return PostgresSource(journal.server)
    return SqliteSource(Path(journal.location))


class Killed(Exception):
    pass


class Copied(Counter[str]):
    """Rows that arrived, by table; stops like a process that is killed in the middle of one."""

    def __init__(self, stops_in: str | None = None) -> None:
        super().__init__()
        self.stops_in = stops_in

    def __call__(self, table: str, rows: int) -> None:
        self[table] += rows
        if table == self.stops_in:
            raise Killed


async def copy(
    source: Spot, target: Spot, copied: transfer.Copied = lambda _, __: None
) -> dict[str, int]:
    """A whole copy, or what is done of it until `copied` raises."""
    to = target.target()
    async with opened(source) as journal:
        try:
            return await transfer.copy(source_of(journal), to, copied)
        finally:
            await to.close()


async def cut_short(source: Spot, target: Spot, stops_in: str) -> Copied:
    """A copy that ends after a page of that table."""
    copied = Copied(stops_in)
    with pytest.raises(Killed):
        await copy(source, target, copied)
    await release(target)
    return copied


async def release(target: Spot) -> None:
    """As if the process that copied had ended."""
    target.mark("owner", DEAD)


async def fill(journal: Journal) -> None:
    """A life: everything that any table may hold."""
    ingest = Ingest(journal)
    await ingest.complete("a/a", {"a.py": A, "b.py": B, "big.py": Reason.TOO_LARGE} | MANY)
    await ingest.complete(repo("z/z", "MIT", 9, 2, 1_700_000_000), {"better.py": A, "c.py": C})
    await ingest.complete("a/a", {"a.py": A, "d.py": D, "big.py": Reason.TOO_LARGE} | MANY)
    await two_languages(ingest)
    await journal.forget_places("a/a", "many/1?.py")
    await journal.forget_content(hash_of(C))
    await journal.rejudge(
        [Rejudged(hash_of(D), {".py": content(journal, D + E)}, {})], "two", lambda _: True
    )
    await ingest.partial("p/p", {"half.py": B})
    await journal.register(repo("due/soon", "GPL-3.0-only"))
    await journal.record_export(ExportRow("/x/größer.jsonl", "jsonl", 7, {"quality": 0.5}, 1234))
    displaced = await ingest.begin("a/a")
    await ingest.record(displaced, {"a.py": text("changed")})
    await journal.release(displaced, "incomplete", "too many files\tof it")
    async with clusters_of(journal) as clusters:
        holder = await clusters.claim(NEAR, this_process(), LEASE_S)
        assert holder is not None
        rows = [Cluster(hash_of(one), hash_of(A), hash_of(A), 3) for one in (A, B)]
        await clusters.put(holder, rows, [], 5)
        await clusters.advance(holder, 9, [(4, "no"), (6, "größer")])
        await clusters.release(holder)


async def two_languages(ingest: Ingest) -> None:
    """One text in C and in C++: a verdict of each."""
    visit = await ingest.begin("c/c")
    made = [content(ingest.journal, E, language=one, score=0.25) for one in ("C", "C++")]
    places = [occurrence("e.h", E, language="C"), occurrence("e.hpp", E, language="C++")]
    part = Part(visit, COMMIT, EXAMINER, places, {one.key: one for one in made})
    await ingest.journal.append([part])
    await ingest.journal.finish(visit, COMMIT, repo("c/c").standing, EXAMINER, due_in_s=1000.5)


async def everything(where: Spot) -> dict[str, Any]:
    """Whatever a store can be asked."""
    async with opened(where) as journal, clusters_of(journal) as clusters:
        live = await journal.live(0, 1000)
        hashes = [one.content_hash for one in live]
        checked, problems = await journal.verify()
        assert problems == []
        return {
            "rows": await journal.read(0, 1000),
            "live": live,
            "places": [await journal.occurrences(one) for one in hashes],
            "repositories": await journal.repositories(),
            "counts": await journal.counts(),
            "exports": await journal.exports(),
            "watermarks": await clusters.watermarks(),
            "letters": await clusters.dead_letters(NEAR, 100),
            "clusters": await clusters.clusters_of(hashes),
            "checked": checked,
        }


async def test_a_copy_says_what_its_source_says(any_pair: tuple[Spot, Spot]) -> None:
    source, target = any_pair
    async with opened(source, create=True) as journal:
        await fill(journal)
    counts = await copy(source, target)
    assert set(counts) == {table.name for table in transfer.TABLES}
    assert min(counts.values()) > 0  # the life above leaves no table empty
    found = await everything(target)
    assert found == await everything(source)
    assert found["letters"] == [(4, "no"), (6, "größer")]
    assert found["watermarks"] == {NEAR: 9}


async def test_life_goes_on_in_a_copy(pair: tuple[Spot, Spot]) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        await fill(journal)
        last_id = await journal.last_id()
        known = {row.full_name: row.id for row in await journal.repositories()}
    await copy(source, target)
    async with opened(target, create=True) as journal:
        ingest = Ingest(journal)
        assert await journal.register(repo("new/new")) not in known.values()
        assert await journal.register(repo("z/z")) == known["z/z"]
        await ingest.complete("z/z", {"better.py": A, "c.py": C, "new.py": text("new")})
        added = await journal.read(last_id, 10)
        assert [(row.id, row.content) for row in added] == [(last_id + 1, text("new"))]
        found = await journal.find("z/z", "c.py")
        assert found is not None
        assert found.occurrence.reason is Reason.TAKEN_DOWN
        await ingest.complete("a/a", {"many/11.py": text("again"), "a.py": A})
        found = await journal.find("a/a", "many/11.py")
        assert found is not None
        assert found.occurrence.reason is Reason.TAKEN_DOWN
        await journal.forget_content(hash_of(text("new")))
        assert (await journal.verify())[1] == []


async def test_a_visit_of_the_source_has_not_ended_in_a_copy(pair: tuple[Spot, Spot]) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        visit = await Ingest(journal, DEAD).begin("a/a")
    await copy(source, target)
    async with opened(target) as journal:
        with pytest.raises(StaleVisit):
            await journal.finish(visit, COMMIT, repo("a/a").standing, EXAMINER)
        assert [row.state for row in await journal.repositories(due_only=True)] == ["visiting"]


# -- the same rows, seen by nobody's code but SQLite's --------------------------------------------


def rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        names = [
            row[0] for row in db.execute("select name from sqlite_schema where type = 'table'")
        ]
        return {name: sorted(_plain(db, name), key=repr) for name in names}


def _plain(db: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Without what a copy leaves behind, and texts unpacked: two compressors write two frames."""
    cursor = db.execute(f"select * from {table}")  # noqa: S608 - from its own schema
    names = [column[0] for column in cursor.description]
    for row in cursor:
        found = {name: value for name, value in zip(names, row, strict=True) if name not in LEASES}
        if found.get("content") is not None:
            found["content"] = zstandard.ZstdDecompressor().decompress(found["content"])
        yield tuple(found.values())


async def test_there_and_back_every_row_is_equal(
    tmp_path: Path, postgres_url: str, small_pages: None
) -> None:
    first, last = (Spot(str(tmp_path / name)) for name in ("first.db", "last.db"))
    between = Spot(postgres_url)
    async with opened(first, create=True) as journal:
        await fill(journal)
    await copy(first, between)
    await copy(between, last)
    expected = rows_of(Path(first.name))
    assert {name: len(rows) for name, rows in expected.items() if not rows} == {}
    assert rows_of(Path(last.name)) == expected


async def test_no_table_and_no_column_is_left_behind(postgres_url: str) -> None:
    """But leases, what is derived, and what only this kind of store keeps for itself."""
    async with opened(Spot(postgres_url), create=True):
        pass
    columns = query(
        postgres_url,
        "select relname || '.' || attname from pg_attribute join pg_class c on c.oid = attrelid"
        " where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0",
    )
    copied = {f"{table.name}.{column}" for table in transfer.TABLES for column in table.columns}
    left = {row[0] for row in columns} - copied
    assert {name for name in left if not name.startswith(("codelupe_", "results."))} == {
        "occurrences.license_rank", "repositories.lease_owner", "repositories.lease_until",
        "repositories.license_rank", "takedowns.expression", "watermarks.lease_owner",
        "watermarks.lease_until",
    }  # fmt: skip


# -- copies that are cut short --------------------------------------------------------------------


async def test_a_copy_goes_on_where_it_stopped(
    any_pair: tuple[Spot, Spot], small_pages: None
) -> None:
    source, target = any_pair
    async with opened(source, create=True) as journal:
        await fill(journal)
    first = await cut_short(source, target, "journal")
    with pytest.raises(Fatal, match="run `codelupe copy`"):
        await target.journal().open(create=True)
    second = await cut_short(source, target, "occurrences")
    third = Copied()
    counts = await copy(source, target, third)
    assert first + second + third == counts
    assert 0 < first["journal"] < counts["journal"]
    assert 0 < second["occurrences"] < counts["occurrences"]
    assert await everything(target) == await everything(source)


async def test_what_changed_in_between_arrives(pair: tuple[Spot, Spot], small_pages: None) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        await fill(journal)
    first = await cut_short(source, target, "verdicts")
    async with opened(source) as journal:
        await Ingest(journal).complete("z/z", {"better.py": text("other")})
    second = await cut_short(source, target, "verdicts")
    async with opened(source) as journal:
        assert second["journal"] == await journal.last_id() - first["journal"]
        await journal.forget_places("a/a", None)
    third = Copied()
    counts = await copy(source, target, third)
    assert third["journal"] == counts["journal"]  # texts of it were blanked
    assert await everything(target) == await everything(source)


async def test_new_verdicts_in_between_arrive(pair: tuple[Spot, Spot], small_pages: None) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        await Ingest(journal).complete("a/a", {"a.py": A, "b.py": B})
    await cut_short(source, target, "contents")
    async with opened(source) as journal:
        same = [Rejudged(hash_of(one), {".py": content(journal, one)}, {}) for one in (A, B)]
        done = await journal.rejudge(same, "two", lambda _: True)
        assert done.ops == {}
    await copy(source, target)
    found = await everything(target)
    assert found == await everything(source)
    assert {row.examiner_version for rows in found["places"] for row in rows} == {"two"}


class Restless(Source):
    """A source that is written to whenever a snapshot of it ends, so many times."""

    def __init__(self, journal: Journal, changes: int) -> None:
        self._source = source_of(journal)
        self._ingest = Ingest(journal)
        self._changes = changes
        self.location = self._source.location

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self._source.snapshot() as snapshot:
            yield snapshot
        if self._changes:
            self._changes -= 1
            await self._ingest.complete("n/n", {"n.py": text(f"change{self._changes}")})


@pytest.mark.parametrize("changes", [1, 100], ids=["once", "always"])
async def test_a_source_that_changes_meanwhile(pair: tuple[Spot, Spot], changes: int) -> None:
    source, target = pair
    to = target.target()
    async with opened(source, create=True) as journal:
        await fill(journal)
        copying = transfer.copy(Restless(journal, changes), to, Copied())
        if changes == 1:
            await copying
        else:
            with pytest.raises(Fatal, match="keeps changing"):
                await copying
    await to.close()
    if changes > 1:
        await release(target)
        await copy(source, target)
    assert await everything(target) == await everything(source)


# -- what is refused ------------------------------------------------------------------------------


async def test_a_store_that_is_there_is_not_written_over(pair: tuple[Spot, Spot]) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        await fill(journal)
    async with opened(target, create=True) as journal:
        await journal.register(repo("a/a"))
    before = await everything(target)
    with pytest.raises(Fatal, match="is not empty"):
        await copy(source, target)
    assert await everything(target) == before


async def test_a_part_of_another_store_is_not_gone_on_with(
    pair: tuple[Spot, Spot], tmp_path: Path
) -> None:
    source, target = pair
    other = Spot(str(tmp_path / "other.db"))
    for one in (source, other):
        async with opened(one, create=True) as journal:
            await fill(journal)
    await cut_short(other, target, "journal")
    with pytest.raises(Fatal, match="is not empty"):
        await copy(source, target)
    with pytest.raises(Fatal, match=r"other\.db"):
        await target.journal().open(create=False)


async def test_only_one_copy_fills_a_store(pair: tuple[Spot, Spot], small_pages: None) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        await fill(journal)
    await cut_short(source, target, "journal")
    target.mark("owner", ELSEWHERE)
    with pytest.raises(Fatal, match="let it end"):
        await copy(source, target)
    target.mark("until", 1)
    to = target.target()
    await to.claim(Spot(source.name).target().location)
    target.mark("owner", ELSEWHERE)
    with pytest.raises(Fatal, match="let it end"):
        await to.begin("another state", journal=True)
    await to.close()


async def hold(journal: Journal, owner: str, what: str) -> None:
    if what == "visit":
        await Ingest(journal, owner=owner).begin("a/a")
        return
    async with clusters_of(journal) as clusters:
        assert await clusters.claim(NEAR, owner, LEASE_S)


@pytest.mark.parametrize("what", ["visit", "consumer"])
async def test_a_source_in_use(pair: tuple[Spot, Spot], what: str) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        await hold(journal, ELSEWHERE, what)
    with pytest.raises(Fatal, match=f"in use .{ELSEWHERE}"):
        await copy(source, target)


@pytest.mark.parametrize("what", ["visit", "consumer"])
async def test_what_a_dead_process_held_is_free_in_the_copy(
    pair: tuple[Spot, Spot], what: str
) -> None:
    source, target = pair
    async with opened(source, create=True) as journal:
        await hold(journal, DEAD, what)
    await copy(source, target)
    async with opened(target) as journal:
        await hold(journal, ELSEWHERE, what)
