"""What a repository says about its files in other files: `.gitattributes`, and its licences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from codelupe_daemon.examine.attributes import FILE_NAME, Attributes, parse
from codelupe_daemon.examine.licenses import FolderLicenses, combine, is_license_file
from codelupe_daemon.examine.paths import PathJudge
from codelupe_daemon.model import PathVerdict

FILES: Final = (
    *(".gitattributes", "licenses/*", "*licen[sc]e*", "*copying*", "*copyright*", "*gpl*"),
    *("apache*", "bsd*", "mit*", "mpl*"),
)
"""Names that may matter, in any case; broader than what is read in the end."""
MAX_FILES: Final = 1000
MAX_BYTES: Final = 1 << 18
"""Of one file."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of one repository at one commit."""

    attributes: Attributes
    licenses: FolderLicenses

    @classmethod
    def of(cls, files: Iterable[tuple[str, bytes]]) -> Self:
        """From paths and bytes; those that turn out to be something else are ignored."""
        read = list(files)
        return cls(
            parse((path, data) for path, data in read if is_attributes(path)),
            combine([(path, data) for path, data in read if is_license_file(path)]),
        )


def is_surrounding(path: str) -> bool:
    """Whether this file decides about others."""
    return is_attributes(path) or is_license_file(path)


def is_attributes(path: str) -> bool:
    return path.rpartition("/")[2] == FILE_NAME


@dataclass(frozen=True, slots=True)
class Within:
    """An examiner's view of paths inside one repository."""

    judge: PathJudge
    around: Surroundings
    accepts: Callable[[str | None], bool]

    def path_verdict(self, path: str) -> PathVerdict:
        if self.around.attributes.is_empty:
            return self.judge(path)
        return self.judge.under(path, self.around.attributes.of(path))

    def license_of(self, path: str) -> str | None:
        return self.around.licenses.of(path)
