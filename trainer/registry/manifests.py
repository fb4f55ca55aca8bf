"""What a manifest is in JSON, and its digest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson

from codelupe_daemon.errors import Fatal
from trainer.types import Base, Manifest, NotTaken, Origin, Side, Taken

_CANONICAL: Final = orjson.OPT_SORT_KEYS


def digest(manifest: Manifest) -> str:
    """BLAKE2b-256, in hex, of canonical JSON: the head, then the rows in their order."""
    hashed = blake2b(head(manifest), digest_size=32)
    for taken in manifest.taken:
        hashed.update(orjson.dumps(row(taken)))
    return hashed.hexdigest()


def head(manifest: Manifest) -> bytes:
    """The manifest without its rows, as canonical JSON."""
    return orjson.dumps(
        {
            "session_id": manifest.session_id, "profile": manifest.profile,
            "source": manifest.source, "from_id": manifest.from_id, "to_id": manifest.to_id,
            "seed": manifest.seed, "base": manifest.base._asdict(),
            "settings": dict(manifest.settings), "rows": len(manifest.taken),
            "not_taken": {reason.value: count for reason, count in manifest.not_taken.items()},
            "created_at": manifest.created_at, "leaked": manifest.leaked,
        },
        option=_CANONICAL,
    )  # fmt: skip


def row(taken: Taken) -> list[Any]:
    """A row as the stores' columns have it."""
    return [
        taken.id, taken.content_hash.hex(), taken.repo, taken.path, taken.language, taken.license,
        float(taken.quality), taken.chars, taken.created_at, taken.side.value, taken.origin.value,
    ]  # fmt: skip


def taken(columns: Iterable[Any]) -> Taken:
    """The inverse of `row`."""
    row_id, content_hash, *facts, side, origin = columns
    return Taken._make((row_id, bytes.fromhex(content_hash), *facts, Side(side), Origin(origin)))


def whole(written: str, rows: Iterable[Iterable[Any]], frozen: str) -> Manifest:
    """The manifest of a head and its rows; `frozen`: its digest as it was. Raises `Fatal`."""
    said: Mapping[str, Any] = orjson.loads(written)
    manifest = Manifest(
        **{
            name: value for name, value in said.items() if name not in {"rows", "base", "not_taken"}
        },
        base=Base(**said["base"]),
        not_taken={NotTaken(reason): count for reason, count in said["not_taken"].items()},
        taken=tuple(map(taken, rows)),
    )
    if digest(manifest) != frozen:
        raise Fatal(
            f"the manifest of the round {manifest.session_id} is not what was frozen: restore a"
            " backup of the trainer's tables"
        )
    return manifest
