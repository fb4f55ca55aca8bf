"""A Postgres server: connections, calls, migrations, and its errors as ours.

Every statement runs inside a transaction that is opened for it, and nothing is kept in a session:
so all of it also works through a bouncer that hands out connections by the transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from codelupe_daemon.errors import Fatal, StaleVisit, TextsMissing, Transient
from codelupe_daemon.journal import pgcopy
from codelupe_daemon.journal.sql import migrations, queries, script
from codelupe_daemon.journal.transfer import half_copied
from codelupe_daemon.paths import storable
from codelupe_daemon.retry import retried

CHANNEL: Final = "codelupe_journal"
CONNECTIONS_MAX: Final = 8
CONNECT_TIMEOUT_S: Final = 15.0
STATEMENT_TIMEOUT_S: Final = 600.0
RECONNECT_S: Final = 5.0
VERSION_MIN: Final = 140_000  # lz4
RESULTS_KEPT_S: Final = 86_400
RESULT_PATIENCE_S: Final = 30.0
SETTING: Final = "--store (CODELUPE_STORE)"

SQL: Final = queries("postgres") | queries("postgres", "clusters.sql")
STAGING: Final = script("postgres", "staging.sql")
BEGIN: Final = "begin isolation level read committed"
"""Who has waited for the lock must see what was committed meanwhile, whatever the default is."""

Record = asyncpg.Record
Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"
Row = tuple[Any, ...]
Around = Callable[[Connection], contextlib.AbstractAsyncContextManager[object]]
Staged = dict[str, tuple[Sequence[pgcopy.Encode], Iterable[Sequence[Any]]]]
"""Temporary table -> the encoders of its columns, and its rows."""

_PASSING: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
_NOT_OURS: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.DatatypeMismatchError,
)


class Server:
    """A pool of connections to one database. `location`: its URL without a password."""

    def __init__(self, url: str, *, connections_max: int = CONNECTIONS_MAX) -> None:
        self._url = url
        self._connections_max = connections_max
        self.location = without_password(url)
        self._pool: asyncpg.Pool[Record] | None = None

    async def open(self) -> None:
        """Raises `Fatal` where it is not to be had, before any work is taken."""
        with self._reached():
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._connections_max,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                statement_cache_size=0,
                reset=_nothing_to_reset,
            )
            [(version, encoding)] = await self.rows("server")
        if version < VERSION_MIN or encoding != "UTF8":
            await self.close()
            raise Fatal(
                f"{self.location} is a database of Postgres {version // 10_000} in {encoding}:"
                f" it has to be 14 or newer, and UTF8 (`createdb -E UTF8`); {SETTING} names it"
            )

    async def close(self) -> None:
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), CONNECT_TIMEOUT_S)
            except (TimeoutError, *_PASSING):
                self._pool.terminate()
            self._pool = None

    # -- statements -----------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """One of the pool. Raises as `explained` does."""
        assert self._pool is not None, "open() comes first"
        with explained(self.location):
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as cx:
                try:
                    yield cx
                except asyncpg.InternalClientError as error:
                    # The server has ended it, and the client has not understood that yet.
                    with contextlib.suppress(asyncpg.InterfaceError):  # it is gone already
                        cx.terminate()
                    raise Transient(f"{self.location} ended the connection") from error

    @contextlib.asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Literal["read_committed", "repeatable_read"] = "read_committed",
        readonly: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection and a transaction around the body. Raises as `explained` does."""
        async with self._connection() as cx, cx.transaction(isolation=isolation, readonly=readonly):
            yield cx

    async def rows(self, statement: str, *bound: object) -> list[Row]:
        """The rows of a statement, given by its name in the .sql files or as text."""
        async with self.transaction(readonly=True) as cx:
            return list(map(tuple, await cx.fetch(SQL.get(statement, statement), *bound)))

    async def value(self, statement: str, *bound: object) -> Any:
        """The only value of the only row."""
        async with self.transaction(readonly=True) as cx:
            return await cx.fetchval(SQL.get(statement, statement), *bound)

    async def execute(self, statement: str, *bound: object) -> None:
        async with self.transaction() as cx:
            await cx.execute(SQL.get(statement, statement), *bound)

    async def maintain(self, statement: str) -> None:
        """What cannot run inside a transaction, such as `vacuum`."""
        async with self._connection() as cx:
            await cx.execute(statement)

    async def call(
        self, name: str, arguments: Mapping[str, Any], staged: Staged | None = None
    ) -> Any:
        """Let the server do what `codelupe_call` names, all or nothing; its result.

        The call and its commit are one message, so a process that is stopped or dies in between
        holds no lock. Where the connection breaks at that moment, `results` tells what happened.
        """
        call_id = secrets.randbits(62)
        async with self._connection() as cx:
            try:
                await cx.execute(BEGIN if staged is None else f"{BEGIN};\n{STAGING}")
                for table, (encoders, rows) in (staged or {}).items():
                    await cx.copy_to_table(
                        table, source=pgcopy.rows(encoders, rows), format="binary"
                    )
                await self._commit(cx, call_id, name, arguments)
            except BaseException:
                with contextlib.suppress(asyncpg.InterfaceError):  # it is gone already
                    cx.terminate()
                raise
        result = await retried(lambda: self._result(call_id), RESULT_PATIENCE_S)
        if result is None:
            raise Transient(f"{self.location}: the connection broke in the middle of {name}")
        return result

    async def _commit(
        self, cx: Connection, call_id: int, name: str, arguments: Mapping[str, Any]
    ) -> None:
        quote = f"$c{secrets.token_hex(4)}$"
        json = storable(orjson.dumps(arguments).decode())
        statement = f"select codelupe_call({call_id}, '{name}', {quote}{json}{quote}); commit"
        with contextlib.suppress(OSError, asyncpg.ConnectionDoesNotExistError):
            await cx.execute(statement)

    async def _result(self, call_id: int) -> Any:
        """None where the call did not happen."""
        found = None
        try:
            async with self.transaction() as cx:
                await cx.execute("set local synchronous_commit = off")
                found = await cx.fetchval(SQL["take_result"], call_id)
        except Transient:
            if found is None:  # else it is known, whether or not it is deleted
                raise
        return None if found is None else orjson.loads(found)

    @contextlib.asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        """Call `wake` at every notification; reconnects for as long as the body runs."""
        listener = asyncio.create_task(self._listen(wake))
        try:
            yield
        finally:
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listener

    async def _listen(self, wake: Callable[[], None]) -> None:
        while True:
            # Where it fails polling goes on, and tells of the outage.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InternalClientError, *_PASSING):
                await self._listen_once(wake)
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(self, wake: Callable[[], None]) -> None:
        cx = await asyncpg.connect(self._url, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0)
        broken = asyncio.Event()
        cx.add_termination_listener(lambda _: broken.set())
        try:
            await cx.add_listener(CHANNEL, lambda *_: wake())
            await broken.wait()
        finally:
            cx.terminate()

    # -- the schema -----------------------------------------------------------------------------

    async def schema(self) -> int | None:
        """Its version; 0 in an empty database, None where other tables than ours stand."""
        tables = {row[0] for row in await self.rows("tables")}
        if "codelupe_schema" in tables:
            version: int = await self.value("select max(version) from codelupe_schema")
            return version
        return None if tables & {"processed_files", "repositories", "journal"} else 0

    async def migrate(self, around: Around = contextlib.nullcontext) -> tuple[int, int]:
        """Bring the schema up to date in one transaction; the versions before and after.

        `around` is entered before its steps and left after them, in the same transaction. Raises
        `Fatal` for a newer schema.
        """
        async with self.transaction() as cx:
            await cx.execute("select pg_advisory_xact_lock(19276114465)")
            async with around(cx):
                return await self._migrate(cx)

    async def _migrate(self, cx: Connection) -> tuple[int, int]:
        steps = migrations("postgres")
        await cx.execute(SQL["make_schema"])
        before: int = await cx.fetchval("select coalesce(max(version), 0) from codelupe_schema")
        self.check_version(before)
        if before == len(steps):
            return before, before
        known = {row[0] for row in await cx.fetch("delete from codelupe_shape returning name")}
        foreign = {name for name, _ in await cx.fetch(SQL["shape"])} - known
        for number, step in enumerate(steps[before:], start=before + 1):
            await cx.execute(step)
            await cx.execute("insert into codelupe_schema (version) values ($1)", number)
        shape = [tuple(row) for row in await cx.fetch(SQL["shape"]) if row[0] not in foreign]
        await cx.executemany("insert into codelupe_shape values ($1, $2)", shape)
        return before, len(steps)

    def check_version(self, version: int) -> None:
        known = len(migrations("postgres"))
        if version > known:
            raise Fatal(
                f"{self.location} was written by a newer CodeLupe (schema {version}, this one"
                f" knows {known}): update CodeLupe, or name another store with {SETTING}"
            )

    async def check(self) -> None:
        """Raises `Fatal` where the schema is not this version's, or was changed by hand."""
        if await self.value("select to_regclass('codelupe_copying') is not null"):
            source = await self.value("select source from codelupe_copying")
            raise half_copied(self.location, source)
        version = await self.schema()
        known = len(migrations("postgres"))
        if version is None:
            raise Fatal(
                f"{self.location} holds tables of another program, or of an older CodeLupe:"
                f" `codelupe migrate` adopts the latter; else name another database with {SETTING}"
            )
        self.check_version(version)
        if version < known:
            raise Fatal(
                f"{self.location} has schema {version}, this CodeLupe needs {known}:"
                " run `codelupe migrate`"
            )
        shape: dict[str, str] = dict(await self.rows("shape"))
        made: dict[str, str] = dict(
            await self.rows("select name, type from codelupe_shape order by name")
        )
        changed = [name for name, kind in made.items() if shape.get(name) != kind]
        if changed:
            raise Fatal(
                f"the schema of {self.location} was changed by hand, missing or different:"
                f" {', '.join(changed)}: put it back, or restore a backup"
            )

    async def check_writable(self) -> None:
        if await self.value("select pg_is_in_recovery()"):
            raise Fatal(f"{self.location} is a read-only replica: name the primary with {SETTING}")

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """At the start, whatever keeps us out is for a person to mend."""
        try:
            with explained(self.location):
                yield
        except Transient as error:
            raise Fatal(f"{error}; {SETTING} names it") from error
        except (ValueError, asyncpg.InternalClientError) as error:
            raise Fatal(
                f"{self.location} does not answer as Postgres does ({error}): {SETTING} names it"
            ) from error


