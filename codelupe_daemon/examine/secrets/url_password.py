"""Passwords in URLs: `scheme://user:password@host`."""

from __future__ import annotations

import re

from codelupe_daemon.examine.secrets.base import Finding, Kind
from codelupe_daemon.examine.secrets.randomness import entropy, is_example, is_random

MIN_STRENGTH = 8
_CREDENTIALS = re.compile(
    rb"""://(?P<user>[^\s/:@"'`<>{}$%|\\]{0,64}):(?P<password>[^\s/@"'`<>\\]{3,128})"""
    rb"""@(?P<host>[A-Za-z0-9_.-]+|\[[0-9a-fA-F:]+\])"""
)
_VARIABLE = re.compile(rb"[{}$%*|()\[\]]|^[A-Z][A-Z_]*$|^:|^#")
_USUAL = frozenset(
    b"password passwd pass passw0rd pwd secret hunter2 user username root admin guest test testing "
    b"tester postgres mysql mongo redis rabbitmq elastic sa foo bar baz foobar bob alice joe frank "
    b"token credentials pa55 p4ssw0rd letmein demo docs docker local localhost login name "
    b"somepassword mypassword mypass hello world tiger abc abcd pw 123 1234 12345 123456".split()
)
_EXAMPLE_HOST = re.compile(
    rb"(?:^|\.)(?:example|test|invalid|localhost|foo|bar|host|hostname|server|domain|proxy)(?:\.|$)",
    re.IGNORECASE,
)


def check(text: bytes, at: int) -> Finding | None:
    """The password of the URL whose `://` stands at `at`."""
    found = _CREDENTIALS.match(text, at)
    if found is None:
        return None
    password, user = found["password"], found["user"]
    if _VARIABLE.search(password) and not _is_escaped_only(password):
        return None
    low = password.lower()
    if low in _USUAL or low == user.lower() or is_example(password) or len(set(password)) < 4:
        return None
    if _EXAMPLE_HOST.search(found["host"]) and not is_random(password):
        return None
    if _strength(password) < MIN_STRENGTH:
        return None
    return Finding(Kind.URL_PASSWORD, *found.span("password"))


def _is_escaped_only(password: bytes) -> bool:
    """Whether what looks like a variable is only percent-encoding."""
    return not _VARIABLE.search(re.sub(rb"%[0-9A-Fa-f]{2}", b"", password))


def _strength(password: bytes) -> float:
    """Bits, twice as many with a digit and letters; words have few."""
    has_both = re.search(rb"\d", password) and re.search(rb"[A-Za-z]", password)
    return entropy(password) * len(password) * (1 if has_both else 0.4)
