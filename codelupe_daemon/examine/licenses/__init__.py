"""Licences: of a licence file's text, of a repository's folders, of a file's own header."""

from codelupe_daemon.examine.licenses.folders import FolderLicenses, combine, is_license_file
from codelupe_daemon.examine.licenses.headers import HEAD_BYTES, Header, header
from codelupe_daemon.examine.licenses.identify import Identified, identify
from codelupe_daemon.examine.licenses.words import MAX_BYTES

__all__ = [
    "HEAD_BYTES",
    "MAX_BYTES",
    "FolderLicenses",
    "Header",
    "Identified",
    "combine",
    "header",
    "identify",
    "is_license_file",
]
