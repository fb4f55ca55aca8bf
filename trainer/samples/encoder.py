"""Samples into tokens. Text is text: what it says never becomes a control token."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from codelupe_daemon.errors import Fatal
from trainer.samples.packing import gather
from trainer.samples.quick import quick
from trainer.types import Segment

_AT_ONCE = 32
"""Texts whose encodings, about 200 bytes a token, the processor's cache still holds."""


class Encoded(NamedTuple):
    """Documents one after the other: `tokens` uint32 and `supervised` bool [n], `lengths` int64."""

    tokens: npt.NDArray[np.uint32]
    supervised: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.int64]


class Encoder:
    """Made from a fast tokenizer of transformers; leaves that as it is. Can be pickled."""

    def __init__(self, tokenizer: Any) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise Fatal(
                f"{type(tokenizer).__name__} is no fast tokenizer: save the model with one, "
                f"AutoTokenizer.from_pretrained(..., use_fast=True)"
            )
        added = {
            token.content: number
            for number, token in backend.get_added_tokens_decoder().items()
            if not token.content.isspace()  # CodeGen's and Phi's indentation is text
        }
        self.controls: dict[str, int] = added
        """Control tokens by name."""
        self.begin = next((name for name in backend.encode("a").tokens[:1] if name in added), None)
        """The one that the tokenizer puts before every text."""
        described = _of_text_only(backend, added)
        self._text = Tokenizer.from_str(json.dumps(described))
        self._text.encode_special_tokens = True
        self._quick = quick(described)
        ids = backend.get_vocab(with_added_tokens=True).values()  # may have gaps
        self._is_control = np.zeros(max(ids) + 1, np.bool_)
        self._is_control[list(added.values())] = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._text.encode_special_tokens = True  # which a pickled tokenizer does not keep

    def encode(self, samples: Iterable[Sequence[Segment]]) -> Encoded:
        """One document a sample. A text that stands in several of them is encoded once."""
        rows: list[int] = []
        flags: list[bool] = []
        counts: list[int] = []
        texts: dict[str, int] = {}
        for sample in samples:
            before = len(rows)
            for text, is_supervised, is_control in _as_prompted(sample):
                # Control tokens are rows of their own, counted from the end.
                rows.append(
                    ~self.controls[text] if is_control else texts.setdefault(text, len(texts))
                )
                flags.append(is_supervised)
            counts.append(len(rows) - before)
        return self._gather(list(texts), np.array(rows, np.int64), flags, counts)

    def _gather(
        self, texts: list[str], rows: npt.NDArray[np.int64], flags: list[bool], counts: list[int]
    ) -> Encoded:
        """The stretches of `texts`' tokens that the samples' segments ask for."""
        tokens, sizes = self._tokens(texts)
        used, place = np.unique(~rows[rows < 0], return_inverse=True)
        rows[rows < 0] = len(texts) + place
        tokens = np.concatenate((tokens, used.astype(np.uint32)))
        sizes = np.concatenate((sizes, np.ones(len(used), np.int64)))
        starts = np.cumsum(sizes) - sizes
        chosen = sizes[rows]
        supervised = np.repeat(np.array(flags, np.bool_), chosen)
        ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(chosen)))
        borders = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))
        lengths = np.diff(ends[borders])
        return Encoded(gather(tokens, starts[rows], chosen), supervised, lengths)

    def _tokens(self, texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Of all texts, and how many each has."""
        found = dict(self._found(texts))
        parts = [found[number] for number in range(len(texts))]
        tokens = np.concatenate([np.zeros(0, np.uint32), *parts])
        sizes = np.array(list(map(len, parts)), np.int64)
        is_control = self._is_control[tokens]
        if is_control.any():
            # This model has control tokens among its ordinary pieces: a text loses them.
            owners = np.repeat(np.arange(len(sizes)), sizes)[is_control]
            return tokens[~is_control], sizes - np.bincount(owners, minlength=len(sizes))
        return tokens, sizes

    def _found(self, texts: list[str]) -> Iterator[tuple[int, npt.NDArray[np.uint32]]]:
        """The tokens of each text, in any order."""
        others: list[int] = []
        for number, text in enumerate(texts):
            if self._quick and text.isascii():
                yield number, self._quick.encode_to_numpy(text, disallowed_special=())
            else:
                others.append(number)
        for start in range(0, len(others), _AT_ONCE):
            part = others[start : start + _AT_ONCE]
            batch = [texts[number] for number in part]
            encoded = self._text.encode_batch_fast(batch, add_special_tokens=False)
            for number, encoding in zip(part, encoded, strict=True):
                yield number, np.array(encoding.ids, np.uint32)


def _as_prompted(sample: Sequence[Segment]) -> Iterator[Segment]:
    """Texts that are given and stand together are one, as they will be in a prompt; what is
    learned begins with a token of its own.
    """
    for is_given, group in groupby(
        sample, lambda part: not (part.is_control or part.is_supervised)
    ):
        if is_given:
            yield Segment("".join(part.text for part in group), is_supervised=False)
        else:
            yield from group


def _of_text_only(backend: Tokenizer, controls: Iterable[str]) -> dict[str, Any]:
    """The JSON of one that does not look for control tokens, neither cuts nor pads, and puts no
    space before a text, since a segment may begin in the middle of a word.
    """
    described: dict[str, Any] = json.loads(backend.to_str())
    for name in ("normalizer", "pre_tokenizer"):
        described[name] = _spaceless(described[name])
    names = set(controls)
    for token in described["added_tokens"]:
        token["special"] = token["content"] in names
    return described | {"truncation": None, "padding": None}


def _spaceless(step: dict[str, Any] | None) -> dict[str, Any] | None:
    """A tokenizer's step, or steps, without the space that the first word would get."""
    if step is None or step["type"] == "Prepend":
        return None
    for name in ("normalizers", "pretokenizers"):
        if name in step:
            step[name] = [kept for each in step[name] if (kept := _spaceless(each))]
    given = {"prepend_scheme": "never", "add_prefix_space": False}
    return step | {name: value for name, value in given.items() if name in step}
