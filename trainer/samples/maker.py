"""Texts into documents of tokens: cleaned, cut into pieces, put into formats, encoded."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from trainer.profile import Profile
from trainer.samples.base import Setting
from trainer.samples.borders import pieces
from trainer.samples.encoder import Encoded, Encoder
from trainer.samples.frame import frame_of
from trainer.samples.mix import Mix, of_piece
from trainer.samples.packing import gather
from trainer.types import Document, Format, Sample, Taken

CHARS_PER_TOKEN = 2.5
"""Fewer than code has with any usual tokenizer: what is cut by it seldom has to be cut again."""
_LEAST_CHARS = 16
_BATCH_CHARS = 1_000_000
_INSTRUCTION_TOKENS = 24
_ENDS = (
    "<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>",
    "<｜end▁of▁sentence｜>",  # noqa: RUF001 (DeepSeek-Coder's)
)  # fmt: skip
"""What ends a text, as a chat's end does not."""


class Job(NamedTuple):
    documents: Sequence[Document]
    format: Format


@dataclass(slots=True)
class Made:
    """Documents, and what became of the texts by name: of the formats how many documents they
    have, then `empty`, `binary`, `repaired` texts, `cut again`, and `too long` documents.
    """

    encoded: list[Encoded] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    missing: list[bytes] = field(default_factory=list)


class Maker:
    """The same texts always give the same documents. Can be pickled."""

    def __init__(self, profile: Profile, tokenizer: Any, seed: int) -> None:
        self._encoder = Encoder(tokenizer)
        self.max_length = profile.model.max_length
        controls = frozenset(self._encoder.controls)
        end = next((name for name in _ENDS if name in controls), tokenizer.eos_token)
        end = end if end in controls else None
        begin = self._encoder.begin
        frame = frame_of(tokenizer, profile.data.system_prompt, controls, begin=begin, end=end)
        self.mix = Mix(Setting(controls, begin, end, frame, profile.data, seed))
        around = self._encoder.encode([(*frame.opening, *frame.turn, *frame.closing)])
        given = int(around.lengths[0]) + _INSTRUCTION_TOKENS
        fitting = round((self.max_length - given) * CHARS_PER_TOKEN)
        self.max_chars = min(profile.data.max_chars, max(fitting, _LEAST_CHARS))

    def make(self, units: Sequence[Sequence[Taken]], texts: Mapping[bytes, str]) -> Made:
        """The documents of units of texts; see `plan.py`."""
        made = Made()
        jobs = deque(self.jobs(units, texts, made))
        while jobs:
            batch = _batch(jobs)
            encoded = self.encode([self.sample(job) for job in batch])
            fits = encoded.lengths <= self.max_length
            for job in (job for job, is_fit in zip(batch, fits, strict=True) if not is_fit):
                jobs.extend(halved(job, made.counts))
            made.encoded.append(encoded if fits.all() else _chosen(encoded, fits))
            kept = (job.format.value for job, is_fit in zip(batch, fits, strict=True) if is_fit)
            made.counts.update(kept)
        return made

    def jobs(
        self, units: Sequence[Sequence[Taken]], texts: Mapping[bytes, str], made: Made
    ) -> Iterator[Job]:
        """What is to become one document each, before any is found too long."""
        for unit in units:
            together: list[Document] = []
            for taken in unit:
                text = _clean(texts.get(taken.content_hash), taken, made)
                parts = pieces(text, taken.language, self.max_chars) if text else []
                documents = [
                    Document(taken, part, number, is_end=number == len(parts) - 1)
                    for number, part in enumerate(parts)
                ]
                together += documents[:1]
                for rest in documents[1:]:
                    yield self._job([rest])
            if together:
                yield self._job(together)

    def _job(self, documents: Sequence[Document]) -> Job:
        first = documents[0]
        return Job(documents, self.mix.choose(first.taken.content_hash, first.piece))

    def sample(self, job: Job) -> Sample:
        return self.mix.sample(job.documents, job.format)

    def encode(self, samples: Sequence[Sample]) -> Encoded:
        return self._encoder.encode(sample.segments for sample in samples)


def _clean(text: str | None, taken: Taken, made: Made) -> str:
    """A text that UTF-8 has bytes for, or nothing."""
    if text is None:
        made.missing.append(taken.content_hash)
        return ""
    if "\0" in text:
        made.counts["binary"] += 1
        return ""
    if not text or text.isspace():
        made.counts["empty"] += 1
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        made.counts["repaired"] += 1
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _batch(jobs: deque[Job]) -> list[Job]:
    """So many of them that memory stays small, at least one."""
    batch: list[Job] = []
    chars = 0
    while jobs and chars < _BATCH_CHARS:
        batch.append(jobs.popleft())
        chars += sum(len(document.text) for document in batch[-1].documents)
    return batch


def halved(job: Job, counts: Counter[str]) -> Iterator[Job]:
    """What was too long for a row, as documents of half the length, in the same format."""
    first = job.documents[0]
    middle, chars = len(job.documents) // 2, len(first.text)
    if middle == 0 and chars < _LEAST_CHARS:
        counts["too long"] += 1
        return
    counts["cut again"] += 1
    if middle:
        yield job._replace(documents=job.documents[:middle])
        yield job._replace(documents=job.documents[middle:])
        return
    parts = pieces(first.text, first.taken.language, -(-chars // 2))
    for number, part in enumerate(parts):
        is_end = first.is_end and number == len(parts) - 1
        piece = first._replace(text=part, is_end=is_end)
        yield Job([piece], of_piece(job.format, number))


def _chosen(encoded: Encoded, chosen: Any) -> Encoded:
    lengths = encoded.lengths[chosen]
    starts = (np.cumsum(encoded.lengths) - encoded.lengths)[chosen]
    return Encoded(
        gather(encoded.tokens, starts, lengths),
        gather(encoded.supervised, starts, lengths),
        lengths,
    )
