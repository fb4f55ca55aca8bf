"""Folders that explain a project; what they hold as code is cut out of its context.

They are linguist's, but `examples/`, `demos/` and `samples/`: those hold whole programs. Files that
linguist takes for documentation by their names alone (`install.py`, `license.go`) are code here.
"""

from __future__ import annotations

from codelupe_daemon.examine.rules.base import PathRule
from codelupe_daemon.model import Reason

RULE = PathRule(
    Reason.DOCUMENTATION,
    folders=frozenset({"documentation", "groovydoc", "javadoc", "inst/doc"}),
    top_folders=frozenset({"doc", "docs", "man"}),
)
