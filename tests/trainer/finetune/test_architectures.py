"""Each architecture trains, is measured, saved, loaded again, merged, and generates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from tests.trainer import tiny
from tests.trainer.finetune.rows import packed
from tests.trainer.finetune.train import DEVICE, loaded, tiny_profile, trained
from trainer.finetune.collate import Collator
from trainer.samples.rows import PackedRow

# 4-bit weights are quantised in blocks of 64, which on a CPU must lie within a row.
WIDE = {
    "gpt2": {"n_embd": 64},
    "qwen2": {"hidden_size": 64, "num_key_value_heads": 4, "intermediate_size": 128},
}
FAST = {"base_learning_rate": 3e-2, "effective_batch": 4}


def loss_of(model: Any, rows: list[PackedRow]) -> float:
    """By the model's own loss, a row at a time and a document at a time."""
    total = tokens = 0.0
    for row in rows:
        start = 0
        for length in row.lengths:
            part = slice(start, start := start + length)
            one = PackedRow(row.input_ids[part], row.supervised[part], (length,))
            batch = Collator(0, length, is_flat=False)([one])
            counted = int((batch["labels"] != -100).sum())
            with torch.no_grad():
                total += model(**batch).loss.item() * counted
            tokens += counted
    return total / tokens


def generates(model: Any) -> list[int]:
    start = torch.tensor([[5, 7, 9]])
    tokens: list[int] = model.generate(start, max_new_tokens=4, do_sample=False)[0].tolist()
    return tokens


@pytest.mark.parametrize("model_type", tiny.MODEL_TYPES)
def test_it_trains_and_what_it_saves_is_what_it_measured(model_type: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    profile = tiny_profile(base, model_type, training=FAST)
    result = trained(profile, tmp_path / "run")
    assert result.after["validation"] < result.before["validation"]
    assert result.after["holdout"] < result.before["holdout"]
    assert (result.steps, result.best_step) == (3, 3)

    best = tmp_path / "run" / "best"
    plain = AutoModelForCausalLM.from_pretrained(base).eval()
    assert loss_of(plain, packed(4, seed=7)) == pytest.approx(result.before["validation"], 1e-4)
    adapted = PeftModel.from_pretrained(plain, best).eval()
    after = loss_of(adapted, packed(4, seed=7))
    assert after == pytest.approx(result.after["validation"], 1e-4)
    said = generates(adapted)
    merged = adapted.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    assert loss_of(again, packed(4, seed=7)) == pytest.approx(after, 1e-4)
    assert generates(again) == said


@pytest.mark.parametrize("model_type", ["gpt2", "qwen2"])
@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_models_train_their_adapters(model_type: str, bits: int, tmp_path: Path) -> None:
    model = {f"use_{bits}bit": True}
    profile = tiny_profile(
        tmp_path / "base", model_type, shape=WIDE[model_type], training=FAST, model=model
    )
    result = trained(profile, tmp_path / "run")
    assert result.after["validation"] < result.before["validation"] - 0.01
    best = tmp_path / "run" / "best"
    adapted = AutoPeftModelForCausalLM.from_pretrained(best).eval()  # on the full-precision base
    measured = loss_of(adapted, packed(4, seed=7))
    assert measured == pytest.approx(result.after["validation"], abs=0.1)
    assert measured < result.before["validation"]
    # A model in training multiplies 4-bit weights by another kernel than a new one does.
    before = trained(profile, tmp_path / "next", model=loaded(profile, adapter=best)).before
    assert before == pytest.approx(result.after, 1e-4)


def test_adapters_are_bf16_on_4_bits_and_stay_so_when_gone_on_with(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path / "base", shape=WIDE["qwen2"], model={"use_4bit": True})
    device = DEVICE._replace(precision="bf16")
    trained(profile, tmp_path / "run", model=loaded(profile, device=device))
    assert dtypes(tmp_path / "run" / "best" / "adapter_model.safetensors") == {"BF16"}
    again = loaded(profile, adapter=tmp_path / "run" / "best", device=device)
    result = trained(profile, tmp_path / "next", model=again)
    assert dtypes(tmp_path / "next" / "best" / "adapter_model.safetensors") == {"BF16"}
    assert result.after["validation"] < result.before["validation"]


def dtypes(path: Path) -> set[str]:
    with safe_open(path, "pt") as file:
        return {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - no mapping


@pytest.mark.parametrize("model_type, precision", [("gpt2", "fp32"), ("qwen2", "bf16")])
def test_a_model_is_trained_whole_in_fp32(model_type: str, precision: Any, tmp_path: Path) -> None:
    """bf16 is what it computes in."""
    profile = tiny_profile(tmp_path / "base", model_type, model={"use_lora": False})
    model = loaded(profile, device=DEVICE._replace(precision=precision))
    result = trained(profile, tmp_path / "run", model=model)
    assert result.after["validation"] < result.before["validation"] - 0.05
    best = tmp_path / "run" / "best"
    assert dtypes(best / "model.safetensors") == {"F32"}
    again = AutoModelForCausalLM.from_pretrained(best).eval()
    close = 1e-4 if precision == "fp32" else 1e-2
    assert loss_of(again, packed(4, seed=7)) == pytest.approx(result.after["validation"], close)
    assert again.config.use_cache
    assert generates(again) == generates(model.model)
