"""Rows as the stores' statements give them, all in the same order of columns, as our types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codelupe_daemon.journal.base import Known, OccurrenceRow, RepositoryRow
from codelupe_daemon.model import Entry, LiveContent, Occurrence, Op, Place, Reason, Standing

Row = Sequence[Any]
Unpack = Callable[[Any], str | None]


def as_it_is(text: str | None) -> str | None:
    """The text of a column that holds it unpacked."""
    return text


def repository(row: Row) -> RepositoryRow:
    return RepositoryRow._make(
        (*row[:3], bool(row[3]), *row[4:8], Standing(*row[8:12]), *row[12:16])
    )


def known(row: Row) -> Known:
    oid, path_class, version, content_hash, reason, *rest = row
    return Known(oid, path_class, version, content_hash, reason and Reason(reason), *rest)


def entry(row: Row, unpack: Unpack) -> Entry:
    return Entry(
        row[0], Op(row[1]), row[2], unpack(row[3]), row[4], row[5], row[6],
        None if row[7] is None else row[7].encode(), row[8], Place(*row[9:14]),
        Standing(*row[14:18]), row[18], row[19], row[20],
    )  # fmt: skip


def live(row: Row, unpack: Unpack) -> LiveContent:
    (
        add_id, newest_id, content_hash, text, chars, language, quality,
        signals, license_id, *place, version, created_at, fingerprint,
    ) = row  # fmt: skip
    return LiveContent(
        add_id, newest_id, content_hash, unpack(text), chars, language, quality,
        signals.encode(), license_id, Place(*place), version, created_at, fingerprint,
    )  # fmt: skip


def occurrence(row: Row) -> OccurrenceRow:
    (
        repo_id, repo, path, oid, path_class, language, content_hash, reason, *rest, version,
    ) = row  # fmt: skip
    found = Occurrence(
        path, oid, path_class, language, content_hash, reason and Reason(reason), *rest
    )
    return OccurrenceRow(repo_id, repo, found, version)
