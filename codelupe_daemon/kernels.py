"""How functions are compiled, and where their machine code is kept.

numba takes a cached function for current while its own source file is unchanged. Ours hold
constants and inlined code of others, so the cache has a folder for each state of all sources.
"""

from __future__ import annotations

import contextlib
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import Any

from numba import config

PACKAGE = Path(__file__).parent
_NAME = "kernels-"

JIT: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "boundscheck": False,
    "error_model": "numpy",
}
INLINE = {**JIT, "forceinline": True}


_SOURCES = ("kernels.py", "examine/**/*.py", "syntax/**/*.py", "fetch/batch.py", "consume/lsh.py")


def _state() -> str:
    digest = blake2b(digest_size=8)
    for path in sorted(path for pattern in _SOURCES for path in PACKAGE.glob(pattern)):
        found = path.stat()
        digest.update(f"{path.relative_to(PACKAGE)} {found.st_mtime_ns} {found.st_size}\n".encode())
    return digest.hexdigest()


def _use_own_cache() -> None:
    """In `NUMBA_CACHE_DIR` where that is set, else beside the bytecode; numba looks for another
    place itself where neither can be written."""
    above = Path(config.CACHE_DIR or PACKAGE / "__pycache__")
    own = above / f"{_NAME}{_state()}"
    if not own.exists():
        with contextlib.suppress(OSError):
            for old in above.glob(f"{_NAME}*"):
                if old != own:
                    shutil.rmtree(old, ignore_errors=True)
            own.mkdir(parents=True, exist_ok=True)
    config.CACHE_DIR = str(own)


_use_own_cache()
