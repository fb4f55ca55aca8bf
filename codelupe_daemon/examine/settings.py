"""Everything that changes a verdict besides the code itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

import orjson
import xxhash


@dataclass(frozen=True, slots=True)
class ExamineSettings:
    """Limits of the rules; the line and encoding limits are those of StarCoder2.

    `languages`: linguist's names, compared without case; empty: every programming language.
    Shares are 0..1 of a text's bytes, or of what is named with them.
    """

    max_file_bytes: int = 1 << 20
    min_file_chars: int = 50
    languages: frozenset[str] = frozenset()
    max_line_chars: int = 1000
    mean_line_chars: int = 100
    min_alnum_share: float = 0.25
    """Of the bytes without indentation: nesting is no lack of letters."""
    max_encoded_bytes: int = 1024
    max_encoded_share: float = 0.5
    max_backslash_share: float = 0.1
    max_number_share: float = 0.7
    """Of the words; files with fewer than `min_table_words` are no tables."""
    min_table_words: int = 500
    max_depth: int = 256
    """Kept by whoever lists the files; here it is part of what a verdict depends on."""


def fingerprint(settings: ExamineSettings) -> str:
    """Eight hex digits that differ when the settings do."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["languages"] = sorted(name.casefold() for name in settings.languages)
    return xxhash.xxh3_64(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
