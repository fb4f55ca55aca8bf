"""IPv4 addresses of machines: no versions, no private, local or documentation addresses."""

from __future__ import annotations

import ipaddress
import re

from codelupe_daemon.examine.secrets.base import Finding, Kind

_ADDRESS = re.compile(rb"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")
_VERSION = re.compile(
    rb"(?<![\w.+/=-])(?:version|ver|v|release|rfc|section|chapter)\W{0,4}\Z", re.IGNORECASE
)
_MARKS = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "192.88.99.0/24")
)
_RESOLVERS = frozenset(b"8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 1.2.3.4 4.3.2.1 5.6.7.8".split())


def check(text: bytes, at: int) -> Finding | None:
    """The address at `at`, if it is that of a machine that people can reach."""
    found = _ADDRESS.match(text, at)
    if found is None or found[0] in _RESOLVERS or _VERSION.search(text, max(at - 16, 0), at):
        return None
    try:
        address = ipaddress.IPv4Address(found[0].decode())
    except ipaddress.AddressValueError:
        return None
    if not address.is_global or address.is_multicast or any(address in net for net in _MARKS):
        return None
    if int(address) >> 24 < 11:  # four small numbers are versions and sections
        return None
    return Finding(Kind.IP_ADDRESS, *found.span())
