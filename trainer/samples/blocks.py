"""A round's rows on disk: one safetensors file a block, and what is said about all of them.

Each is written aside, fsynced and renamed, so a file is whole or not there; a hash tells what the
disk has damaged since. `plan.json` comes first, `done.json` last; `ended.json` says why no more
blocks come for now.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors import numpy as tensors
from xxhash import xxh3_128

from codelupe_daemon.errors import Fatal
from trainer.samples.encoder import Encoded
from trainer.samples.packing import gather, pack

PLAN, DONE, ENDED = "plan.json", "done.json", "ended.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one block, or of all. `places`: how many tokens the rows have room for."""

    rows: int
    tokens: int
    supervised: int
    documents: int
    places: int
    counts: Mapping[str, int]
    """Documents by format, and what became of texts; see `Made`."""
    missing: Sequence[str]
    """Hashes (hexadecimal) of texts that were taken and are no longer there."""

    @property
    def fill(self) -> float:
        """The share of the rows' places that hold a token."""
        return self.tokens / max(self.places, 1)

    def __add__(self, other: Self) -> Facts:
        counts = Counter(self.counts) + Counter(other.counts)
        return Facts(
            self.rows + other.rows, self.tokens + other.tokens, self.supervised + other.supervised,
            self.documents + other.documents, self.places + other.places,
            dict(sorted(counts.items())), [*self.missing, *other.missing],
        )  # fmt: skip


NOTHING = Facts(0, 0, 0, 0, 0, {}, [])


class Packed(NamedTuple):
    """A block. Tokens row after row; `lengths` of its documents, `counts`: documents in a row."""

    tokens: npt.NDArray[np.uint32]
    supervised: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint32]


def path_of(folder: Path, block: int) -> Path:
    return folder / f"{block:05}.safetensors"


def packed(parts: Sequence[Encoded], max_length: int) -> Packed:
    """All documents of a block in rows."""
    tokens, supervised, lengths = (
        np.concatenate([part[n] for part in parts]) if parts else np.zeros(0, kind)
        for n, kind in enumerate((np.uint32, np.bool_, np.int64))
    )
    rows = pack(lengths, max_length)
    starts, sizes = (np.cumsum(lengths) - lengths)[rows.order], lengths[rows.order]
    return Packed(
        gather(tokens, starts, sizes), gather(supervised, starts, sizes),
        sizes.astype(np.uint32), rows.counts.astype(np.uint32),
    )  # fmt: skip


def save(
    folder: Path, block: int, rows: Packed, max_length: int,
    counts: Mapping[str, int], missing: Iterable[bytes],
) -> Facts:  # fmt: skip
    """Write a block; byte for byte the same for the same arguments."""
    facts = Facts(
        len(rows.counts), len(rows.tokens), int(rows.supervised.sum()), len(rows.lengths),
        len(rows.counts) * max_length, dict(sorted(counts.items())),
        sorted(name.hex() for name in missing),
    )  # fmt: skip
    # One key: the format keeps no order among several.
    said = json.dumps({"facts": asdict(facts), "hash": _hash(rows)})
    write(path_of(folder, block), tensors.save(rows._asdict(), {"block": said}))
    return facts


def load(folder: Path, block: int) -> Packed:
    """Raises `Fatal` for a damaged block."""
    path = path_of(folder, block)
    with _opened(path) as (file, said):
        rows = Packed(*(file.get_tensor(name) for name in Packed._fields))
        if _hash(rows) != said["hash"]:
            raise ValueError("not what was written")
        return rows


def facts_of(folder: Path, block: int) -> Facts:
    """What a block says of itself; its tokens are not read."""
    with _opened(path_of(folder, block)) as (_, said):
        return Facts(**said["facts"])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    try:
        with safe_open(path, framework="numpy") as file:
            yield file, json.loads(file.metadata()["block"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Fatal(
            f"{path} is damaged: start again, and only that block is produced again"
        ) from error


def _hash(rows: Packed) -> str:
    hasher = xxh3_128()
    for array in rows:
        hasher.update(np.ascontiguousarray(array).view(np.uint8).data)
    return hasher.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Raises `Fatal` for what is none."""
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise Fatal(f"{path} is damaged: remove {path.parent} and start again") from error
    return said


def write_json(path: Path, said: Mapping[str, Any]) -> None:
    write(path, json.dumps(said, indent=1).encode())


def write(path: Path, data: bytes) -> None:
    """Raises `Fatal` where there is no room."""
    aside = path.with_suffix(".part")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()  # which leaves room to say what happened
        raise Fatal(
            f"{path} cannot be written ({error.strerror}): make room, and start again; what was "
            f"written is kept"
        ) from error
