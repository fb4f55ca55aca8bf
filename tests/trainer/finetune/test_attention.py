"""Attention of each document by itself gives what the masked one of whole rows gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from tests.trainer import tiny
from tests.trainer.finetune.rows import packed
from trainer.finetune.attention import NAME, attention_of
from trainer.finetune.collate import Collator
from trainer.finetune.loss import hidden_states

LENGTH = 64


def made(model_type: str, **changes: Any) -> Any:
    implementation = "eager" if model_type == "codegen" else "sdpa"
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(
        tiny.tiny(model_type, **changes), attn_implementation=implementation
    )


def pass_through(model: Any, *, is_flat: bool) -> tuple[Tensor, Tensor]:
    """States and all gradients, of four rows."""
    batch: dict[str, Any] = Collator(0, LENGTH, is_flat=is_flat)(packed(4))
    del batch["labels"]
    model.train().zero_grad()
    states = hidden_states(model, batch).view(4, LENGTH, -1)
    total = (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum()
    torch.autograd.backward(total)
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return states.detach(), torch.cat(gradients)


@contextmanager
def flat(model: Any) -> Iterator[bool]:
    with attention_of(model, LENGTH) as is_flat:
        assert (model.config._attn_implementation == NAME) is is_flat
        yield is_flat


@pytest.mark.parametrize("model_type", [m for m in tiny.MODEL_TYPES if m != "codegen"])
def test_states_and_gradients_are_those_of_the_masked_attention(model_type: str) -> None:
    model = made(model_type)
    masked = pass_through(model, is_flat=False)
    with flat(model) as is_flat:
        assert is_flat
        apart = pass_through(model, is_flat=True)
    assert model.config._attn_implementation == "sdpa"
    for ours, theirs in zip(apart, masked, strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


def test_a_window_shorter_than_a_row_keeps_its_mask() -> None:
    model = made("starcoder2", sliding_window=LENGTH // 2)
    with flat(model) as is_flat:
        assert not is_flat


def test_plain_products_stay() -> None:
    with flat(made("codegen")) as is_flat:
        assert not is_flat
