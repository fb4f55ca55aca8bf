"""What the model would see: the first samples of a manifest, as plain data."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from trainer.profile import Profile
from trainer.samples import plan
from trainer.samples.encoder import Encoded
from trainer.samples.maker import Made, Maker, halved
from trainer.samples.produce import Texts
from trainer.types import Sample, Taken


async def look(
    texts: Texts, taken: Sequence[Taken], profile: Profile, tokenizer: Any, *, seed: int, limit: int
) -> list[dict[str, Any]]:
    """The first `limit` samples in reading order. `parts`: stretches of a sample, each with
    whether the model learns to write it, and whether it is a control token. `is_too_long`: it fits
    no row however short its text is, and is left out.
    """
    maker = Maker(profile, tokenizer, seed)
    shown: list[dict[str, Any]] = []
    planned = plan.blocks(taken, maker.mix, maker.max_chars)
    for page in plan.pages(planned, range(len(planned)), taken):
        units = [[taken[row] for row in unit] for unit in page.units]
        found = await texts([each.content_hash for unit in units for each in unit])
        made = Made()
        jobs = deque(maker.jobs(units, found, made))
        while jobs and len(shown) < limit:
            job = jobs.popleft()
            sample = maker.sample(job)
            encoded = maker.encode([sample])
            is_too_long = len(encoded.tokens) > maker.max_length
            smaller = [*halved(job, made.counts)] if is_too_long else []
            jobs.extendleft(reversed(smaller))
            if not smaller:
                shown.append(_shown(sample, encoded, is_too_long=is_too_long))
        if len(shown) == limit:
            break
    return shown


def _shown(sample: Sample, encoded: Encoded, *, is_too_long: bool) -> dict[str, Any]:
    return {
        "id": sample.taken.content_hash.hex(),
        "repo": sample.taken.repo,
        "path": sample.taken.path,
        "language": sample.taken.language,
        "format": sample.format.value,
        "tokens": len(encoded.tokens),
        "supervised_tokens": int(encoded.supervised.sum()),
        "is_too_long": is_too_long,
        "parts": [
            {"text": part.text, "supervised": part.is_supervised, "control": part.is_control}
            for part in sample.segments
            if part.text
        ],
    }
