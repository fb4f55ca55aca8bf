"""Rows as the stores' statements give them, in the order of their columns, and our types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import orjson

from trainer.registry.base import Session, Totals, Version
from trainer.types import Progress, SessionStatus

Row = Sequence[Any]


def session(row: Row) -> Session:
    session_id, name, profile, source, status, *counts, reason, detail, started_at, ended_at = row
    return Session._make((
        session_id, name, profile, source, SessionStatus(status), *counts, reason,
        orjson.loads(detail), int(started_at), None if ended_at is None else int(ended_at),
    ))  # fmt: skip


def version(row: Row) -> Version:
    version_id, session_id, profile, name, path, base_model, parent, digest, *facts = row
    is_active, created_at, metrics, results = facts
    return Version(
        version_id, session_id, profile, name, path, base_model, parent, digest, bool(is_active),
        created_at, orjson.loads(metrics), orjson.loads(results),
    )  # fmt: skip


def of_version(one: Version) -> Row:
    return (
        one.id, one.session_id, one.profile, one.version, one.path, one.base_model, one.parent,
        one.digest, one.is_active, one.created_at, json(one.performance_metrics),
        json(one.evaluation_results),
    )  # fmt: skip


def of_progress(session_id: str, one: Progress) -> Row:
    """A step that is told again, as after a resume, takes the place of what was told of it."""
    return f"{session_id}:{one.step}", session_id, *map(finite, astuple(one))


def totals(row: Row) -> Totals:
    runs, samples, last_run = row
    return Totals(runs, int(samples), None if last_run is None else int(last_run))


def finite(value: float | None) -> float | None:
    """Null for what is not a number: the stores differ in what they make of it."""
    return value if value is not None and math.isfinite(value) else None


def json(values: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(values)).decode()
