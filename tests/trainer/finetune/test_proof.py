"""A model in which packed documents see each other is refused before it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from codelupe_daemon.errors import Fatal
from tests.trainer import tiny
from tests.trainer.finetune.train import loaded, tiny_profile
from trainer.finetune.collate import Collator
from trainer.finetune.loss import causal_of
from trainer.finetune.proof import prove, trial_batch

COLLATOR = Collator(0, 64, is_flat=False)


def made(model_type: str = "qwen2", **how: Any) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(tiny.tiny(model_type), **how)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("model_type", tiny.MODEL_TYPES)
def test_every_architecture_passes(model_type: str, dtype: torch.dtype) -> None:
    model = made(model_type, dtype=dtype)
    prove(model, trial_batch(model, COLLATOR))


@pytest.mark.parametrize("is_flat", [False, True], ids=["rows", "flat"])
def test_rows_shorter_than_those_that_are_tried_pass_too(*, is_flat: bool) -> None:
    model = made()
    prove(model, trial_batch(model, Collator(0, 16, is_flat=is_flat)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("model_type", tiny.MODEL_TYPES)
@pytest.mark.parametrize(
    "mistake",
    [
        {"attention_mask": torch.ones(2, 35, dtype=torch.int64)},
        {"use_cache": True},
        {"position_ids": torch.arange(35).expand(2, 35)},
    ],
    ids=lambda mistake: next(iter(mistake)),
)
def test_what_leaks_is_refused(
    mistake: dict[str, Any], model_type: str, dtype: torch.dtype
) -> None:
    model = made(model_type, dtype=dtype)
    batch = trial_batch(model, COLLATOR)
    prove(model, batch)
    body = model.base_model
    plain = body.forward
    body.forward = lambda **inputs: plain(**(inputs | mistake))
    with pytest.raises(Fatal, match="see each other"):
        prove(model, batch)


def test_a_mask_of_booleans_that_eager_attention_only_adds_is_refused() -> None:
    model = made(attn_implementation="eager")
    batch = trial_batch(model, COLLATOR)
    documents = (batch["position_ids"] == 0).cumsum(1)
    mask = (documents[:, :, None] == documents[:, None, :]).tril()[:, None]
    body = model.base_model
    plain = body.forward
    body.forward = lambda **inputs: plain(**(inputs | {"attention_mask": mask}))
    with pytest.raises(Fatal, match="eager"):
        prove(model, batch)


def test_outliers_of_8_bit_models_are_no_leak_and_leaks_are(tmp_path: Path) -> None:
    model = loaded(tiny_profile(tmp_path, model={"use_8bit": True})).model
    for layer in causal_of(model).model.layers:
        layer.input_layernorm.weight.data[5] = 100.0
    batch = trial_batch(model, COLLATOR)
    prove(model, batch)
    with pytest.raises(Fatal, match="see each other"):
        prove(model, batch | {"attention_mask": torch.ones_like(batch["input_ids"])})
