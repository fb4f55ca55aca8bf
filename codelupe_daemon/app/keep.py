"""Keeping a store: exports, replay, takedowns."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Any

from codelupe_daemon.app.consuming import catch_up
from codelupe_daemon.app.places import full_name, places
from codelupe_daemon.app.stores import (
    Opening,
    clusters,
    consumer_named,
    consumers,
    journal,
    rebuild_queues,
    trainers_tables,
)
from codelupe_daemon.config import Settings
from codelupe_daemon.consume import export as exporting
from codelupe_daemon.consume import runner
from codelupe_daemon.errors import Transient, UsageError
from codelupe_daemon.journal import training
from codelupe_daemon.journal.base import Forgotten, Journal
from codelupe_daemon.journal.owner import this_process


async def export(
    settings: Settings, output: Path | None, format_: str, options: exporting.Options
) -> dict[str, Any]:
    """Write live contents to a file, or as JSON lines to standard output."""
    to_look = output is None
    async with journal(settings, to_look=to_look) as store, clusters(settings, store) as copies:
        made = exporting.Format(format_)
        return _exported(await exporting.export(store, copies, made, options, output=output))


async def update_export(settings: Settings, output: Path | None) -> dict[str, Any]:
    """Write an export again, under the options that it was written with."""
    if output is None:
        raise UsageError("--update needs --output FILE: the export to bring up to date")
    async with journal(settings) as store, clusters(settings, store) as copies:
        return _exported(await exporting.update(store, copies, output))


def _exported(exported: exporting.Exported) -> dict[str, Any]:
    return exported._asdict() | {"path": exported.path and str(exported.path)}


async def replay(settings: Settings, consumer: str) -> dict[str, Any]:
    """Empty a derived store and fill it again from the journal."""
    async with journal(settings) as store:
        if consumer == "redis":
            await rebuild_queues(settings, store)
            if not settings.redis_file_set:
                return {"consumer": "redis", "watermark": await store.last_id()}
        return await _replay(store, consumer_named(settings, store, consumer))


async def _replay(store: Journal, opening: Opening) -> dict[str, Any]:
    async with opening() as one:
        control = runner.Control()
        control.drain()
        outcome = await runner.run(store, one, owner=this_process(), control=control, replay=True)
        if outcome is not runner.Outcome.CAUGHT_UP:
            raise Transient(f"{one.name}: {outcome.value}; end it and run the command again")
        return {"consumer": one.name, "watermark": await one.watermark()}


async def forget(settings: Settings, target: str | None, content: str | None) -> dict[str, Any]:
    """Take down a place or a text; no byte or word of it is left in the store's files."""
    if not (target or content):
        raise UsageError("nothing has the empty name: give REPO[/PATH] or --content ID")
    async with journal(settings) as store, consumers(settings, store) as kept:
        trained = trainers_tables(settings, store)
        await training.versions_that_saw(trained, ())  # refused now, or not at all
        hashes = set[bytes]()
        if content is not None:
            named = content
            hashes.add(_hash(content))
            forgotten = await store.forget_content(_hash(content))
        else:
            repo, pattern = await _place(store, target or "")
            named = f"{repo}/{pattern}" if pattern else repo
            forgotten = await store.forget_places(repo, pattern)
        hashes |= await store.hashes(forgotten.blanked_ids)
        await catch_up(store, kept, settings.wait_s)
        for consumer in kept:
            await consumer.erase()
        await store.erase()
        holding = await asyncio.to_thread(
            exporting.holding, await store.exports(), forgotten.blanked_ids
        )
        saw = await training.versions_that_saw(trained, hashes)
    return _forgotten(named, forgotten, holding, saw)


def _forgotten(
    named: str, forgotten: Forgotten, holding: list[str], saw: list[training.Saw]
) -> dict[str, Any]:
    """The shape of `codelupe forget --json`."""
    return {
        "target": named,
        "files": forgotten.occurrences,
        "removed": len(forgotten.removed_ids),
        "moved": forgotten.moved,
        "exports": holding,
        "versions": [version._asdict() for version in saw],
        "next": [f"codelupe export --update --output {shlex.quote(path)}" for path in holding],
    }


def _hash(content: str) -> bytes:
    try:
        content_hash = bytes.fromhex(content)
    except ValueError:
        content_hash = b""
    if len(content_hash) != 16:
        raise UsageError(f"{content} is no id: give all 32 hex digits")
    return content_hash


async def _place(store: Journal, target: str) -> tuple[str, str | None]:
    """The longest known name wins; a name that is not known is taken down in advance."""
    known = [row.full_name for row in await store.repositories()]
    for repo, path in places(target, known):
        return repo, path or None
    return full_name(target), None
