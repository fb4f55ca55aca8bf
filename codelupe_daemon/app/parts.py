"""What the settings make of a stage: its limits, and the examiner."""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

from codelupe_daemon.config import Settings
from codelupe_daemon.examine import Examiner, ExamineSettings
from codelupe_daemon.examine.examiner import Pack

T = TypeVar("T")


def part_of(settings: Settings, kind: type[T]) -> T:
    """The limits of one stage: its fields that are settings take their values from there."""
    names = Settings.model_fields.keys() & {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: getattr(settings, name) for name in names})


def examiner(settings: Settings, pack: Pack) -> Examiner:
    return Examiner(part_of(settings, ExamineSettings), pack)
