"""Looking at a store: status, search, why, show, verify."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from codelupe_daemon.app.deep import verify_deep
from codelupe_daemon.app.places import places
from codelupe_daemon.app.stores import (
    Opening,
    clusters,
    consumer_openings,
    engine_name,
    frontier_state,
    journal,
    trainers_tables,
)
from codelupe_daemon.app.verdicts import as_json
from codelupe_daemon.config import Settings
from codelupe_daemon.errors import Fatal, Rejected, Transient, UsageError
from codelupe_daemon.journal import training
from codelupe_daemon.journal.base import Journal, OccurrenceRow
from codelupe_daemon.model import LiveContent


async def status(settings: Settings) -> dict[str, Any]:
    """The shape of `codelupe status --json`."""
    async with journal(settings, to_look=True) as store:
        counts = await store.counts()
        consumers = await _consumers(settings, store, counts.last_id)
        consumers |= await _trainers(settings, store, counts.last_id)
    states = counts.repositories
    return {
        "store": store.location,
        "frontier": await frontier_state(settings),
        "search": engine_name(settings),
        "repositories": {
            "known": sum(states.values()),
            "done": states.get("done", 0),
            "failed": states.get("failed", 0) + states.get("incomplete", 0),
            "due": states.get("due", 0) + states.get("visiting", 0),
        },
        "files": {
            "listed": counts.listed,
            "accepted": counts.accepted,
            "distinct": counts.distinct,
            "left_out": counts.left_out,
        },
        "reasons": dict(sorted(counts.reasons.items(), key=lambda item: -item[1])),
        "journal": {"last_id": counts.last_id},
        "consumers": consumers,
    }


async def _consumers(settings: Settings, store: Journal, last_id: int) -> dict[str, Any]:
    openings = consumer_openings(settings, store, to_look=True)
    found = await asyncio.gather(*(_consumer(opening, last_id) for opening in openings.values()))
    return dict(zip(openings, found, strict=True))


async def _consumer(opening: Opening, last_id: int) -> dict[str, Any]:
    """How far it is; where its server does not answer, why."""
    try:
        async with opening() as consumer:
            watermark = await consumer.watermark()
            letters = len(await consumer.dead_letters())
    except (Transient, Fatal) as error:
        return {"watermark": None, "lag": None, "dead_letters": None, "state": str(error)}
    lag = last_id - watermark
    return {"watermark": watermark, "lag": lag, "dead_letters": letters, "state": "ok"}


async def _trainers(settings: Settings, store: Journal, last_id: int) -> dict[str, Any]:
    """How far each profile's trainer is; nothing where none ever was."""
    try:
        watermarks = await training.watermarks(trainers_tables(settings, store))
    except (Transient, Fatal) as error:
        lost = {"watermark": None, "lag": None, "dead_letters": None, "state": str(error)}
        return {training.CONSUMER: lost}
    return {
        name: {"watermark": at, "lag": last_id - at, "dead_letters": 0, "state": "ok"}
        for name, at in watermarks.items()
    }


async def verify(settings: Settings, *, deep: bool) -> dict[str, Any]:
    """The shape of `codelupe verify --json`."""
    async with journal(settings, to_look=not deep) as store:
        checked, problems = await store.verify()
        if deep:
            also_checked, also = await verify_deep(settings, store)
            checked, problems = checked | also_checked, problems + also
        last_id = await store.last_id()
        consumers = await _consumers(settings, store, last_id)
    for name, consumer in consumers.items():
        checked["watermarks"] = checked.get("watermarks", 0) + 1
        if consumer["lag"] is None:
            problems.append(f"{name}: {consumer['state']}")
            continue
        if consumer["lag"] < 0:
            problems.append(
                f"{name} has read further than the journal goes: codelupe replay {name}"
            )
        if consumer["dead_letters"]:
            problems.append(f"{name} could not take {consumer['dead_letters']} rows")
    return {"ok": not problems, "checked": checked, "problems": problems}


async def why(settings: Settings, target: str) -> dict[str, Any]:
    """The verdict on a listed file. Raises `Rejected` where nothing of that name is listed."""
    async with journal(settings, to_look=True) as store:
        row = await _listed(store, target)
        live, copies = None, {}
        if row.occurrence.content_hash is not None:
            (live,) = await store.live_by_hash(row.occurrence.content_hash.hex())
            copies = await _cluster(settings, store, row.occurrence.content_hash)
    quality, signals = (round(live.quality / 100, 3), live.signals) if live else (None, b"{}")
    version = row.examiner_version
    return as_json(row.repo, row.occurrence, quality, signals, version, settings) | copies


async def _cluster(settings: Settings, store: Journal, content_hash: bytes) -> dict[str, Any]:
    """The text's near-duplicates: their cluster, and the copy of them that won."""
    async with clusters(settings, store) as known:
        cluster = (await known.clusters_of([content_hash])).get(content_hash)
    if cluster is None:
        return {}
    winner = {"id": cluster.winner.hex(), "repo": None, "path": None}
    for best in await store.live_by_hash(cluster.winner.hex()):
        winner |= {"repo": best.place.repo, "path": best.place.path}
    return {"cluster": cluster.cluster_id.hex(), "winner": winner}


async def _listed(store: Journal, target: str) -> OccurrenceRow:
    known = [row.full_name for row in await store.repositories()]
    in_repo = [(repo, path) for repo, path in places(target, known) if path]
    for repo, path in in_repo:
        row = await store.find(repo, path)
        if row is not None:
            return row
    if in_repo:
        repo, path = in_repo[0]
        raise Rejected(f"{repo} listed no file {path} when it was read: `codelupe ingest` it again")
    raise Rejected(f"{target} is in no source that was read: `codelupe ingest` its source first")


async def show(settings: Settings, prefix: str) -> dict[str, Any]:
    """A live text by its id or the beginning of it. Raises `UsageError` and `Rejected`."""
    digits = prefix.lower()
    if not 4 <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        raise UsageError(f"{prefix} is no id: 4 to 32 hex digits, as `codelupe search` prints them")
    async with journal(settings, to_look=True) as store:
        content = _only(prefix, await store.live_by_hash(digits))
        places = await store.occurrences(content.content_hash)
    return {
        "id": content.content_hash.hex(),
        "repo": content.place.repo,
        "path": content.place.path,
        "language": content.language,
        "license": content.license,
        "quality": round(content.quality / 100, 3),
        "signals": orjson.loads(content.signals),
        "places": [{"repo": row.repo, "path": row.occurrence.path} for row in places],
        "content": content.content,
    }


def _only(prefix: str, found: Sequence[LiveContent]) -> LiveContent:
    if not found:
        raise Rejected(f"no live text has an id that begins with {prefix}")
    if len(found) > 1:
        names = ", ".join(content.content_hash.hex() for content in found)
        raise UsageError(f"{prefix} is the beginning of several ids: {names}")
    return found[0]
