"""What a round starts from: found, told when it is missing or changed, and adapted as the profile
says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from codelupe_daemon.errors import Fatal
from tests.trainer import tiny
from tests.trainer.finetune.train import DEVICE, loaded, tiny_profile, trained
from trainer.models import architecture_of
from trainer.models.base import all_linear
from trainer.models.load import DTYPES, base_of, config_of, load, tokenizer_of
from trainer.profile import Profile


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a network, on which the model `codelupe/tiny` was downloaded once."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--codelupe--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("0" * 40)
    tiny.save_model(model / "snapshots" / ("0" * 40))
    return tmp_path


def test_a_model_that_was_downloaded_is_found_by_its_name(hub: Path) -> None:
    profile = tiny.profile("codelupe/tiny")
    model = loaded(profile)
    assert model.base.model == "codelupe/tiny"
    assert model.base == base_of(profile, None)
    assert model.model.peft_config["default"].base_model_name_or_path == "codelupe/tiny"
    assert config_of(profile)["hidden_size"] == 32
    assert are_progress_bars_disabled()


@pytest.mark.parametrize(
    "ask", [loaded, lambda p: base_of(p, None), lambda p: tokenizer_of(p, None)]
)
def test_a_model_that_is_not_there_is_told_with_what_to_do(ask: Any, hub: Path) -> None:
    profile = tiny.profile("codelupe/missing")
    with pytest.raises(Fatal, match=r"codelupe/missing cannot be loaded: .*hf download.*HF_TOKEN"):
        ask(profile)


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"model\.name"):
        loaded(tiny.profile(tmp_path))
    with pytest.raises(Fatal, match="nowhere cannot be loaded: there is no such folder"):
        config_of(tiny.profile(tmp_path / "nowhere"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def with_config(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (lambda m: cut(m / "model.safetensors"), "Error while"),
    "gone": (lambda m: (m / "model.safetensors").unlink(), "no file named model.safetensors"),
    "a layer too few": (
        lambda m: with_config(m / "config.json", num_hidden_layers=3, layer_types=None),
        "12 of its weights are missing or of another size: model.layers.2",
    ),
    "another width": (
        lambda m: with_config(m / "config.json", intermediate_size=128),
        "6 of its weights are missing or of another size: model.layers.0.mlp",
    ),
    "another kind": (lambda m: with_config(m / "config.json", model_type="x"), "type `x`"),
    "no config": (lambda m: (m / "config.json").write_text("{"), "not a valid JSON"),
    "no tokenizer": (
        lambda m: [path.rename(m / path.stem[::-1]) for path in m.glob("tokenizer*")],
        "has no tokenizer",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_base_that_is_not_whole_is_told_and_never_filled_with_random_weights(
    what: str, tmp_path: Path
) -> None:
    profile = tiny_profile(tmp_path)
    damage, told = BROKEN[what]
    damage(tmp_path)
    with pytest.raises(Fatal, match=rf"the model .* cannot be loaded: .*{told}.*model\.name"):
        loaded(profile)


def test_a_base_without_weights_is_told_before_a_round_is_begun(tmp_path: Path) -> None:
    tiny.save_tokenizer(tmp_path)
    with pytest.raises(Fatal, match=r"has no weights - set model\.name"):
        base_of(tiny.profile(tmp_path), None)


def test_a_device_that_others_fill_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_pretrained(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    profile = tiny_profile(tmp_path)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    with pytest.raises(Fatal, match=r"too little free memory .*nvidia-smi"):
        loaded(profile)


def test_any_changed_tensor_changes_the_bases_digest(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path)
    before = base_of(profile, None).digest
    assert base_of(profile, None).digest == before
    weights = load_file(tmp_path / "model.safetensors")
    for name, value in weights.items():
        save_file(weights | {name: value + 0.01}, tmp_path / "model.safetensors", {"format": "pt"})
        assert base_of(profile, None).digest != before, name


def test_large_files_are_sampled_for_the_digest(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path)
    large = torch.zeros(3 << 20, dtype=torch.uint8)
    save_file({"large": large}, tmp_path / "model.safetensors")
    before = base_of(profile, None).digest
    save_file({"large": large + 1}, tmp_path / "model.safetensors")
    assert base_of(profile, None).digest != before


@pytest.mark.parametrize("model_type", tiny.MODEL_TYPES)
def test_every_linear_layer_but_the_head_is_adapted_and_named_in_order(
    model_type: str, tmp_path: Path
) -> None:
    profile = tiny_profile(tmp_path, model_type)
    named = loaded(profile).model.peft_config["default"].target_modules
    assert list(architecture_of(tiny.tiny(model_type)).lora_targets) == named == sorted(named)
    everything = tiny.profile(tmp_path, lora={"target_modules": "all-linear"})
    model = loaded(everything).model
    assert model.peft_config["default"].target_modules == named
    assert all_linear(model.get_base_model()) != named  # now it has adapters' layers as well
    assert not any("lm_head" in name for name, p in model.named_parameters() if p.requires_grad)


def test_an_unknown_architecture_gets_adapters_everywhere(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path, "granite")
    result = trained(profile, tmp_path / "run")
    assert result.after["validation"] < result.before["validation"]
    config = json.loads((tmp_path / "run" / "best" / "adapter_config.json").read_text())
    assert config["target_modules"] == [
        "down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"
    ]  # fmt: skip


def test_targets_of_the_profile_are_taken(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path, lora={"target_modules": ("v_proj", "q_proj")})
    assert loaded(profile).model.peft_config["default"].target_modules == ["q_proj", "v_proj"]


@pytest.mark.parametrize(
    "lora, told",
    [
        ({"rank": 2, "alpha": 8}, "has r 4, the profile 2"),
        ({"rank": 4, "alpha": 4}, "has lora_alpha 8, the profile 4"),
        ({"rank": 4, "alpha": 8, "target_modules": ("q_proj",)}, "has target_modules"),
    ],
)
def test_an_adapter_of_another_profile_is_refused(
    lora: dict[str, Any], told: str, tmp_path: Path
) -> None:
    profile = tiny_profile(tmp_path)
    loaded(profile).model.save_pretrained(tmp_path / "adapter")
    assert loaded(profile, adapter=tmp_path / "adapter").model.peft_config
    with pytest.raises(Fatal, match=rf"{told}.*start_from to base"):
        loaded(tiny.profile(tmp_path, lora=lora), adapter=tmp_path / "adapter")


def test_a_round_begins_with_the_adapter_it_is_given(tmp_path: Path) -> None:
    profile = tiny_profile(tmp_path / "base")
    first = trained(profile, tmp_path / "one")
    again = loaded(profile, adapter=tmp_path / "one" / "best")
    second = trained(profile, tmp_path / "two", model=again)
    assert second.before == pytest.approx(first.after, abs=1e-5)


@pytest.mark.parametrize(
    "shape, told",
    [({"max_position_embeddings": 63}, "takes 63 tokens: lower"), ({"vocab_size": 260}, "265")],
)
def test_a_model_that_is_too_small_for_the_profile_is_refused(
    shape: dict[str, int], told: str, tmp_path: Path
) -> None:
    with pytest.raises(Fatal, match=told):
        loaded(tiny_profile(tmp_path, shape=shape))


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("use_lora", [True, False], ids=["adapted", "whole"])
def test_what_is_frozen_has_the_cards_precision_and_what_is_trained_can_be(
    precision: Any, tmp_path: Path, *, use_lora: bool
) -> None:
    profile = tiny_profile(tmp_path, model={"use_lora": use_lora})
    model = loaded(profile, device=DEVICE._replace(precision=precision)).model
    frozen = {p.dtype for p in model.parameters() if not p.requires_grad}
    learned = {p.dtype for p in model.parameters() if p.requires_grad}
    assert frozen == ({DTYPES[precision]} if use_lora else set())
    bf16 = use_lora and precision == "bf16"
    assert learned == {torch.bfloat16 if bf16 else torch.float32}


def test_random_weights_are_those_of_the_seed(tmp_path: Path) -> None:
    def drawn(seed: int) -> Any:
        return load(scratch_profile(seed), DEVICE, adapter=None, scratch=tmp_path)

    tiny.save_tokenizer(tmp_path)
    one, same, other = drawn(1), drawn(1), drawn(2)
    weights = [m.model.lm_head.weight for m in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert one.base == same.base != other.base
    assert one.model.config.eos_token_id == one.tokenizer.eos_token_id


def scratch_profile(seed: int) -> Profile:
    config = {"model_type": "qwen2"} | tiny._MODERN
    return tiny.profile(
        "x", model={"from_scratch": True, "config": config}, training={"seed": seed}
    )


def test_a_from_scratch_profile_goes_on_with_the_weights_it_has(tmp_path: Path) -> None:
    tiny.save_model(tmp_path)
    model = load(scratch_profile(1), DEVICE, adapter=None, scratch=tmp_path)
    saved = load_file(tmp_path / "model.safetensors")["model.norm.weight"]
    assert torch.equal(model.model.get_base_model().model.norm.weight, saved)
    assert model.model.peft_config
    shutil.copytree(tmp_path, tmp_path / "active")
    whole = scratch_profile(1).model_copy(
        update={"model": scratch_profile(1).model.model_copy(update={"use_lora": False})}
    )
    again = load(whole, DEVICE, adapter=tmp_path / "active", scratch=tmp_path)
    assert all(p.requires_grad for p in again.model.parameters())
