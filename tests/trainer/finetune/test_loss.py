"""The chunked loss is the model's own, in value and in every gradient."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.trainer import tiny
from tests.trainer.finetune.rows import packed
from trainer.finetune.collate import Collator
from trainer.finetune.loss import cross_entropy_sum, hidden_states, is_chunkable, losses_of
from trainer.finetune.proof import trial_batch

BATCH = Collator(0, 64, is_flat=False)(packed(3))


def made(model_type: str, **changes: Any) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(tiny.tiny(model_type, **changes))


def own_loss(model: Any) -> Any:
    return model(**BATCH, use_cache=False).loss


def chosen_loss(model: Any) -> AbstractContextManager[None]:
    trial = trial_batch(model, Collator(0, 64, is_flat=False))
    return losses_of(model, is_chunked=is_chunkable(model, trial))


def supervised() -> int:
    return int((BATCH["labels"] != -100).sum())


@pytest.mark.parametrize("logits_max", [1 << 26, 2000], ids=["at once", "in many parts"])
@pytest.mark.parametrize("model_type", tiny.MODEL_TYPES)
def test_the_chunked_loss_is_the_models_own(model_type: str, logits_max: int) -> None:
    model = made(model_type)
    own = own_loss(model)
    own.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    inputs = {name: value for name, value in BATCH.items() if name != "labels"}
    hidden, head = hidden_states(model, inputs), model.get_output_embeddings()
    total = cross_entropy_sum(hidden, head, BATCH["labels"], logits_max)
    loss = total / supervised()
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(own.item(), abs=1e-6)
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, expected[name], atol=1e-7), name


@pytest.mark.parametrize(
    "model_type, changes",
    [("gemma2", {"final_logit_softcapping": 3.0, "head_dim": 8}), ("cohere", {"logit_scale": 0.2})],
)
def test_a_model_that_changes_its_logits_is_trained_with_its_own_loss(
    model_type: str, changes: dict[str, Any]
) -> None:
    model = made(model_type, **changes)
    expected = own_loss(model).item()
    with chosen_loss(model):
        loss = model(**BATCH, num_items_in_batch=supervised()).loss
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_a_loss_that_is_not_known_to_be_another_is_noticed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = made("qwen2")
    head = model.lm_head
    plain = type(model).forward

    def doubled(self: Any, **inputs: Any) -> Any:
        """As a model of the future may do: the head is not all."""
        handle = head.register_forward_hook(lambda _m, _i, logits: logits * 2)
        try:
            return plain(self, **inputs)
        finally:
            handle.remove()

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(type(model), "forward", doubled)
        expected = own_loss(model).item()
        with chosen_loss(model):
            loss = model(**BATCH, num_items_in_batch=supervised()).loss
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert "Qwen2ForCausalLM is trained with its own loss" in caplog.text


def test_a_batch_in_which_nothing_is_learned_has_no_loss_and_no_gradient() -> None:
    model = made("qwen2")
    batch = {**BATCH, "labels": torch.full_like(BATCH["labels"], -100)}
    with chosen_loss(model):
        loss = model(**batch, num_items_in_batch=1).loss
    loss.backward()
    assert loss.item() == 0
    assert all(not p.grad.any() for p in model.parameters())


def test_the_model_is_itself_again_afterwards() -> None:
    model = made("qwen2")
    with chosen_loss(model):
        assert "logits" not in model(**BATCH, num_items_in_batch=1)
    assert model(**BATCH).logits.shape == (3, 64, tiny.VOCAB_SIZE)
