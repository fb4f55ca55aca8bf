"""Secrets and personal data in texts: found in one pass, redacted with typed placeholders."""

from __future__ import annotations

from codelupe_daemon.examine.secrets.base import Finding, Kind, Policy, SecretPolicies
from codelupe_daemon.examine.secrets.finder import Secrets
from codelupe_daemon.examine.secrets.placeholders import count, redact

__all__ = ["Finding", "Kind", "Policy", "SecretPolicies", "Secrets", "count", "redact"]
