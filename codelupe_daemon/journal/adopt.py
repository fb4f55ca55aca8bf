"""A database of the first CodeLupe becomes a journal: every row keeps its id, and its order.

`processed_files` (id, content, and what else it has) is read once; its texts are hashed here, as
Postgres knows no blake2b, and stay on the server otherwise. All of it is one transaction, in which
readers are kept out only while the new tables are filled.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from codelupe_daemon.errors import Fatal
from codelupe_daemon.journal import pgcopy
from codelupe_daemon.journal.pgcopy import blob, boolean, int2, int4, int8, text, word
from codelupe_daemon.journal.postgres_server import Connection, Record
from codelupe_daemon.journal.sql import queries
from codelupe_daemon.model import Repo
from codelupe_daemon.paths import escape_path
from codelupe_daemon.spdx import license_class

SQL: Final = queries("postgres", "adopt.sql")
EXAMINER: Final = "adopted"
"""What judged the adopted rows: no version of ours, so `codelupe reexamine` takes all of them."""
NOWHERE: Final = "adopted/processed_files"
"""The repository of files of which nothing says where they come from."""
CLONES: Final = "/app/repos"
"""Where the first CodeLupe kept its clones."""
FETCHED_ROWS: Final = 100
STAGED_ROWS: Final = 5000
TIMEOUT_S: Final = 86_400.0
"""Of one statement."""


_INTEGERS: Final = {"smallint", "integer", "bigint"}
_STRING, _NUMBER, _TIME = "S", "N", "D"
_QUALITY_MAX: Final = 100
_NAMING: Final = {"full_name", "clone_url", "html_url", "url", "git_url", "ssh_url"}
_REPOSITORY_NAMES: Final = (
    "repo_full_name", "repository_full_name", "full_name", "repo_name", "repository_name",
    "repository", "repo",
)  # fmt: skip
_SECONDS: Final = """
case when isfinite("{0}"::timestamptz)
     then floor(extract(epoch from "{0}"::timestamptz))::bigint end"""
_IN_THE_WAY: Final = (
    asyncpg.DuplicateTableError,
    asyncpg.DuplicateFunctionError,
    asyncpg.DuplicateObjectError,
)
_REPOSITORY: Final = (
    int8, int8, text, text, boolean, text, int2, int8, int8, int8, boolean,
)  # fmt: skip
_FILE: Final = (int8, blob, int4, word, int8, text, word)

Row = tuple[Any, ...]
Document = Mapping[str, Any]


class Column(NamedTuple):
    """As pg_type has it; `category` also of none."""

    type: str
    category: str


_NONE: Final = Column("", "")
Columns = Mapping[str, Column]


class Judges(NamedTuple):
    """What is known of repositories and paths elsewhere."""

    repository: Callable[[Document], Repo | None]
    """What a row of the table `repositories` names; None where that is no repository."""
    place: Callable[[str, str | None], tuple[str, str]]
    """path, and the language that the row says -> path_class, language."""


@dataclass(slots=True)
class Adopted:
    """What became of the old tables."""

    tables: list[str] = field(default_factory=list)
    """Under their new names."""
    files: int = 0
    """Rows of `processed_files`."""
    texts: int = 0
    duplicates: int = 0
    """Files whose text has an earlier row: that one keeps its id, this one is a place of it."""
    renamed: int = 0
    """Other texts that stood under the same path: `~ID` was added to it."""
    without_text: int = 0
    """Rows whose content is null or empty: not taken over."""
    without_score: int = 0
    """Taken over with a score of 0."""
    without_time: int = 0
    """Taken over with the time of their adoption."""
    is_scaled: bool = False
    """Scores were 0..1, and are 0..100 now."""
    repositories: int = 0
    last_id: int = 0


class Adoption:
    """Wraps the making of the schema (`Server.migrate`); `adopted` tells what was there."""

    def __init__(self, location: str, judges: Judges, progress: Callable[[int], None]) -> None:
        self.adopted = Adopted()
        self._location = location
        self._judges = judges
        self._progress = progress

    @asynccontextmanager
    async def around(self, cx: Connection) -> AsyncIterator[None]:
        await cx.execute("set local lock_timeout = '60s'; set local jit = off")
        files = await _columns(cx, "processed_files")
        repositories = await _columns(cx, "repositories")
        self._check_shape(files, repositories)
        old = [n for n, has in (("processed_files", files), ("repositories", repositories)) if has]
        await self._check_alone(cx, old)
        await cx.execute(f"lock table {', '.join(old)} in share mode")
        for view in _files_view(files), _repositories_view(repositories):
            await cx.execute(view)
        newest_id = await self._look(cx, has_files=bool(files))
        await _run(cx, "make_tables")
        await self._take_files(cx, nowhere=await self._take_repositories(cx))
        grants = await cx.fetch(SQL["grants"], old)
        for (renaming,) in await cx.fetch(SQL["renamings"], old):
            await cx.execute(renaming)
        try:
            yield
        except _IN_THE_WAY as error:
            raise self._refused(f"{error}: rename or drop that") from error
        await self._fill(cx, newest_id)
        for (grant,) in grants:
            await cx.execute(grant)
        self.adopted.tables = [row[0] for row in await cx.fetch(SQL["kept_tables"])]

    def _refused(self, why: str) -> Fatal:
        return Fatal(f"{self._location} cannot be adopted: {why}; nothing was changed")

    # -- what is there --------------------------------------------------------------------------

    def _check_shape(self, files: Columns, repositories: Columns) -> None:
        if files and (
            files.get("id", _NONE).type not in _INTEGERS
            or files.get("content", _NONE).category != _STRING
        ):
            raise self._refused("processed_files needs a whole number `id` and a text `content`")
        if repositories and not repositories.keys() & _NAMING:
            raise self._refused("its table repositories is another program's: it has no full_name")
        if not (files or repositories):
            raise self._refused("its tables are another program's")

    async def _check_alone(self, cx: Connection, old: Sequence[str]) -> None:
        dependents = [row[0] for row in await cx.fetch(SQL["dependents"], old)]
        if dependents:
            raise self._refused(
                f"{', '.join(dependents)} would go on reading the old tables: drop them, and make"
                " them anew afterwards"
            )

    async def _look(self, cx: Connection, *, has_files: bool) -> int:
        """The highest id that was ever given."""
        found = await cx.fetchrow(SQL["ids"], timeout=TIMEOUT_S)
        assert found is not None
        self.adopted.files, nameless, doubles, first_id, last_id, least, most = found
        if nameless or doubles or first_id < 1:
            raise self._refused(
                f"of the ids in processed_files {nameless:,} are null, {doubles:,} are there twice,"
                f" and the first is {first_id}: they have to be different numbers from 1 on"
            )
        if most is not None and not (least >= 0 and most <= _QUALITY_MAX):
            raise self._refused(f"quality_score goes from {least} to {most}: it has to be 0 to 100")
        self.adopted.is_scaled = most is not None and 0 < most <= 1
        if not has_files:
            return 0
        newest_id: int = max(last_id, await cx.fetchval(SQL["newest_id"], "processed_files"))
        return newest_id

    # -- repositories ---------------------------------------------------------------------------

    async def _take_repositories(self, cx: Connection) -> int:
        """The id for files of which nothing says where they come from."""
        last_id = 0
        async for page in _pages(cx, "repositories"):
            await self._name(cx, ((old_id, orjson.loads(it)) for old_id, it in page))
            last_id = page[-1][0]
        async for page in _pages(cx, "names"):
            numbered = enumerate((row[0] for row in page), start=last_id + 1)
            await self._name(cx, ((number, {"full_name": name}) for number, name in numbered))
            last_id += len(page)
        await _run(cx, "one_for_each_name")
        return last_id + 1

    async def _name(self, cx: Connection, documents: Iterable[tuple[int, Document]]) -> None:
        rows, names = [], []
        for old_id, document in documents:
            repo = self._judges.repository(document)
            said = document.get("full_name")
            rows.append(
                _repository(old_id, repo or _unknown(old_id, said), is_due=repo is not None)
            )
            full_name = rows[-1][2]
            folders = (said, full_name, document.get("local_path"), f"{CLONES}/{full_name}")
            told = {one.rstrip("/") for one in folders if isinstance(one, str)}
            names += [(name, old_id) for name in sorted(told) if name]
        await _copy(cx, "adopted_repositories", _REPOSITORY, rows)
        await _copy(cx, "adopted_names", (text, int8), names)

    # -- files ----------------------------------------------------------------------------------

    async def _take_files(self, cx: Connection, nowhere: int) -> None:
        taken: list[Row] = []
        is_lost = False
        seen = 0
        async for page in _pages(cx, "files"):
            files = [self._file(row, nowhere) for row in page if row["content"]]
            is_lost |= any(file[4] == nowhere for file in files)
            taken += files
            seen += len(page)
            self.adopted.without_text += len(page) - len(files)
            self._progress(seen)
            if len(taken) >= STAGED_ROWS:
                await _copy(cx, "adopted_files", _FILE, taken)
                taken = []
        await _copy(cx, "adopted_files", _FILE, taken)
        if is_lost:
            lost = _repository(nowhere, Repo(NOWHERE, NOWHERE), is_due=False)
            await _copy(cx, "adopted_repositories", _REPOSITORY, [lost])

    def _file(self, row: Record, nowhere: int) -> Row:
        raw = row["content"].encode()
        path = row["path"] or ""
        repo_id = row["repo_id"] or nowhere
        if row["folder_repo_id"] == repo_id:
            path = path[len(row["folder"]) :]
        path = posixpath.normpath(path).lstrip("/")
        path = escape_path((str(row["id"]) if path in {"", "."} else path).encode())
        path_class, language = self._judges.place(path, row["language"])
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        return row["id"], digest, len(row["content"]), language, repo_id, path, path_class

    # -- the new tables -------------------------------------------------------------------------

    async def _fill(self, cx: Connection, newest_id: int) -> None:
        done = self.adopted
        await _run(cx, "drop_doubles")
        while renamed := _count(await cx.execute(SQL["rename_places"], timeout=TIMEOUT_S)):
            done.renamed += renamed
        await _run(cx, "fill_repositories")
        await _run(cx, "fill_places", EXAMINER)
        await _run(cx, "fill_contents")
        await _run(cx, "make_verdicts")
        await _run(cx, "fill_journal", EXAMINER, done.is_scaled)
        await _run(cx, "fill_verdicts", EXAMINER, done.is_scaled)
        await _run(cx, "fill_newest", newest_id)
        counted = await cx.fetchrow(SQL["counted"], timeout=TIMEOUT_S)
        assert counted is not None
        done.repositories, done.texts, done.without_time, done.without_score, done.last_id = counted
        done.duplicates = done.files - done.without_text - done.texts
        await _run(cx, "end_adoption")


async def drop_old(cx: Connection) -> list[str]:
    """Drop what an adoption has kept; the tables that there were."""
    tables = [row[0] for row in await cx.fetch(SQL["kept_tables"])]
    if tables:
        try:
            await cx.execute(f"drop table {', '.join(tables)}")
        except asyncpg.DependentObjectsStillExistError as error:
            raise Fatal(f"{error}: {error.detail}: drop these first") from error
    return tables


def _repository(old_id: int, repo: Repo, *, is_due: bool) -> Row:
    it = repo.standing
    return (
        old_id, old_id, repo.full_name, repo.location, repo.is_local, it.license,
        license_class(it.license), it.stars, it.forks, it.pushed_at, is_due,
    )  # fmt: skip


def _unknown(old_id: int, said: object) -> Repo:
    """A row that names nothing that could be visited."""
    name = said if isinstance(said, str) and said else f"adopted/repository-{old_id}"
    return Repo(name, name, is_local=name.startswith("/"))


# -- views of the old tables ----------------------------------------------------------------------


async def _columns(cx: Connection, table: str) -> Columns:
    return {name: Column(*rest) for name, *rest in await cx.fetch(SQL["columns"], table)}


def _files_view(has: Columns) -> str:
    created = _first(has, ("created_at", "processed_at"), _TIME, _NUMBER)
    is_time = created is not None and has[created].category == _TIME
    seconds = _SECONDS.format(created) if is_time else f"{_quoted(created)}::bigint"
    parts = {
        "id": '"id"' if has else "null::bigint",  # as it is: its index gives the order
        "content": '"content"::text' if has else "null::text",
        "language": f"{_quoted(_first(has, ('language',), _STRING))}::text",
        "path": f"{_quoted(_first(has, ('file_path', 'path', 'filename'), _STRING))}::text",
        "quality": f"{_quoted(_first(has, ('quality_score',), _NUMBER))}::double precision",
        "created_at": seconds,
        "repo_id": f"{_quoted(_first(has, ('repository_id', 'repo_id'), _NUMBER))}::bigint",
        "repo": f"{_quoted(_first(has, _REPOSITORY_NAMES, _STRING))}::text",
    }
    chosen = ", ".join(f"{what} as {name}" for name, what in parts.items())
    table = "from processed_files" if has else "where false"
    return f"create temporary view old_files as select {chosen} {table}"


def _repositories_view(has: Columns) -> str:
    is_numbered = has.get("id", _NONE).type in _INTEGERS
    number = '"id"::bigint' if is_numbered else "row_number() over ()"
    what = f"{number} as id, to_jsonb(r)::text as document from repositories r"
    nothing = "1::bigint as id, ''::text as document where false"
    return f"create temporary view old_repositories as select {what if has else nothing}"


def _first(has: Columns, names: Sequence[str], *categories: str) -> str | None:
    known = (name for name in names if has.get(name, _NONE).category in categories)
    return next(known, None)


def _quoted(name: str | None) -> str:
    return "null" if name is None else f'"{name}"'


# -- statements -----------------------------------------------------------------------------------


async def _run(cx: Connection, name: str, *bound: object) -> None:
    """All statements of a name; only one that is alone may have parameters."""
    await cx.execute(SQL[name], *bound, timeout=TIMEOUT_S)


async def _pages(cx: Connection, what: str) -> AsyncIterator[list[Record]]:
    await _run(cx, f"read_{what}")
    while page := await cx.fetch(f"fetch {FETCHED_ROWS} from codelupe_{what}", timeout=TIMEOUT_S):
        yield page
    await cx.execute(f"close codelupe_{what}")


async def _copy(
    cx: Connection, table: str, encoders: Sequence[pgcopy.Encode], rows: Sequence[Row]
) -> None:
    await cx.copy_to_table(table, source=pgcopy.rows(encoders, rows), format="binary")


def _count(done: str) -> int:
    """Of what Postgres says of a statement, such as `UPDATE 3`."""
    return int(done.rpartition(" ")[2])
