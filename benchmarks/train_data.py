"""A model, a tokenizer and packed rows of Python's standard library, for every contestant alike."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sysconfig
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trainer.finetune.collate import IGNORED
from trainer.profile import Profile
from trainer.samples.blocks import Facts
from trainer.samples.produce import produce
from trainer.samples.rows import BlockReader, PackedRow
from trainer.samples.tokenizer import train_tokenizer
from trainer.types import Side, Taken


class Scale(NamedTuple):
    """`chars_max`: of a file; documents and rows keep the proportion of the default profile.
    On a CPU the batch is that of the demo profile, in one pass."""

    name: str
    shape: dict[str, Any]
    length: int
    chars_max: int
    rows: int
    """Of an epoch; so many optimizer steps of `batch` rows."""
    batch: int
    micro_batch: int
    """Rows of a forward pass."""


def _qwen(vocab: int, width: int, ffn: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "qwen2", "max_position_embeddings": 8192, "rope_theta": 1e6,
        "vocab_size": vocab, "hidden_size": width, "intermediate_size": ffn,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }  # fmt: skip


VOCABULARY = 8192
"""Of the tokenizer; larger models have entries that no token has."""
SCALES = {
    "cpu": Scale("4 layers of 256", _qwen(VOCABULARY, 256, 704, 4, 4), 1024, 2000, 16, 8, 8),
    "0.5b": Scale("Qwen2.5-0.5B", _qwen(151936, 896, 4864, 24, 14), 4096, 8000, 128, 16, 2),
    "1.5b": Scale("Qwen2.5-1.5B", _qwen(151936, 1536, 8960, 28, 12), 4096, 8000, 128, 16, 2),
}


class Documents(NamedTuple):
    """The same tokens one document at a time; a label of -100 is not learned, nor is the first."""

    input_ids: list[list[int]]
    labels: list[list[int]]

    @property
    def supervised(self) -> int:
        return sum(label != IGNORED for labels in self.labels for label in labels)


def profile_of(scale: Scale, model: Path, *, is_lora: bool) -> Profile:
    return Profile.model_validate({
        "name": "benchmark",
        "model": {"name": str(model), "max_length": scale.length, "use_lora": is_lora},
        "lora": {"rank": 16, "alpha": 32},
        "training": {
            "effective_batch": scale.batch, "optimizer": "adamw_fused", "lr_schedule": "constant",
            "gradient_checkpointing": "none", "warmup_share": 0.0,
        },
        "data": {"max_chars": scale.chars_max},
    })  # fmt: skip


def make(folder: Path, scale: Scale) -> Facts:
    """`folder/model` with random weights, and all there is in `folder/rows`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    texts = list(_texts(scale.chars_max))
    train_tokenizer((text for _, text in texts), VOCABULARY, folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("eos", "pad")}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(**scale.shape, **ends)).save_pretrained(
        folder / "model"
    )
    profile = profile_of(scale, folder / "model", is_lora=True)
    return asyncio.run(_produce(texts, profile, tokenizer, folder / "rows"))


async def _produce(
    texts: Sequence[tuple[str, str]], profile: Profile, tokenizer: Any, folder: Path
) -> Facts:
    known = {hashlib.blake2b(text.encode(), digest_size=16).digest(): text for _, text in texts}
    taken = [
        Taken(n, name, f"python/{path.split('/')[0]}", path, "Python", None, 80.0, len(text), 0,
              Side.TRAIN)
        for n, (name, (path, text)) in enumerate(zip(known, texts, strict=True))
    ]  # fmt: skip

    async def read(names: Sequence[bytes]) -> dict[bytes, str]:
        return {name: known[name] for name in names}

    made = await produce(read, taken, profile, tokenizer, folder, seed=1, is_stopping=lambda: False)
    return made.facts


def _texts(chars_max: int) -> Iterator[tuple[str, str]]:
    """Path and text of the standard library's files that a round would take."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts)
    random.Random(0).shuffle(paths)
    seen = set()
    for path in paths:
        text = path.read_bytes().decode(errors="replace")
        if 50 <= len(text) <= chars_max and text not in seen:
            seen.add(text)
            yield path.relative_to(root).as_posix(), text


def rows_of(folder: Path, count: int) -> list[PackedRow]:
    """The first of them, in an order of chance."""
    rows = list(BlockReader(folder / "rows").rows(0, 0))
    assert len(rows) >= count, f"there are {len(rows)} rows, and {count} are wanted"
    return rows[:count]


def documents_of(rows: Sequence[PackedRow]) -> Documents:
    ids, labels = [], []
    for row in rows:
        starts = np.cumsum([0, *row.lengths])
        for begin, end in pairwise(starts):
            tokens = row.input_ids[begin:end].astype(np.int64)
            learned = np.where(row.supervised[begin:end], tokens, IGNORED)
            learned[0] = IGNORED
            ids.append(tokens.tolist())
            labels.append(learned.tolist())
    return Documents(ids, labels)
