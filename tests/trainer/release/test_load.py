"""Versions load unchanged in peft and transformers: adapters, merged ones and whole models."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from codelupe_daemon.errors import Fatal
from tests.trainer import tiny
from tests.trainer.release.rounds import BASE, files, manifest, published
from trainer.models.digest import digest_of
from trainer.profile import Profile
from trainer.release import active_adapter, check_base, next_version
from trainer.types import Base

# peft asks transformers 5 by a name that goes in 6.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is:FutureWarning")
ARCHITECTURES = ("gpt2", "qwen2", "starcoder2")


class Made(NamedTuple):
    """A base as the hub has it, an adapter as training leaves it, and what they answer."""

    base: Path
    left: Path
    logits: Any


@pytest.fixture(scope="module", params=ARCHITECTURES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return _made(request.param, tmp_path_factory.mktemp(request.param))


@cache
def _made(model_type: str, folder: Path) -> Made:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = tiny.save_model(folder / "base", model_type)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base),
            # Its second matrix is random as well, as after training; fan_in_fan_out of GPT-2.
            LoraConfig(
                r=4, target_modules="all-linear", init_lora_weights=False,
                fan_in_fan_out=model_type == "gpt2", task_type="CAUSAL_LM",
            ),
        )  # fmt: skip
    model.save_pretrained(folder / "best")
    return Made(base, folder / "best", logits(model))


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(torch.arange(24)[None]).logits


def profile(made: Made, **model_saving: bool) -> Profile:
    return tiny.profile(made.base, model_saving=model_saving)


def base_of(made: Made) -> Any:
    return BASE._replace(model=str(made.base), revision=None)


def test_an_adapter(made: Made, models_dir: Path) -> None:
    import torch
    from peft import AutoPeftModelForCausalLM, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    of = manifest(base=base_of(made))
    version = published(
        models_dir, made.left, of=of, profile=profile(made), tokenizer=tiny.tokenizer()
    )
    folder = active_adapter(models_dir, version)
    base = AutoModelForCausalLM.from_pretrained(made.base)
    assert not torch.allclose(logits(base), made.logits, atol=1e-2)
    for model in (
        PeftModel.from_pretrained(base, folder),
        AutoModelForCausalLM.from_pretrained(folder),
        AutoPeftModelForCausalLM.from_pretrained(folder),
    ):
        torch.testing.assert_close(logits(model), made.logits, atol=1e-6, rtol=0)
    text = "def area(w):\n    return w * w\n"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer(text)["input_ids"] == tiny.tokenizer()(text)["input_ids"]
    assert tokenizer.chat_template == tiny.CHAT_TEMPLATE


def test_a_merged_version(made: Made, models_dir: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    of = manifest(base=base_of(made))
    version = published(
        models_dir, made.left, of=of, profile=profile(made, merged=True), tokenizer=tiny.tokenizer()
    )
    merged = active_adapter(models_dir, version) / "merged"
    model = AutoModelForCausalLM.from_pretrained(merged)
    assert not hasattr(model, "peft_config")
    assert "adapter_config.json" not in files(merged)
    torch.testing.assert_close(logits(model), made.logits, atol=1e-5, rtol=0)
    assert len(AutoTokenizer.from_pretrained(merged)) == len(tiny.tokenizer())
    hashes = json.loads((merged.parent / "hashes.json").read_bytes())
    assert {"merged/model.safetensors", "merged/config.json"} <= hashes.keys()
    generated = model.generate(torch.arange(8)[None], max_new_tokens=4, do_sample=False)
    assert generated.shape == (1, 12)


def test_a_merged_version_has_the_precision_of_its_base(models_dir: Path, tmp_path: Path) -> None:
    """It is loaded anew as it was published, and not as the profile quantised it to train."""
    import torch
    from transformers import AutoModelForCausalLM

    made = _made("qwen2", tmp_path)
    AutoModelForCausalLM.from_pretrained(made.base).bfloat16().save_pretrained(made.base)
    whole = profile(made, merged=True)
    in_4_bit = whole.model_copy(update={"model": whole.model.model_copy(update={"use_4bit": True})})
    published(
        models_dir, made.left, of=manifest(base=base_of(made)), profile=in_4_bit,
        tokenizer=tiny.tokenizer(),
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(models_dir / "tiny/v0001/merged", dtype="auto")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(logits(model).float(), made.logits, atol=0.05, rtol=0)


def test_a_base_that_is_published_quantised(models_dir: Path, tmp_path: Path) -> None:
    made = _made("qwen2", tmp_path)
    config = json.loads((made.base / "config.json").read_bytes())
    quantised = config | {"quantization_config": {"quant_method": "bitsandbytes"}}
    (made.base / "config.json").write_text(json.dumps(quantised))
    with pytest.raises(Fatal, match=r"full precision: name the original in model\.name"):
        published(
            models_dir, made.left, of=manifest(base=base_of(made)),
            profile=profile(made, merged=True), tokenizer=tiny.tokenizer(),
        )  # fmt: skip
    assert files(models_dir) == {}


def test_a_whole_model(models_dir: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    left = tiny.save_model(tmp_path / "best", "qwen2")
    (left / "optimizer.pt").write_bytes(b"")
    tokenizer = AutoTokenizer.from_pretrained(left)
    version = published(models_dir, left, of=manifest(), tokenizer=tokenizer)
    folder = active_adapter(models_dir, version)
    assert "optimizer.pt" not in files(folder)
    assert "library_name: transformers" in (folder / "README.md").read_text()
    model = AutoModelForCausalLM.from_pretrained(folder)
    before = AutoModelForCausalLM.from_pretrained(left)
    torch.testing.assert_close(logits(model), logits(before))
    assert len(AutoTokenizer.from_pretrained(folder)) == len(tokenizer)
    # The next round may train an adapter for it, and then it is the base.
    check_base(models_dir, version, BASE._replace(model=str(folder), digest="f" * 64))
    assert next_version(models_dir, "tiny", [version.version]) == "v0002"


def test_an_adapter_for_a_version_of_ours(models_dir: Path, tmp_path: Path) -> None:
    """A profile trained from scratch: its later versions are adapters for the first, which loaders
    find by its folder, for the profile's name is known nowhere."""
    import torch
    from transformers import AutoModelForCausalLM

    made = _made("qwen2", tmp_path)
    whole = tiny.profile(made.base, model_saving={"merged": True})
    changes = {"from_scratch": True, "name": "ours"}
    scratch = whole.model_copy(update={"model": whole.model.model_copy(update=changes)})
    unborn = manifest("s1", Base("ours", None, "drawn"))
    first = published(models_dir, made.base, of=unborn, profile=scratch)
    weights = digest_of(Path(first.path))
    settings = scratch.model_dump(mode="json")
    of = replace(manifest("s2", Base("ours", None, weights, "v0001")), settings=settings)
    second = published(
        models_dir, made.left, "v0002", parent=first, tokenizer=tiny.tokenizer(), of=of,
        profile=scratch,
    )  # fmt: skip
    folder = active_adapter(models_dir, second)
    for place in (folder, folder / "merged"):
        loaded = AutoModelForCausalLM.from_pretrained(place)
        torch.testing.assert_close(logits(loaded), made.logits, atol=1e-5, rtol=0)
    assert second.base_model == "ours"
    assert "A LoRA adapter for v0001 of ours (weights" in (folder / "README.md").read_text()
    assert not (models_dir / "tiny/v0001/merged").exists()
