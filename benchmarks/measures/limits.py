"""What the published limits cost on well-known code: the share of files that each leaves out.

No file of the corpus was chosen for its limits; what each leaves out is said for a person to
judge. `alone`: of these files, those that no other rule on content leaves out.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.blobs import Blobs, blobs_of
from benchmarks.corpus import build
from benchmarks.measures.base import Row
from codelupe_daemon.examine import Examiner, ExamineSettings
from codelupe_daemon.examine.blobs import scan
from codelupe_daemon.examine.features import HEAD_BYTES, Batch
from codelupe_daemon.examine.kernel import ROW_COLUMNS, measure_texts
from codelupe_daemon.examine.languages import KIND_OF_LANGUAGE, MARKS, WORDS
from codelupe_daemon.examine.rules import CONTENT_RULES
from codelupe_daemon.examine.text import BAD_BYTE, CHARS, NUL
from codelupe_daemon.model import Reason

NOT_LIMITS = {Reason.GENERATED}
MAX_BYTES = 1 << 20


def measure(cache: Path) -> list[Row]:
    fired: Counter[Reason] = Counter()
    alone: Counter[Reason] = Counter()
    languages: Counter[tuple[Reason, str]] = Counter()
    totals: Counter[str] = Counter()
    for repo in build(cache):
        for reasons, language in _reasons_of(blobs_of(repo)):
            totals[language] += 1
            fired.update(reasons)
            languages.update((reason, language) for reason in reasons)
            if len(reasons) == 1:
                alone.update(reasons)
    files = sum(totals.values())
    return [
        Row(
            f"limits: {reason}",
            fired[reason] / files,
            0.01,
            f"alone {alone[reason] / files:.2%} of {files:,}; {_worst(reason, languages, totals)}",
            is_upper_limit=True,
        )
        for reason, _ in fired.most_common()
        if reason not in NOT_LIMITS
    ]


def _worst(reason: Reason, languages: Counter[tuple[Reason, str]], totals: Counter[str]) -> str:
    shares = [
        (languages[reason, language] / count, language)
        for language, count in totals.items()
        if count >= 100 and languages[reason, language]
    ]
    return ", ".join(f"{language} {share:.1%}" for share, language in sorted(shares)[:-4:-1])


def _reasons_of(blobs: Blobs) -> list[tuple[set[Reason], str]]:
    """Of each file that is code by its path and UTF-8: all reasons against its content."""
    settings = ExamineSettings()
    examiner = Examiner(settings, lambda *_sides: [])
    verdicts = [examiner.path_verdict(path) for path in blobs.paths]
    texts = scan(blobs.buffer, blobs.offsets, blobs.sizes, MAX_BYTES)
    kinds = np.array([KIND_OF_LANGUAGE.get(at.language or "", 0) for at in verdicts], np.int64)
    is_judged = (texts.sizes > 0) & (texts.scan[:, NUL] < 0) & (texts.scan[:, BAD_BYTE] < 0)
    is_judged &= texts.scan[:, CHARS] >= settings.min_file_chars
    is_judged &= [at.reason is None and at.language is not None for at in verdicts]
    kinds[~is_judged] = -1
    table = np.zeros((len(kinds), ROW_COLUMNS), np.int64)
    sides = texts.data, texts.offsets, texts.sizes, texts.scan
    measure_texts(*sides, kinds, MARKS, WORDS, table)
    judged = np.flatnonzero(is_judged).tolist()
    batch = Batch(
        table[judged].astype(np.float64),
        texts.sizes[judged].astype(np.float64),
        texts.scan[judged, CHARS].astype(np.float64),
        lambda k: texts.head(judged[k], HEAD_BYTES),
        texts.data,
        texts.offsets[judged],
    )
    reasons: list[set[Reason]] = [set() for _ in judged]
    for rule in CONTENT_RULES:
        for k in np.flatnonzero(~np.isnan(rule.judge(batch, settings))).tolist():
            reasons[k].add(rule.reason)
    return [(found, verdicts[i].language or "") for found, i in zip(reasons, judged, strict=True)]
