"""From rows of the journal to what happens to documents of `codelupe-code`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from codelupe_daemon.consume.elasticsearch_bulk import Action
from codelupe_daemon.journal.clusters import Cluster
from codelupe_daemon.model import Entry, LiveContent, Op

# A document's version is the id of its content's newest row, so an older state never replaces a
# newer one; the same may be written again.
_PUT: Final = b'{"index":{"_id":"%b","version":%d,"version_type":"external_gte"}}\n'
_DELETE: Final = b'{"delete":{"_id":"%b","version":%d,"version_type":"external_gte"}}\n'


class Change(NamedTuple):
    """A content that is to be indexed whole: its newest row, and what lives."""

    entry: Entry
    live: LiveContent


class Plan(NamedTuple):
    """What a page of rows comes to."""

    deletes: list[Action]
    changes: list[Change]
    texts: Mapping[bytes, str]
    """Those that the page brought with it."""


def plan(entries: Sequence[Entry], live: Mapping[bytes, LiveContent], min_quality: float) -> Plan:
    """`live`: of the contents of these rows, those that live by now. `min_quality`: 0..1.

    What has a newer row than the page's is left to that one. So nothing is written that is dead
    by now, though a page may be taken again long after: Elasticsearch forgets its deletes.
    """
    newest = {entry.content_hash: entry for entry in entries}
    only_added = {entry.content_hash for entry in entries if entry.op is Op.ADD}
    only_added -= {entry.content_hash for entry in entries if entry.op is not Op.ADD}
    deletes, changes = [], []
    for content_hash, entry in newest.items():
        found = live.get(content_hash)
        if entry.op is Op.REMOVE:
            deletes.append(_delete(entry))
        elif found is None or found.newest_id != entry.id:
            continue
        elif found.quality >= 100 * min_quality:
            changes.append(Change(entry, found))
        elif content_hash not in only_added:
            deletes.append(_delete(entry))
    texts = {entry.content_hash: entry.content for entry in entries if entry.content is not None}
    return Plan(deletes, changes, texts)


def put(change: Change, text: str, cluster: Cluster | None) -> Action:
    document = _document(change, text) | cluster_fields(cluster)
    return put_again(change.live.content_hash.hex(), change.entry.id, document)


def put_again(document_id: str, version: int, document: Mapping[str, Any]) -> Action:
    lines = _PUT % (document_id.encode(), version) + orjson.dumps(document) + b"\n"
    return Action(version, lines)


def cluster_fields(cluster: Cluster | None) -> dict[str, str | None]:
    """Both None for a content without near-duplicates."""
    return {
        "cluster_id": cluster and cluster.cluster_id.hex(),
        "cluster_winner": cluster and cluster.winner.hex(),
    }


def _delete(entry: Entry) -> Action:
    return Action(entry.id, _DELETE % (entry.content_hash.hex().encode(), entry.id))


def _document(change: Change, text: str) -> dict[str, Any]:
    live, standing = change.live, change.entry.standing
    return {
        "content": text,
        "symbols": orjson.loads(live.signals).get("names"),
        "content_hash": live.content_hash.hex(),
        "content_chars": live.content_chars,
        "language": live.language,
        "quality_score": round(live.quality / 100, 3),
        "license": live.license,
        "repo": live.place.repo,
        "file_path": live.place.path,
        "commit": live.place.commit and live.place.commit.hex(),
        "stars": standing.stars,
        "forks": standing.forks,
        "pushed_at": standing.pushed_at,
        "created_at": live.created_at,
        "journal_id": live.newest_id,
        "add_id": live.id,
        "signals": orjson.Fragment(live.signals),
    }
