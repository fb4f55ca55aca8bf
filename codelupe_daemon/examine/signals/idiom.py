"""Idiom: how much of the language's own means a text uses."""

from __future__ import annotations

import numpy as np

from codelupe_daemon.examine.features import CODE, Batch, Column
from codelupe_daemon.examine.languages.base import Word
from codelupe_daemon.examine.signals.base import rise


def idiom(batch: Batch) -> Column:
    return rise(batch.words(Word.IDIOM) / np.maximum(batch.column(CODE), 1) + 0.02, 0.06)
