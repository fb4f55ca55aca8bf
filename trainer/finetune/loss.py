"""The loss without all logits at once, and which loss a model is trained with."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import CausalLMOutput

from trainer.finetune.collate import IGNORED
from trainer.models.base import needs_own_loss

LOGITS_MAX = 1 << 26
"""So many logits are held at once: 256 MiB in fp32, and as much for their gradients."""

log = logging.getLogger(__name__)


def cross_entropy_sum(hidden: Tensor, head: Any, labels: Tensor, logits_max: int) -> Tensor:
    """The sum of next-token cross-entropy over what is supervised.

    `hidden` [B, L, width], `labels` [B, L] with -100 for what is not learned. Only supervised
    positions go through the head, `logits_max` logits at a time; where that takes several times,
    logits are not kept for the backward pass but computed again.
    """
    wanted = labels[:, 1:]
    is_supervised = wanted != IGNORED
    hidden, wanted = hidden[:, :-1][is_supervised], wanted[is_supervised]
    chunks = math.ceil(len(wanted) * head.out_features / logits_max)
    if chunks <= 1:
        return _part(hidden, wanted, head)
    parts = zip(hidden.tensor_split(chunks), wanted.tensor_split(chunks), strict=True)
    sums = [checkpoint(_part, h, y, head, use_reentrant=False) for h, y in parts]
    return torch.stack(sums).sum()


def _part(hidden: Tensor, wanted: Tensor, head: Any) -> Tensor:
    return functional.cross_entropy(head(hidden).float(), wanted, reduction="sum")


def causal_of(model: Any) -> Any:
    """The language model itself, without the adapter around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(causal: Any, inputs: Mapping[str, Any]) -> Tensor:
    """What goes into the head [B, L, width]; without a cache, or documents would see each other."""
    given = {name: value for name, value in inputs.items() if value is not None}
    states: Tensor = causal.base_model(**given, use_cache=False).last_hidden_state
    return states


def _chunked_forward(
    causal: Any, *, labels: Tensor, num_items_in_batch: Tensor | int, **inputs: Any
) -> CausalLMOutput:
    head = causal.get_output_embeddings()
    total = cross_entropy_sum(hidden_states(causal, inputs), head, labels, LOGITS_MAX)
    return CausalLMOutput(loss=total / num_items_in_batch)


def _own_forward(causal: Any, **inputs: Any) -> Any:
    return CausalLMOutput(loss=type(causal).forward(causal, **inputs, use_cache=False).loss)


@torch.no_grad()
def is_chunkable(model: Any, batch: Mapping[str, Any]) -> bool:
    """Whether the chunked loss is the model's own: by its config, and by trying it on `batch`."""
    causal = causal_of(model)
    if needs_own_loss(causal.config):
        return False
    causal.eval()
    own = _own_forward(causal, **batch, num_items_in_batch=1).loss.item()
    chunked = _chunked_forward(causal, **batch, num_items_in_batch=1).loss.item()
    is_exact = causal.dtype == torch.float32 and not torch.is_autocast_enabled(causal.device.type)
    if math.isclose(own, chunked, rel_tol=1e-4 if is_exact else 2e-2):
        return True
    log.warning("%s is trained with its own loss, which needs more memory", type(causal).__name__)
    return False


@contextmanager
def losses_of(model: Any, *, is_chunked: bool) -> Iterator[None]:
    """While it lasts, the model's `forward` takes a batch and `num_items_in_batch`, the supervised
    tokens of the whole accumulated batch, and gives the loss alone: chunked, or the model's own.

    It is the innermost `forward` that changes, so that adapters, DDP and FSDP stay around it.
    """
    causal = causal_of(model)
    causal.forward = MethodType(_chunked_forward if is_chunked else _own_forward, causal)
    causal.accepts_loss_kwargs = True
    try:
        yield
    finally:
        del causal.forward, causal.accepts_loss_kwargs
