"""What `codelupe verify` holds against a journal; the stores read its pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from codelupe_daemon.model import Op

PAGE: Final = 1000
LISTED: Final = {
    "verify_unresolved": "holds a content that is not live",
    "verify_undecided": "has neither a content nor a reason",
}
"""Statements that give the repository and the path of each occurrence with a problem."""

Place = tuple[int, str] | None
"""repo_id and path; None for nowhere."""


class Verification:
    """What was counted, and what is wrong; the pages come in their order."""

    def __init__(self) -> None:
        self.checked: dict[str, int] = {"journal rows": 0, "texts": 0, "contents": 0}
        self.problems: list[str] = []
        self._alive: set[bytes] = set()

    def rows(self, page: Sequence[Iterable[Any]], unpack: Callable[[Any], str | None]) -> None:
        """Every text hashes to its name, and the ops of each content follow each other."""
        self.checked["journal rows"] += len(page)
        for row_id, op, content_hash, text, is_taken_down in page:
            if text is not None:
                self.checked["texts"] += 1
                self._text(row_id, content_hash, text, unpack)
            elif op == Op.ADD and not is_taken_down:
                self.problems.append(f"row {row_id} has lost its text")
            if (op == Op.ADD) == (content_hash in self._alive):
                self.problems.append(f"row {row_id}: {op} of {content_hash.hex()} out of turn")
            (self._alive.discard if op == Op.REMOVE else self._alive.add)(content_hash)

    def _text(
        self, row_id: int, content_hash: bytes, packed: Any, unpack: Callable[[Any], str | None]
    ) -> None:
        try:
            text = unpack(packed) or ""
        except Exception as error:  # noqa: BLE001 - whatever a damaged text makes it raise
            self.problems.append(f"row {row_id}: the text cannot be unpacked: {error}")
            return
        if hashlib.blake2b(text.encode(), digest_size=16).digest() != content_hash:
            self.problems.append(f"row {row_id}: the text does not hash to {content_hash.hex()}")

    def contents(self, recorded: Iterable[bytes]) -> None:
        """All of them, once all rows were seen."""
        for content_hash in self._alive ^ set(recorded):
            self.problems.append(f"{content_hash.hex()} lives in only one of journal and contents")

    def place(
        self, content_hash: bytes, places: tuple[Place, Place, Place], add_op: str, *, pending: bool
    ) -> None:
        """`places`: of `contents`, of its newest row, and the best; `pending`: not decided yet."""
        here, newest, best = places
        self.checked["contents"] += 1
        if add_op != Op.ADD or here != newest:
            self.problems.append(f"{content_hash.hex()}: contents and journal do not agree")
        if not pending and here != best:
            self.problems.append(f"{content_hash.hex()} does not stand at its best place")
