"""A store on servers, the daemons that work on it, and what has to be true of it in the end."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import asyncpg

from tests.drills.process import CONTENTS, OCCURRENCES, REPOSITORIES, State, done, run
from tests.drills.served.daemons import PEAK_MB, Daemon
from tests.drills.served.reader import ROWS, Reader
from tests.servers.postgres import query

# Every visit that completes leaves a row.
AUDIT = (
    "create table drill_done (repo_id bigint)",
    """create function drill_done() returns trigger language plpgsql as $$
    begin
        insert into drill_done values (new.id);
        return null;
    end $$""",
    """create trigger drill_done after update on repositories for each row
    when (old.state <> 'done' and new.state = 'done') execute function drill_done()""",
)
# SQLite's, for the queries that both stores answer.
HEX = """create function hex(bytea) returns text language sql
return coalesce(upper(encode($1, 'hex')), '')"""
WAIT_S = 600.0
POLL_S = 0.05
_log = logging.getLogger(__name__)


class Corpus(NamedTuple):
    """Repositories, and what an undisturbed run into an embedded store makes of them."""

    sources: Sequence[Path]
    state: State

    @property
    def texts(self) -> int:
        return len(self.state.contents)


class Site:
    """A store with all of a corpus registered, and a reader of its journal, while entered.

    Daemons use the servers of `urls`, by setting; what the test asks goes straight to `database`.
    """

    def __init__(self, corpus: Corpus, folder: Path, database: str, **urls: str) -> None:
        self.corpus = corpus
        self.database = database
        self.settings = {f"CODELUPE_{name.upper()}": url for name, url in urls.items()}
        self.settings["XDG_DATA_HOME"] = str(folder)
        self.daemons: list[Daemon] = []
        self.reader = Reader(database)
        self._folder = folder
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        done(run("ingest", "--later", "--json", *self.corpus.sources, settings=self.settings))
        for statement in (*AUDIT, HEX):
            self.rows(statement)
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.end()
        for daemon in self.daemons:
            daemon.kill()

    def start(self, **settings: str) -> Daemon:
        log = self._folder / f"daemon-{len(self.daemons)}.log"
        self.daemons.append(Daemon(log, self.settings | settings))
        return self.daemons[-1]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return query(self.database, sql, *values)

    def count(self, sql: str, *values: object) -> int:
        """0 where the server is away."""
        try:
            [(number,)] = self.rows(sql, *values)
        except (OSError, asyncpg.PostgresError):
            return 0
        return int(number)

    # -- load that lasts ------------------------------------------------------------------------

    def hold_back(self) -> None:
        """Nothing is due until it is released."""
        self.rows("update repositories set due_at = 'infinity'")

    def release(self, share: float) -> None:
        """Make so much of all repositories due, and at least one."""
        self.rows(
            "update repositories set due_at = codelupe_now() where id in ("
            " select id from repositories where due_at = 'infinity' order by id limit $1)",
            math.ceil(share * len(self.corpus.sources)),
        )

    # -- waiting --------------------------------------------------------------------------------

    def wait(self, holds: Callable[[], object]) -> None:
        """Until it holds. No daemon may end meanwhile but those that the drill ended."""
        until = time.monotonic() + WAIT_S
        while not holds():
            for daemon in self.daemons:
                assert daemon.is_as_wanted, daemon.said()[-4000:]
            assert time.monotonic() < until, "\n".join(one.said()[-2000:] for one in self.daemons)
            time.sleep(POLL_S)

    def reaches(self, row: int) -> None:
        """The journal gets so far, or to its end."""
        self.wait(lambda: self.reader.last_id >= min(row, self.corpus.texts))

    def hears(self, daemons: Sequence[Daemon], what: str) -> None:
        """One of them tells it."""
        self.wait(lambda: any(what in daemon.said() for daemon in daemons))

    def is_done(self) -> bool:
        done_ones = "select count(*) from repositories where state = 'done'"
        return self.count(done_ones) == len(self.corpus.sources)

    def epochs(self) -> dict[str, int]:
        """How often each repository was claimed."""
        return dict(self.rows("select full_name, lease_epoch from repositories"))

    def held_by(self, daemon: Daemon) -> dict[str, int]:
        """The same of what it is visiting."""
        visiting = "select full_name, lease_epoch from repositories where lease_owner like $1"
        return dict(self.rows(visiting, f"%:{daemon.pid}:%"))

    def runs_consumers(self, daemon: Daemon) -> bool:
        held = "select count(*) from watermarks where lease_owner like $1"
        return self.count(held, f"%:{daemon.pid}:%") > 0

    # -- the end --------------------------------------------------------------------------------

    def assert_undisturbed(self) -> None:
        """All is done, nothing is lost or doubled, and everything that is derived agrees."""
        self.wait(self.is_done)
        left = [daemon for daemon in self.daemons if daemon.is_wanted]
        for daemon in left:
            daemon.stop()
        for daemon in left:
            daemon.ends_well()
        assert self.state() == self.corpus.state
        self.reader.end()
        rows = self.rows(ROWS, 0)
        assert self.reader.rows == rows
        assert [row[0] for row in rows] == [*range(1, len(rows) + 1)]
        completed = "select count(*), count(distinct repo_id) from drill_done"
        assert self.rows(completed) == [(len(self.corpus.sources),) * 2]
        assert done(run("verify", "--deep", "--json", settings=self.settings))["problems"] == []
        peak_mb = max(daemon.peak_mb for daemon in self.daemons)
        assert peak_mb < PEAK_MB
        took_s = time.monotonic() - self._began
        _log.info("%d rows, at most %.0f MB, %.0f s", len(rows), peak_mb, took_s)

    def state(self) -> State:
        return State(*map(self.rows, (CONTENTS, OCCURRENCES, REPOSITORIES)))
