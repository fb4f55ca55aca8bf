"""Which places and contents were taken down: pure, the same on every store."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from codelupe_daemon.model import Occurrence, Part, Reason


class Takedowns(NamedTuple):
    """Patterns by repository (None is the whole repository), and content hashes."""

    places: dict[str, list[str | None]]
    contents: frozenset[bytes]

    @classmethod
    def of(cls, rows: Iterable[tuple[str | None, str | None, bytes | None]]) -> Takedowns:
        places: dict[str, list[str | None]] = {}
        contents = set()
        for repo, pattern, content_hash in rows:
            if content_hash is not None:
                contents.add(content_hash)
            if repo is not None:
                places.setdefault(repo, []).append(pattern)
        return cls(places, frozenset(contents))

    def __bool__(self) -> bool:
        return bool(self.places or self.contents)

    def strike(self, part: Part) -> Part:
        """The part with everything left out that a takedown names."""
        patterns = self.places.get(part.visit.full_name, [])
        struck = [self._strike(occurrence, patterns) for occurrence in part.occurrences]
        return part._replace(occurrences=struck)

    def _strike(self, occurrence: Occurrence, patterns: list[str | None]) -> Occurrence:
        named = any(place_matches(pattern, occurrence.path) for pattern in patterns)
        if not named and occurrence.content_hash not in self.contents:
            return occurrence
        return occurrence._replace(content_hash=None, reason=Reason.TAKEN_DOWN, measured=None)


def place_matches(pattern: str | None, path: str) -> bool:
    """Whether a takedown's pattern names a path: the path itself, a folder above it, or a glob."""
    if pattern is None or path == pattern or path.startswith(pattern.rstrip("/") + "/"):
        return True
    return fnmatchcase(path, pattern)
