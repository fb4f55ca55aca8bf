"""Attention of each document by itself, where there is no kernel for that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

from trainer.finetune.collate import Collator
from trainer.finetune.loss import causal_of, hidden_states
from trainer.finetune.proof import TOLERANCE, trial_batch

NAME = "sdpa_by_document"
FLASH = "flash_attention_2"


@contextmanager
def attention_of(model: Any, length: int) -> Iterator[bool]:
    """Whether batches are to be flat, for an attention that is told where documents end.

    On a CPU, `sdpa` computes all pairs of a row's tokens and throws away those of two documents
    and those that look ahead. While this lasts it is called once a document instead, if on this
    model that gives the same states.
    """
    causal = causal_of(model)
    before = causal.config._attn_implementation  # noqa: SLF001 - it has no other name
    # A window that is shorter than documents would need its mask.
    window = getattr(causal.config, "sliding_window", None) or length
    is_tried = before == "sdpa" and causal.device.type == "cpu" and window >= length
    if not is_tried or not _is_same(model, causal, length):
        yield before == FLASH
        return
    causal.set_attn_implementation(NAME)
    try:
        yield True
    finally:
        causal.set_attn_implementation(before)


@torch.no_grad()
def _is_same(model: Any, causal: Any, length: int) -> bool:
    model.eval()
    states = []
    for implementation in ("sdpa", NAME):
        batch = trial_batch(model, Collator(0, length, is_flat=implementation == NAME))
        del batch["labels"]
        causal.set_attn_implementation(implementation)
        states.append(hidden_states(causal, batch).float())
    causal.set_attn_implementation("sdpa")
    moved = (states[1].view_as(states[0]) - states[0]).norm() / states[0].norm()
    return bool(moved <= TOLERANCE[causal.dtype])


def _by_document(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    *, dropout: float = 0.0, scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None, **others: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """`query`, `key`, `value` [1, heads, tokens, head width]; as transformers calls attention."""
    if cu_seq_lens_q is None:  # this architecture does not hand it on
        whole: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return whole
    groups = query.shape[1] // key.shape[1]
    sizes = cu_seq_lens_q.diff().tolist()
    whole_rows = (query, repeat_kv(key, groups), repeat_kv(value, groups))
    documents = zip(*(each.split(sizes, 2) for each in whole_rows), strict=True)
    states = [
        functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, scale=scaling, is_causal=True
        )
        for q, k, v in documents
    ]
    return torch.cat(states, 2).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _by_document)
