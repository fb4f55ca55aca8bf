"""A folder that is surely on the disk, and the hashes by which it is known again."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
HASHES = "hashes.json"
THREADS = 4


def seal(folder: Path) -> None:
    """Write the SHA-256 of every file into `hashes.json`, take the right to write from all of
    them, and wait until files and folders are on the disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(THREADS) as threads:
        hashes = list(threads.map(_flushed_hash, files))
    names = (path.relative_to(folder).as_posix() for path in files)
    write_json(folder / HASHES, dict(zip(names, hashes, strict=True)))
    _flushed_hash(folder / HASHES)
    for inner in {path.parent for path in files} | {folder}:
        flush_folder(inner)


def digest_of(folder: Path) -> str:
    """Of the hashes of all files, so of the whole folder."""
    return _hash(folder / HASHES)


def flaw(folder: Path, digest: str | None = None) -> str | None:
    """The file that is not what was written, and how; None for a whole folder. Reads all of it."""
    try:
        if digest is not None and digest_of(folder) != digest:
            return f"{folder / HASHES} is not what was written"
        hashes: dict[str, str] = orjson.loads((folder / HASHES).read_bytes())
        paths = [folder / name for name in hashes]
    except (OSError, ValueError, TypeError):
        return f"{folder / HASHES} is missing or damaged"
    with ThreadPoolExecutor(THREADS) as threads:
        return next(filter(None, threads.map(_flaw_of_file, paths, hashes.values())), None)


def write_json(path: Path, content: Any) -> None:
    """Equal contents make equal bytes; what is infinite or no number (the norm of gradients that
    overflowed in fp16) is null."""
    path.write_bytes(orjson.dumps(content, option=JSON))


def flush_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _flushed_hash(path: Path) -> str:
    path.chmod(path.stat().st_mode & ~0o222)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flaw_of_file(path: Path, expected: str) -> str | None:
    try:
        found = _hash(path)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None if found == expected else f"{path} is not what was written"
