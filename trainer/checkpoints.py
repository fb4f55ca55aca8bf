"""Checkpoints that a crash at any byte, a full disk or a bad sector cannot make resume from.

`transformers.Trainer` writes a checkpoint file by file, and resumes from one in which the
optimizer, the scheduler or the random state is missing without a word. So a checkpoint here is
sealed: `manifest.json`, written last and by rename, holds the hash of each of its files. A folder
without one is no checkpoint.

What is gone on with ends with the same bytes as if it had never been interrupted: on CPU always
(tests/trainer/resume), on a GPU with `training.deterministic`, which makes torch choose
deterministic algorithms and Flash Attention a deterministic backward pass. Without it kernels add
up in an order that changes: the results are as near to each other as those of two trainings that
nothing interrupted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import TrainerCallback

from codelupe_daemon.errors import Fatal
from trainer import distributed

MANIFEST = "manifest.json"
ASIDE = "damaged"
"""Folder of what was moved aside; it holds one at most, for a person to look at."""
HASHING_THREADS = 4

log = logging.getLogger(__name__)


class Sealing(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Seals each checkpoint as soon as every process has written its part, then removes older
    ones. Trainer's own `save_total_limit` must be off: it removes before the new one is whole.

    Kept are the newest `keep`, and of each of them the best so far.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        distributed.barrier()
        if distributed.is_main():
            folder = Path(args.output_dir)
            checkpoint = path_of(folder, state.global_step)
            with telling_of_room(checkpoint):
                seal(checkpoint)
            prune(folder, self.keep)
        distributed.barrier()


def path_of(folder: Path, step: int) -> Path:
    """Where Trainer writes the checkpoint of a step."""
    return folder / f"checkpoint-{step}"


def seal(checkpoint: Path) -> None:
    """Make a written checkpoint one that exists. Done twice it changes nothing."""
    if is_sealed(checkpoint):
        return
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    with ThreadPoolExecutor(HASHING_THREADS) as threads:
        hashes = list(threads.map(_flushed_hash, files))
    names = (path.relative_to(checkpoint).as_posix() for path in files)
    manifest = {"sha256": dict(zip(names, hashes, strict=True))}
    aside = checkpoint / f"{MANIFEST}.part"
    with aside.open("w") as written:
        json.dump(manifest, written, indent=1, sort_keys=True)
        written.flush()
        os.fsync(written.fileno())
    for inner in {path.parent for path in files} | {checkpoint, checkpoint.parent}:
        _flush_folder(inner)
    aside.rename(checkpoint / MANIFEST)
    _flush_folder(checkpoint)


def is_sealed(checkpoint: Path) -> bool:
    return (checkpoint / MANIFEST).is_file()


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, as is the best that it names; None: begin anew.

    What is newer and damaged is moved to `damaged/`, with a warning that says why.
    """
    for checkpoint in reversed(_checkpoints(folder)):
        reason = flaw(checkpoint) or _flaw_of_best(checkpoint)
        if reason is None:
            return checkpoint
        log.warning("%s is not resumed from: %s", checkpoint, reason)
        _move_aside(checkpoint)
    return None


def flaw(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint; None for a good one. Reads every byte of it."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_bytes())
        hashes = {checkpoint / name: str(digest) for name, digest in manifest["sha256"].items()}
    except FileNotFoundError:
        return "it was not written to its end"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"its {MANIFEST} is damaged"
    with ThreadPoolExecutor(HASHING_THREADS) as threads:
        return next(filter(None, threads.map(_flaw_of_file, hashes, hashes.values())), None)


def prune(folder: Path, keep: int) -> None:
    """Remove sealed checkpoints but the newest `keep` and the best that these name."""
    sealed = [checkpoint for checkpoint in _checkpoints(folder) if is_sealed(checkpoint)]
    kept = {best_of(checkpoint) for checkpoint in sealed[-keep:]} | set(sealed[-keep:])
    for checkpoint in sealed:
        if checkpoint not in kept:
            (checkpoint / MANIFEST).unlink()  # a crash in the middle leaves what is no checkpoint
            shutil.rmtree(checkpoint)


def best_of(checkpoint: Path) -> Path | None:
    """The checkpoint with the best weights so far, as this one knows it; it may be itself."""
    state = json.loads((checkpoint / "trainer_state.json").read_bytes())
    step = state["best_global_step"]
    return path_of(checkpoint.parent, step) if step else None


@contextmanager
def telling_of_room(checkpoint: Path, needed_bytes: int = 0) -> Iterator[None]:
    """Around writing a checkpoint: what goes wrong with the disk is a Fatal that says what to do,
    and the half-written checkpoint is gone, so that those before it keep their room.

    Raises before anything is written where less than `needed_bytes` are free.
    """
    folder = checkpoint.parent
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise _no_room(folder, needed_bytes, f"{_gib(free_bytes)} are free")
    try:
        yield
    except Exception as error:
        if not _is_of_disk(error):
            raise
        needed_bytes = needed_bytes or sum(p.stat().st_size for p in checkpoint.rglob("*"))
        shutil.rmtree(checkpoint, ignore_errors=True)
        raise _no_room(folder, needed_bytes, str(error)) from error


def size_bytes(model: Any, optimizer: Any, *, is_adapter: bool) -> int:
    """About what a checkpoint needs: the weights that are saved, and the optimizer's state."""
    saved = (p for p in model.parameters() if p.requires_grad or not is_adapter)
    states = optimizer.state.values() if optimizer is not None else ()
    kept = (value for state in states for value in state.values() if isinstance(value, Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in chain(saved, kept))


def _checkpoints(folder: Path) -> list[Path]:
    """Oldest first, whole or not."""
    found = (path for path in folder.glob("checkpoint-*") if path.name[11:].isdecimal())
    return sorted(found, key=lambda path: int(path.name[11:]))


def _flushed_hash(path: Path) -> str:
    """Of a file that is on the disk when this returns."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _flush_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _flaw_of_file(path: Path, expected: str) -> str | None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"its {path.name} cannot be read ({error.strerror})"
    return None if found == expected else f"its {path.name} is not what was written"


def _flaw_of_best(checkpoint: Path) -> str | None:
    best = best_of(checkpoint)
    if best in {None, checkpoint} or (reason := flaw(best)) is None:
        return None
    return f"of {best.name}, which holds the best weights so far: {reason}"


def _move_aside(checkpoint: Path) -> None:
    aside = checkpoint.parent / ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    checkpoint.rename(aside / checkpoint.name)


def _is_of_disk(error: Exception) -> bool:
    """torch and safetensors tell of a full disk by errors of their own."""
    if isinstance(error, OSError):
        return True
    return "os error" in str(error) or "inline_container" in str(error)


def _no_room(folder: Path, needed_bytes: int, reason: str) -> Fatal:
    return Fatal(
        f"a checkpoint could not be written to {folder}, it needs {_gib(needed_bytes)}: {reason}; "
        "make room there and start again: the round goes on from the checkpoint before"
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.3g} GiB"