async def _nothing_to_reset(_: Connection) -> None:
    """Nothing is kept in a session, so a connection goes back to the pool as it is."""


def without_password(url: str) -> str:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    return f"{parts.scheme}://{netloc}{parts.path}"


@contextlib.contextmanager
def explained(location: str) -> Iterator[None]:
    """Postgres' errors as ours: what may pass, and what a person must mend."""
    try:
        yield
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise Fatal(
            f"{location} refuses the user or password ({error}): correct {SETTING}"
        ) from error
    except asyncpg.InvalidCatalogNameError as error:
        raise Fatal(
            f"{location}: {error}: make it (`createdb`), or name another with {SETTING}"
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise Fatal(
            f"{location}: {error}: docs/served.md says which rights each role needs"
        ) from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise Fatal(f"{location} is read-only: name the primary with {SETTING}") from error
    except _NOT_OURS as error:
        raise Fatal(
            f"the schema of {location} is not what this CodeLupe made ({error}):"
            " run `codelupe migrate`, or restore a backup"
        ) from error
    except (asyncpg.DiskFullError, asyncpg.OutOfMemoryError) as error:
        raise Transient(
            f"{location} has no room left ({error}): free some on the server"
        ) from error
    except ssl.SSLError as error:
        raise Fatal(
            f"the certificate of {location} does not fit ({error}): see sslmode and sslrootcert"
            f" in {SETTING}"
        ) from error
    except asyncpg.PostgresError as error:
        raise _ours(error, location) from error
    except _PASSING as error:
        raise Transient(f"{location} is away: {_why(error)}") from error


def _why(error: BaseException) -> str:
    """What broke a connection, where the error is only that something could not be done then."""
    if isinstance(error, asyncpg.InterfaceError) and error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _ours(error: asyncpg.PostgresError, location: str) -> Exception:
    match error.sqlstate:
        case "CL001":
            return StaleVisit(str(error.detail))
        case "CL002":
            return TextsMissing(f"no text of {error.detail} in the batch or in the journal")
        case "CL003":
            return Transient(f"{location}: {error}")
    if isinstance(error, _PASSING):
        return Transient(f"{location}: {error}")
    return Fatal(f"{location}: {error} (SQLSTATE {error.sqlstate})")
