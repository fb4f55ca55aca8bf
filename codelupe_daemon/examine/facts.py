"""What is told of a text beside its measures, added to the signals."""

from __future__ import annotations

import orjson


def with_facts(signals: bytes, names: bytes = b"[]", **told: object) -> bytes:
    """The JSON object `signals` with more keys, each only where there is something to tell.

    `names`: a JSON array of what the text defines.
    """
    parts = [signals[:-1]]
    if len(names) > 2:
        parts += b',"names":', names
    facts = {key: value for key, value in told.items() if value}
    if facts:
        parts += b",", orjson.dumps(facts)[1:-1]
    return b"".join((*parts, b"}"))
