"""E-mail addresses of people, in comments or anywhere."""

from __future__ import annotations

import re

from codelupe_daemon.examine.secrets.base import Finding, Kind

_LOCAL = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}\Z")
_DOMAIN = re.compile(
    rb"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,5}(?:[a-z]{2,24}|[A-Z]{2,24})(?![A-Za-z0-9_(@:])"
)
_IN_URL = re.compile(rb"://[^\s/@]*\Z")
_NUMBER = re.compile(rb"\d{6}")  # the id of a message
_NOBODY = re.compile(
    rb"(?:git|hg|svn|user|username|name|you|your[._-]?(?:name|e?mail)|e?mail|foo|bar|baz|test\w*|nobody"
    rb"|no-?reply|do-?not-?reply|example|someone|somebody|admin|root|alice|bob|joe|john|jane|j?doe"
    rb"|john\.?doe|jane\.?doe|me|x+|a|b|.*redacted_.*)\Z",
    re.IGNORECASE,
)
_NOWHERE = re.compile(
    rb"(?:\A|\.)(?:example\.\w+(?:\.\w+)?|example|test|invalid|localhost|local|internal|lan"
    rb"|domain\.com|email\.com|mail\.com|yourdomain\.\w+|mydomain\.\w+|foo\.\w+|bar\.\w+|host\.\w+"
    rb"|company\.com|acme\.\w+|site\.com|server\.com|noreply\.github\.com|xyz\.com|abc\.com|test\.com)\Z"
    rb"|\.(?:png|jpe?g|gif|svg|js|ts|py|go|rs|java|html?|css|json|md|txt|so|dll|exe|service|socket"
    rb"|timer|target|mount)\Z",
    re.IGNORECASE,
)


def check(text: bytes, at: int) -> Finding | None:
    """The whole address around the `@` at `at`, if it is somebody's."""
    local = _LOCAL.search(text, max(at - 64, 0), at)
    domain = _DOMAIN.match(text, at + 1)
    if local is None or domain is None:
        return None
    if _IN_URL.search(text, max(local.start() - 80, 0), local.start()):
        return None
    if _NUMBER.search(local[0]) or _NOBODY.match(local[0]) or _NOWHERE.search(domain[0]):
        return None
    return Finding(Kind.EMAIL, local.start(), domain.end())
