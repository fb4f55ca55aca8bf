"""What the settings make of a stage: its limits, and the examiner."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from codelupe_daemon.config import Settings
from codelupe_daemon.errors import UsageError
from codelupe_daemon.examine import Examiner, ExamineSettings
from codelupe_daemon.examine.contamination import Contamination, read_benchmark
from codelupe_daemon.examine.examiner import Pack

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def part_of(settings: Settings, kind: type[T]) -> T:
    """The limits of one stage: its fields that are settings take their values from there."""
    names = Settings.model_fields.keys() & {field.name for field in fields(kind)}
    return kind(**{name: getattr(settings, name) for name in names})


def examiner(settings: Settings, pack: Pack) -> Examiner:
    """Raises `UsageError` where a benchmark cannot be read."""
    return Examiner(part_of(settings, ExamineSettings), pack, contamination(settings))


@cache
def contamination(settings: Settings) -> Contamination | None:
    """What the benchmarks that the settings name hold."""
    if not settings.benchmarks:
        return None
    return Contamination.of(
        text for path in sorted(settings.benchmarks) for text in _benchmark(path)
    )


def _benchmark(path: Path) -> list[tuple[str, bytes]]:
    try:
        return read_benchmark(path.name.partition(".")[0], path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the benchmark {path} cannot be read: {error}; docs/settings.md says what it may be"
        ) from error
