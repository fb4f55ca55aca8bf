"""One analyser a file: which words and comment markers a language has.

A new language is a new file with an `ANALYSER` and its name in the list below.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codelupe_daemon.examine.languages import (
    c,
    cpp,
    dart,
    elixir,
    generic,
    go,
    java,
    javascript,
    python,
    rust,
    typescript,
)
from codelupe_daemon.examine.languages.base import marks, word_table

ANALYSERS = (
    *generic.ANALYSERS,  # the first of them is for every language that none names
    *(m.ANALYSER for m in (rust, go, python, typescript, javascript, dart, elixir, java, c, cpp)),
)
KIND_OF_LANGUAGE = {
    language: kind for kind, analyser in enumerate(ANALYSERS) for language in analyser.languages
}
"""The row of a language in the tables; 0 for all others."""

MARKS: npt.NDArray[np.int64] = np.array([marks(analyser) for analyser in ANALYSERS], np.int64)
WORDS: npt.NDArray[np.uint64] = np.stack([word_table(analyser) for analyser in ANALYSERS])
