"""Sources become trees: listed in pages, read in buffers."""

from codelupe_daemon.fetch.opening import open_tree
from codelupe_daemon.fetch.scratch import sweep
from codelupe_daemon.fetch.tree import Blobs, Changes, FetchLimits, Tree

__all__ = [
    "Blobs",
    "Changes",
    "FetchLimits",
    "Tree",
    "open_tree",
    "sweep",
]
