"""From what training left to an immutable version, and which of them is the active one.

`<models_dir>/<profile>/<version>/` is written aside, flushed, and renamed: it is there whole or not
at all, and never written again. The link `active` beside the versions follows the registry.
"""

from trainer.release.build import publish
from trainer.release.keep import (
    active_adapter,
    active_of,
    check_base,
    folder_of,
    line,
    next_version,
    point,
    prune,
)

__all__ = [
    "active_adapter",
    "active_of",
    "check_base",
    "folder_of",
    "line",
    "next_version",
    "point",
    "prune",
    "publish",
]
