"""From texts to findings: the prefilter over all of them, a close look at each candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np

from codelupe_daemon.examine.secrets import (
    assignment,
    email,
    ip_address,
    private_key,
    token,
    url_password,
)
from codelupe_daemon.examine.secrets.base import Finding, Kind, Policy, SecretPolicies
from codelupe_daemon.examine.secrets.comments import Comments
from codelupe_daemon.examine.secrets.prefilter import Integers, Sort, candidates, prefix_table

_CHECKS: dict[int, Callable[[bytes, int], Finding | None]] = {
    Sort.PRIVATE_KEY: private_key.check,
    Sort.TOKEN: token.check,
    Sort.URL: url_password.check,
    Sort.VALUE: assignment.check,
    Sort.EMAIL: email.check,
    Sort.IP_ADDRESS: ip_address.check,
}
_OPTIONAL = {Sort.EMAIL: Kind.EMAIL, Sort.IP_ADDRESS: Kind.IP_ADDRESS}
_PREFIXES = prefix_table(token.HEADS, token.BEFORE_HEADS)
_GRAVITY = {kind: number for number, kind in enumerate(Kind)}


class Secrets:
    """Finds by fixed policies; called from several threads at once."""

    def __init__(self, policies: SecretPolicies) -> None:
        self._policies = policies.by_kind()
        self._wanted = sum(
            1 << sort
            for sort in Sort
            if sort not in _OPTIONAL or self._policies[_OPTIONAL[sort]] is not Policy.KEEP
        )

    def find(
        self,
        buffer: memoryview,
        offsets: Integers,
        sizes: Integers,
        languages: Sequence[str | None],
    ) -> dict[int, list[Finding]]:
        """The findings of each text that has some, sorted, without overlaps.

        The buffer has PADDING bytes after the last text; a size below 1 is no text. What the
        policies keep is not found.
        """
        data = np.frombuffer(buffer, np.uint8)
        data.setflags(write=False)
        rows = candidates(data, offsets, sizes, _PREFIXES, self._wanted).tolist()
        found: dict[int, list[Finding]] = {}
        for i, group in groupby(rows, itemgetter(0)):
            start = int(offsets[i])
            text = bytes(buffer[start : start + int(sizes[i])])
            places = [(sort, at) for _, sort, at in group]
            if findings := self._look_at(text, places, languages[i]):
                found[i] = findings
        return found

    def _look_at(
        self, text: bytes, places: list[tuple[int, int]], language: str | None
    ) -> list[Finding]:
        comments = Comments(text, language)
        findings = []
        for sort, at in places:
            finding = _CHECKS[sort](text, at)
            if finding is not None and self._is_wanted(finding, comments):
                findings.append(finding)
        return _without_overlaps(findings, text)

    def _is_wanted(self, finding: Finding, comments: Comments) -> bool:
        policy = self._policies[finding.kind]
        if policy is Policy.REDACT_COMMENTS:
            return comments.has(finding.start)
        return policy is not Policy.KEEP


def _without_overlaps(findings: list[Finding], text: bytes) -> list[Finding]:
    """Of two that overlap, the graver one if it is inside the other, else both as one.

    As one also where a token is in the domain of an address: what is before it is one as well.
    """
    chosen: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end, _GRAVITY[f.kind])):
        if not chosen or finding.start >= chosen[-1].end:
            chosen.append(finding)
            continue
        before = chosen[-1]
        is_graver = _GRAVITY[finding.kind] < _GRAVITY[before.kind]
        is_rest = before.kind is Kind.EMAIL and b"@" in text[before.start : finding.start]
        if finding.end <= before.end and not (is_graver and is_rest):
            chosen[-1] = finding if is_graver else before
        else:
            kind = finding.kind if is_graver else before.kind
            chosen[-1] = Finding(kind, before.start, max(before.end, finding.end))
    return chosen
