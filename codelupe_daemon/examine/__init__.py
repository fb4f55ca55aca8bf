"""Bytes in, verdict out: decoding, language, rules, signals, score. Pure, without I/O."""

from codelupe_daemon.examine.examiner import VERSION, Examined, Examiner
from codelupe_daemon.examine.settings import ExamineSettings
from codelupe_daemon.examine.surroundings import Surroundings, Within

__all__ = ["VERSION", "ExamineSettings", "Examined", "Examiner", "Surroundings", "Within"]
