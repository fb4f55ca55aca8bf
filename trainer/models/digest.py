"""Whether a base model is still the one that a round began from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

WEIGHTS = ("*.safetensors", "*.bin")
"""Files of weights; the second only where there are none of the first."""
EVERY_BYTES = 1 << 20
SAMPLE_BYTES = 4096


def digest_of(folder: Path) -> str:
    """Of a folder's weights: names, sizes, and of each file its first MiB (the tensors' names and
    shapes) and 4 KiB of every MiB after it. Training changes a matrix everywhere, so no changed
    tensor hides between two samples, and 28 GB take a second instead of a minute.
    """
    hashed = hashlib.blake2b(digest_size=16)
    found = (sorted(folder.glob(pattern)) for pattern in WEIGHTS)
    for path in next(filter(None, found), []):
        size_bytes = path.stat().st_size
        hashed.update(json.dumps([path.name, size_bytes]).encode())
        with path.open("rb") as file:
            hashed.update(file.read(EVERY_BYTES))
            for start in range(EVERY_BYTES, size_bytes, EVERY_BYTES):
                file.seek(start)
                hashed.update(file.read(SAMPLE_BYTES))
    return hashed.hexdigest()


def digest_of_seed(config: object, seed: int) -> str:
    """Of weights that are yet to be drawn."""
    told = json.dumps([config, seed], sort_keys=True, default=str)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
