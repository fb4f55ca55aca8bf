"""A whole store into another one, of whatever kind: table by table, in pages by key.

What is read is one snapshot of the source, so what arrives is a store that once was. A target
holds a marker until all has arrived; every page is committed, so a copy that was ended goes on
behind the highest key of each table. Where the source has moved on meanwhile, the journal is
continued (its rows never change, but for texts that are blanked), and everything else read again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple

from codelupe_daemon.errors import Fatal

PAGE_ROWS: Final = 2000
PAGE_CHARS: Final = 16 << 20
"""Of the texts in a page; a longer one is a page of its own."""
ROUNDS: Final = 5
LEASE_S: Final = 60.0
"""A copy that has written nothing for so long may be taken over from another machine."""

Row = Sequence[Any]
Key = Row
State = str
"""What changes whenever anything in a store does."""
Copied = Callable[[str, int], None]
"""Is told, page by page: a table, and how many of its rows arrived with this page."""


class Table(NamedTuple):
    """`columns`: name -> type, of those that every kind of store has. Leases stay behind."""

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]


def _table(name: str, key: str, columns: str) -> Table:
    types = dict(column.split() for column in columns.split(","))
    return Table(name, tuple(key.split()), types)


JOURNAL: Final = _table(
    "journal",
    "id",
    """id int8, op text, content_hash blob, content_chars int4, language text,
    quality_score float8, signals text, license text, fingerprint blob, repo_id int8,
    file_path text, commit blob, oid blob, stars int8, forks int8, repo_license text,
    pushed_at int8, examiner_version text, created_at int8, content content""",
)
TABLES: Final = (
    JOURNAL,
    _table(
        "repositories",
        "id",
        """id int8, full_name text, location text, is_local bool, license text, stars int8,
        forks int8, pushed_at int8, file_count int8, head blob, examined_by text, state text,
        reason text, attempts int4, lease_epoch int8, visited_at int8, due_at float8,
        changed_at float8""",
    ),
    _table(
        "occurrences",
        "repo_id path",
        """repo_id int8, path text, oid blob, path_class text, language text, content_hash blob,
        reason text, measured float8, license text, own_license text, examiner_version text""",
    ),
    _table(
        "contents",
        "content_hash",
        "content_hash blob, add_id int8, newest_id int8, repo_id int8, path text",
    ),
    _table(
        "verdicts",
        "content_hash language",
        """content_hash blob, language text, quality_score float8, signals text, fingerprint blob,
        examiner_version text""",
    ),
    _table("displaced", "repo_id content_hash", "repo_id int8, content_hash blob"),
    _table(
        "takedowns",
        "id",
        """id int8, repo text, pattern text, content_hash blob, why text, created_at int8,
        is_open bool""",
    ),
    _table(
        "exports",
        "path",
        "path text, format text, watermark int8, options text, written_at int8",
    ),
    _table("watermarks", "consumer", "consumer text, id int8, lease_epoch int8"),
    _table("dead_letters", "consumer id", "consumer text, id int8, reason text"),
    _table(
        "clusters",
        "content_hash",
        "content_hash blob, cluster_id blob, winner blob, facts_id int8",
    ),
)
_TELLING: Final[Mapping[str, str]] = {table.name: "count(*)" for table in TABLES} | {
    "journal": "coalesce(max(id), 0)",
    # Visits change it when they begin and when they end; new verdicts doubt whole visits.
    "repositories": "coalesce(max(changed_at), 0) || ' ' || count(examined_by)",
    "takedowns": "count(*) || ' ' || count(case when is_open then 1 end)",
    "exports": "coalesce(max(written_at), 0)",
    # A consumer begins with a new epoch.
    "watermarks": "coalesce(sum(id + lease_epoch), 0)",
}


class Held(NamedTuple):
    """How much of the journal a store holds, up to some row, and how many texts are blanked."""

    rows: int
    blanked: int


class Snapshot(ABC):
    """A store as it was at one moment."""

    @abstractmethod
    async def state(self) -> State: ...

    @abstractmethod
    async def owners(self) -> list[str]:
        """Living processes that visit a repository or run a consumer of this store."""

    @abstractmethod
    async def page(self, table: Table, after: Key | None) -> list[Row]:
        """The rows after a key, in the order of the keys; none is the end."""

    @abstractmethod
    async def held(self, up_to_id: int) -> Held: ...

    @abstractmethod
    async def counts(self) -> dict[str, int]:
        """Rows by table."""


class Source(ABC):
    """A store to copy. `location`: what `--from` was given, without secrets."""

    location: str

    @abstractmethod
    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]: ...


class Target(ABC):
    """A store to fill. Raises `Fatal` where another copy took it over."""

    location: str

    @abstractmethod
    async def claim(self, source: str) -> None:
        """Make the store and its marker, or take over what is left of a copy from `source`.

        Raises `Fatal` where anything else is there.
        """

    @abstractmethod
    async def state(self) -> State | None:
        """Of the source, when what is here was read."""

    @abstractmethod
    async def begin(self, state: State, *, journal: bool) -> None:
        """Forget what was copied from another state; with `journal` also its rows."""

    @abstractmethod
    async def highest(self, table: Table) -> Key | None: ...

    @abstractmethod
    async def put(self, table: Table, rows: Sequence[Row]) -> None: ...

    @abstractmethod
    async def held(self, up_to_id: int) -> Held: ...

    @abstractmethod
    async def counts(self) -> dict[str, int]: ...

    @abstractmethod
    async def finish(self) -> None:
        """The store is whole: remove the marker."""

    @abstractmethod
    async def close(self) -> None: ...


async def copy(source: Source, target: Target, copied: Copied) -> dict[str, int]:
    """Fill the target with all that the source holds; rows by table.

    Raises `Fatal` where the source is in use or does not come to rest.
    """
    await target.claim(source.location)
    for _ in range(ROUNDS):
        async with source.snapshot() as snapshot:
            await _check_unused(source, snapshot)
            state = await snapshot.state()
            await _begin(snapshot, target, state)
            for table in TABLES:
                await _copy_table(snapshot, target, table, copied)
            counts = await snapshot.counts()
        async with source.snapshot() as now:
            await _check_unused(source, now)
            if await now.state() == state:
                break
    else:
        raise Fatal(
            f"{source.location} keeps changing: stop what writes to it, then run the same command"
            " again; what was copied is kept"
        )
    await _check_equal(target, counts)
    await target.finish()
    return counts


async def _check_unused(source: Source, snapshot: Snapshot) -> None:
    owners = await snapshot.owners()
    if owners:
        raise Fatal(
            f"{source.location} is in use ({', '.join(owners)}): stop its daemons, then run the"
            " same command again"
        )


async def _begin(snapshot: Snapshot, target: Target, state: State) -> None:
    """Keep what was copied from this very state, and the part of the journal that still holds."""
    if await target.state() == state:
        return
    highest = await target.highest(JOURNAL)
    up_to_id = highest[0] if highest else 0
    is_same = await snapshot.held(up_to_id) == await target.held(up_to_id)
    await target.begin(state, journal=not is_same)


async def _copy_table(snapshot: Snapshot, target: Target, table: Table, copied: Copied) -> None:
    after = await target.highest(table)
    names = list(table.columns)
    at = [names.index(name) for name in table.key]
    while rows := await snapshot.page(table, after):
        await target.put(table, rows)
        after = [rows[-1][i] for i in at]
        copied(table.name, len(rows))


async def _check_equal(target: Target, counts: Mapping[str, int]) -> None:
    arrived = await target.counts()
    wrong = [name for name, rows in counts.items() if arrived[name] != rows]
    if wrong:
        raise Fatal(
            f"{target.location} does not hold what was copied ({', '.join(wrong)}): something else"
            " writes to it; delete it, then copy again"
        )


# -- statements that every kind of store understands -----------------------------------------------


def columns(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in table.columns)


def paging(table: Table, mark: str, collation: str, *, after: bool) -> str:
    """A page by key. Bound, in this order: the key where it is read on, and the most rows.

    `mark`: what parameters begin with. `collation`: by which texts are compared byte by byte.
    """
    marks = [f"{mark}{number}" for number in range(1, len(table.key) + 2)]
    last = marks.pop() if after else f"{mark}1"
    key = _key(table, collation)
    where = f"where ({key}) > ({', '.join(marks)})" if after else ""
    return f"select {columns(table)} from {table.name} {where} order by {key} limit {last}"  # noqa: S608 - our own names


def highest(table: Table, collation: str) -> str:
    key, order = ", ".join(table.key), _key(table, collation, " desc")
    return f"select {key} from {table.name} order by {order} limit 1"  # noqa: S608 - our own names


def _key(table: Table, collation: str, order: str = "") -> str:
    return ", ".join(
        name + (collation if table.columns[name] == "text" else "") + order for name in table.key
    )


def counting() -> str:
    """One row: how many rows each table has, in the order of TABLES."""
    return _row({table.name: "count(*)" for table in TABLES})


def telling() -> str:
    """One row: of each table what tells that something in it changed."""
    return _row(_TELLING)


def _row(asked: Mapping[str, str]) -> str:
    values = [f"(select {what} from {name})" for name, what in asked.items()]  # noqa: S608 - our own names
    return f"select {', '.join(values)}"


VERSIONS: Final = "select examiner_version, count(*) from occurrences group by 1 order by 1"
"""Texts and files that are judged anew are under another version afterwards."""
HELD: Final = """
select count(*), coalesce(sum(case when op = 'add' and content is null then 1 else 0 end), 0)
from journal where id <= $1"""


def unfit(location: str) -> Fatal:
    """A target that holds a store, or parts of a copy of another."""
    return Fatal(
        f"{location} is not empty: name a new place with --to, or delete what is there first"
    )


def taken_over(location: str) -> Fatal:
    return Fatal(f"another `codelupe copy` is filling {location}: let it end")


def half_copied(location: str, source: str) -> Fatal:
    """What whoever opens such a store is told."""
    return Fatal(
        f"{location} is only a part of {source}: the copy was not ended; run `codelupe copy`"
        " between them again, it goes on where it stopped"
    )
