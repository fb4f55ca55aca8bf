"""Everything that changes a verdict besides the code itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

import orjson
import xxhash

from codelupe_daemon.examine.secrets import Policy, SecretPolicies


@dataclass(frozen=True, slots=True)
class ExamineSettings:
    """Limits of the rules: as published for StarCoder2, and for OpenCoder from `min_lines` on.

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
    min_lines: int = 10
    max_lines: int = 100_000
    min_mean_line_chars: int = 5
    min_letter_share: float = 0.5
    max_digit_share: float = 0.2
    """Of the characters that are no blanks, as the letters."""
    max_blank_share: float = 0.5
    max_comment_share: float = 0.8
    max_duplicate_share: float = 0.7
    """Of the lines of code, as the next but one and what follows it."""
    max_todo_share: float = 0.01
    max_pass_share: float = 0.05
    """Of Python alone, as the next two."""
    max_import_share: float = 0.3
    max_print_share: float = 0.4
    licenses: str = "any"
    """`any`, `permissive`, or SPDX ids separated by commas."""
    private_keys: str = "redact"
    """What is done about each kind of secret: a `secrets.Policy`."""
    provider_tokens: str = "redact"
    url_passwords: str = "redact"
    assigned_secrets: str = "redact"
    emails: str = "redact_comments"
    ip_addresses: str = "keep"
    max_depth: int = 256
    """Kept by whoever lists the files; here it is part of what a verdict depends on."""

    @property
    def secrets(self) -> SecretPolicies:
        return SecretPolicies(
            private_key=Policy(self.private_keys),
            token=Policy(self.provider_tokens),
            url_password=Policy(self.url_passwords),
            secret=Policy(self.assigned_secrets),
            email=Policy(self.emails),
            ip_address=Policy(self.ip_addresses),
        )


def fingerprint(settings: ExamineSettings) -> str:
    """Eight hex digits that differ when the settings do."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["languages"] = sorted(name.casefold() for name in settings.languages)
    return xxhash.xxh3_64(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
