"""A verdict on one file as `why --json` and `examine --json` print it."""

from __future__ import annotations

from typing import Any, Final

import orjson

from codelupe_daemon.config import Settings
from codelupe_daemon.model import Occurrence, Reason

LIMITS: Final = {
    Reason.TOO_DEEP: ("max_depth",),
    Reason.TOO_LARGE: ("max_file_bytes",),
    Reason.TOO_SMALL: ("min_file_chars",),
    Reason.NOT_CODE: ("languages",),
    Reason.MINIFIED: ("max_line_chars", "mean_line_chars"),
    Reason.DATA: (
        "max_encoded_bytes", "max_encoded_share", "max_backslash_share", "max_number_share",
        "min_table_words", "min_alnum_share",
    ),
    Reason.TOO_FEW_LINES: ("min_lines",),
    Reason.TOO_MANY_LINES: ("max_lines",),
    Reason.SHORT_LINES: ("min_mean_line_chars",),
    Reason.FEW_LETTERS: ("min_letter_share",),
    Reason.MANY_DIGITS: ("max_digit_share",),
    Reason.MOSTLY_BLANK: ("max_blank_share",),
    Reason.MOSTLY_COMMENTS: ("max_comment_share",),
    Reason.MOSTLY_STUBS: ("max_pass_share",),
    Reason.MOSTLY_IMPORTS: ("max_import_share",),
    Reason.MOSTLY_PRINTS: ("max_print_share",),
    Reason.REPETITIVE: ("max_duplicate_share",),
    Reason.UNFINISHED: ("max_todo_share",),
    Reason.LICENSE: ("licenses",),
    Reason.SECRET: (
        "private_keys", "provider_tokens", "url_passwords", "assigned_secrets", "emails",
        "ip_addresses",
    ),
}  # fmt: skip
"""The settings that a reason depends on."""


def as_json(
    repo: str,
    occurrence: Occurrence,
    quality: float | None,
    signals: bytes,
    examiner_version: str,
    settings: Settings,
) -> dict[str, Any]:
    """`quality` is 0..1; None for what is left out. Only a store knows of near-duplicates."""
    reason, license_id = occurrence.reason, occurrence.license
    license_from = "header" if occurrence.own_license else "folder" if license_id else None
    return {
        "path": occurrence.path,
        "kept": reason is None,
        "reason": reason,
        "measured": occurrence.measured,
        "limits": {name: _plain(getattr(settings, name)) for name in _limits(reason)},
        "language": occurrence.language,
        "license": license_id,
        "license_from": license_from,
        "quality": quality,
        "signals": orjson.loads(signals),
        "id": occurrence.content_hash.hex() if occurrence.content_hash else None,
        "repo": repo,
        "cluster": None,
        "winner": None,
        "examiner_version": examiner_version,
    }


def _limits(reason: Reason | None) -> tuple[str, ...]:
    return LIMITS.get(reason, ()) if reason is not None else ()


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
