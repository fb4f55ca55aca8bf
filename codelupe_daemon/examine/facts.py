"""What is told of a text beside its measures, added to the signals."""

from __future__ import annotations

from collections.abc import Mapping

import orjson


def with_facts(
    signals: bytes,
    names: bytes,
    redacted: Mapping[str, int],
    copyright_bytes: int,
    benchmark: str | None,
) -> bytes:
    """The JSON object `signals` with more keys, each only where there is something to tell.

    `names`: a JSON array of what the text defines. `redacted`: placeholders by kind.
    `copyright_bytes`: of the comment about rights that the text begins with. `benchmark`: the item
    of a public benchmark that the text holds a piece of.
    """
    parts = [signals[:-1]]
    if len(names) > 2:
        parts += b',"names":', names
    others = {"redacted": redacted, "copyright_bytes": copyright_bytes, "benchmark": benchmark}
    told = {key: value for key, value in others.items() if value}
    if told:
        parts += b",", orjson.dumps(told)[1:-1]
    return b"".join((*parts, b"}"))
