"""One signal a file, each 0..1 with 1 the better; together the score.

A new signal is a new file and a row below; a changed weight needs a new VERSION.
"""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import (
    CODE,
    COMMENT,
    DEFINITIONS,
    LINES,
    Batch,
    Column,
)
from codelupe_daemon.examine.languages.base import Word
from codelupe_daemon.examine.signals.complexity import complexity
from codelupe_daemon.examine.signals.documentation import documentation
from codelupe_daemon.examine.signals.idiom import idiom
from codelupe_daemon.examine.signals.naming import naming
from codelupe_daemon.examine.signals.repetition import repetition
from codelupe_daemon.examine.signals.robustness import robustness
from codelupe_daemon.examine.signals.security import security
from codelupe_daemon.examine.signals.structure import structure
from codelupe_daemon.examine.signals.validity import validity

SIGNALS = (
    (structure, 0.18),
    (documentation, 0.16),
    (complexity, 0.11),
    (naming, 0.18),
    (security, 0.08),
    (validity, 0.08),
    (robustness, 0.10),
    (repetition, 0.08),
    (idiom, 0.03),
)
_COUNTS = (("lines", LINES), ("code", CODE), ("comments", COMMENT), ("definitions", DEFINITIONS))
_JSON = (
    "{"
    + ",".join(f'"{signal.__name__}":%g' for signal, _ in SIGNALS)
    + "".join(f',"{name}":%d' for name, _ in _COUNTS)
    + ',"branches":%d}'
)


def rate(batch: Batch) -> tuple[list[float], list[bytes]]:
    """The scores, in steps of 0.001, and the signals as JSON objects."""
    values = np.stack([signal(batch) for signal, _ in SIGNALS]).clip(0, 1)
    score = np.round(np.array([weight for _, weight in SIGNALS]) @ values, 3)
    branches = batch.words(Word.BRANCH) + batch.words(Word.LOOP)
    rows: Column = np.vstack(
        [values.round(3), *(batch.column(feature) for _, feature in _COUNTS), branches]
    ).T
    return score.tolist(), [(_JSON % tuple(row)).encode() for row in rows.tolist()]
