"""Named statements and numbered migrations, kept as SQL."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

HERE: Final = __name__
"""Whose SQL it is; the trainer keeps its own."""


def queries(store: str, file: str = "queries.sql", *, package: str = HERE) -> dict[str, str]:
    """The statements of `STORE/FILE` by the name in the comment above each."""
    text = script(store, file, package=package)
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (body.strip() for body in parts[1::2]), strict=True))


def embedded(file: str = "queries.sql") -> dict[str, str]:
    """The embedded store's statements: its own, and the served store's where it has none."""
    served = {name: text.replace("$", "?") for name, text in queries("postgres", file).items()}
    return served | queries("sqlite", file)


def script(store: str, file: str, *, package: str = HERE) -> str:
    """The text of a file of SQL."""
    return files(package).joinpath(store, file).read_text(encoding="utf-8")


def migrations(store: str, *, package: str = HERE) -> list[str]:
    """The schema's steps in order; step N brings a store to version N."""
    folder = files(package).joinpath(store)
    names = sorted(f.name for f in folder.iterdir() if re.match(r"\d{3}_", f.name))
    return [folder.joinpath(name).read_text(encoding="utf-8") for name in names]
