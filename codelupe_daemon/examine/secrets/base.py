"""What is looked for, what is done about it, and what a find is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """Kinds of secrets and personal data; where two overlap, the first one counts."""

    PRIVATE_KEY = "private_key"
    TOKEN = "token"  # noqa: S105 - the name of a kind
    """What a provider issued, in a shape of its own."""
    URL_PASSWORD = "url_password"  # noqa: S105 - the name of a kind
    SECRET = "secret"  # noqa: S105 - the name of a kind
    """Something random that is assigned to a name like `password` or `api_key`."""
    EMAIL = "email"
    IP_ADDRESS = "ip_address"


class Policy(StrEnum):
    REJECT = "reject"
    """The file is left out."""
    REDACT = "redact"
    REDACT_COMMENTS = "redact_comments"
    """Redacted where it stands in a comment; in code it stays."""
    KEEP = "keep"
    """Not even looked for."""


@dataclass(frozen=True, slots=True)
class SecretPolicies:
    """What is done about each kind.

    Secrets are redacted, not rejected: the code around them is worth learning. E-mail addresses
    are people's in comments; in code they are mostly data that the code depends on. Addresses of
    machines say little about people, and most of them are examples.
    """

    private_key: Policy = Policy.REDACT
    token: Policy = Policy.REDACT
    url_password: Policy = Policy.REDACT
    secret: Policy = Policy.REDACT
    email: Policy = Policy.REDACT_COMMENTS
    ip_address: Policy = Policy.KEEP

    def by_kind(self) -> Mapping[Kind, Policy]:
        return {Kind(field.name): getattr(self, field.name) for field in fields(self)}


class Finding(NamedTuple):
    """Where the secret part stands in the text, in bytes: `ghp_` is no part of it."""

    kind: Kind
    start: int
    end: int
