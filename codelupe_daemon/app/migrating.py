"""`codelupe migrate`: the schema of this version, and a database of the first CodeLupe adopted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from codelupe_daemon.app.stores import journal
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Rejected, UsageError
from codelupe_daemon.journal.sqlite_files import schema_versions
from codelupe_daemon.model import Repo

if TYPE_CHECKING:
    from codelupe_daemon.journal.adopt import Judges
    from codelupe_daemon.journal.postgres_server import Server

NO_LANGUAGE = "Text"


async def migrate(
    settings: Settings, progress: Callable[[int], None], *, drop_old: bool = False
) -> dict[str, Any]:
    """The shape of `codelupe migrate --json`; `progress` is told how many old rows were read.

    Raises `Fatal` for a newer schema, and for tables of another program.
    """
    if settings.is_served:
        return await _served(settings.store, progress, drop_old=drop_old)
    before, after = schema_versions(settings.store_path)
    async with journal(settings, create=True) as store:
        location = store.location
    return _migrated(location, before, after)


async def _served(url: str, progress: Callable[[int], None], *, drop_old: bool) -> dict[str, Any]:
    from codelupe_daemon.journal.adopt import drop_old as drop
    from codelupe_daemon.journal.postgres_server import Server

    server = Server(url)
    await server.open()
    try:
        await server.check_writable()
        versions, adopted = await _made(server, progress)
        await server.check()
        dropped: list[str] = []
        if drop_old:
            async with server.transaction() as cx:
                dropped = await drop(cx)
    finally:
        await server.close()
    return _migrated(server.location, *versions) | {"adopted": adopted, "dropped": dropped}


async def _made(
    server: Server, progress: Callable[[int], None]
) -> tuple[tuple[int, int], dict[str, Any] | None]:
    if await server.schema() is not None:
        return await server.migrate(), None
    from codelupe_daemon.journal.adopt import Adoption

    adoption = Adoption(server.location, _judges(), progress)
    versions = await server.migrate(adoption.around)
    return versions, asdict(adoption.adopted)


def _migrated(store: str, before: int, after: int) -> dict[str, Any]:
    return {"store": store, "before": before, "after": after, "adopted": None, "dropped": []}


# -- what adopted rows are -----------------------------------------------------------------------


def _judges() -> Judges:
    """Old rows have a path, and perhaps a language by any of its names."""
    from codelupe_daemon.examine.language import by_alias
    from codelupe_daemon.examine.paths import PathJudge
    from codelupe_daemon.journal.adopt import Judges

    paths = PathJudge(frozenset())

    def place(path: str, said: str | None) -> tuple[str, str]:
        path_class, language, *_ = paths(path)
        named = (by_alias(said) or said) if said else language
        return path_class, named or NO_LANGUAGE

    return Judges(_repository, place)


def _repository(document: Mapping[str, Any]) -> Repo | None:
    from codelupe_daemon.discover.elasticsearch import repository_of

    try:
        return repository_of(document)
    except (Rejected, UsageError):
        return None
