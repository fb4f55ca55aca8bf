# ruff: noqa: INP001 -- Python finds it by its name; nobody imports it
"""On PYTHONPATH, Python loads this before `codelupe`: a rule that does harm to marked files.

A text that begins with `# drill: abort` ends the process; one that begins with `# drill: wait`
holds its examining thread until the file that DRILL_GATE names exists; till then there is one with
the suffix `.waits`.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np

from codelupe_daemon.examine import ExamineSettings, examiner, rules
from codelupe_daemon.examine.features import Batch, Column
from codelupe_daemon.examine.rules.base import ContentRule
from codelupe_daemon.model import Reason


def judge(batch: Batch, _settings: ExamineSettings) -> Column:
    for i in range(len(batch.chars)):
        head = batch.head(i)
        if head.startswith(b"# drill: abort"):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.abort()
        gate = Path(os.environ["DRILL_GATE"])
        while head.startswith(b"# drill: wait") and not gate.exists():
            gate.with_suffix(".waits").touch()
            time.sleep(0.01)
    return np.full(len(batch.chars), np.nan)


vars(examiner)["CONTENT_RULES"] = (*rules.CONTENT_RULES, ContentRule(Reason.DATA, judge))
