"""Profiles: what comes along, what is read, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.errors import UsageError
from trainer.profile import DEFAULT_PROFILE, Profile, load_profile, shipped

TINY = '[model]\nname = "x"\n'


def written(folder: Path, text: str, name: str = "mine.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_these_come_along() -> None:
    assert shipped() == ("demo", "gpt2-medium", "phi-2", "qwen2.5-coder-14b", "starcoder2-3b")
    assert DEFAULT_PROFILE in shipped()


def test_the_default_is_the_one_of_the_big_card() -> None:
    one = load_profile(DEFAULT_PROFILE)
    assert one.name == "qwen2.5-coder-14b"
    assert one.model.name == "Qwen/Qwen2.5-Coder-14B-Instruct"
    assert (one.model.use_4bit, one.model.use_lora, one.model.max_length) == (True, True, 4096)
    assert (one.lora.rank, one.lora.alpha) == (256, 512)
    assert one.lora.target_modules == (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip
    assert (one.training.effective_batch, one.training.epochs, one.training.seed) == (16, 1, 42)
    assert (one.data.max_samples, one.data.min_quality) == (100_000, 70)
    assert (one.data.min_chars, one.data.max_chars, one.data.min_new_rows) == (50, 8000, 1000)
    assert one.data.system_prompt == "You are Qwen, an AI coding assistant"


@pytest.mark.parametrize(
    "name, model, is_4bit, is_lora",
    [
        ("starcoder2-3b", "bigcode/starcoder2-3b", True, True),
        ("phi-2", "microsoft/phi-2", True, True),
        ("gpt2-medium", "gpt2-medium", False, False),
    ],
)
def test_the_small_ones(name: str, model: str, is_4bit: bool, is_lora: bool) -> None:
    one = load_profile(name).model
    assert (one.name, one.use_4bit, one.use_lora) == (model, is_4bit, is_lora)


def test_starcoder2_has_the_values_of_its_table() -> None:
    one = load_profile("starcoder2-3b")
    assert (one.lora.rank, one.training.base_learning_rate, one.training.epochs) == (8, 1e-4, 6)


def test_the_demo_trains_everything_first_and_an_adapter_later() -> None:
    demo = load_profile("demo")
    first, later = demo.of_round(is_first=True), demo.of_round(is_first=False)
    assert (first.model.use_lora, later.model.use_lora) == (False, True)
    assert first.training.base_learning_rate == 3e-3
    assert first.training.target_tokens != later.training.target_tokens
    assert first.training.epochs is later.training.epochs is None
    assert first.data == later.data
    assert later is demo


def test_only_a_model_from_scratch_has_a_first_round_of_its_own() -> None:
    one = load_profile("phi-2")
    assert one.of_round(is_first=True) is one


def test_a_profile_is_read_from_what_it_wrote() -> None:
    for name in shipped():
        one = load_profile(name)
        assert Profile.model_validate(one.model_dump(mode="json")) == one


@pytest.mark.parametrize(
    "override, section, key, value",
    [
        ("training.base_learning_rate=2e-4", "training", "base_learning_rate", 2e-4),
        ("data.languages=['Rust', 'C++']", "data", "languages", ("Rust", "C++")),
        ("lora.target_modules=all-linear", "lora", "target_modules", "all-linear"),
        ("model.name=/models/a b", "model", "name", "/models/a b"),
        ("training.micro_batch=none", "training", "micro_batch", None),
        ("model.use_lora = true", "model", "use_lora", True),
    ],
)
def test_a_key_is_set_on_top(override: str, section: str, key: str, value: Any) -> None:
    assert getattr(getattr(load_profile("starcoder2-3b", [override]), section), key) == value


def test_a_share_inside_a_section_is_set_and_the_last_one_counts() -> None:
    shares = ["data.formats.fim=0.1", "data.formats.fim=0.2", "data.formats.plain=0.6"]
    assert load_profile("starcoder2-3b", shares).data.formats.fim == 0.2


@pytest.mark.parametrize(
    "override, words",
    [
        ("training.learning_rte=1", "no key training.learning_rte: did you mean 'base_learning_"),
        ("trainin.seed=1", "no section [trainin]: did you mean 'training'?"),
        ("data.formats.chatt=1", "no key data.formats.chatt: did you mean 'chat'?"),
        ("training.seed=-1", "training.seed is -1: it should be greater"),
        ("data.replay_share=0.5", "data.replay_share is 0.5: it should be less than or equal to"),
        ("data.replay_share=0.5", "(0 to 0.25)"),
        ("training.epochs=0", "(above 0)"),
        ("model_saving.keep_versions=1", "(at least 2)"),
        ("training.lr_schedule=cos", "it should be 'cosine', 'linear' or 'constant'"),
        ("lora.target_modules=linear", "a valid tuple or 'auto' or 'all-linear'"),
        ("data.licenses=MITT", "the nearest is MIT"),
        ("model.use_8bit=true", "model.use_4bit and model.use_8bit exclude each other"),
        ("model.use_lora=false", "quantised weights cannot be trained"),
        ("data.formats.chat=0.5", "data.formats add up to 1.5"),
        ("training.epochs=none", "give training.epochs or training.target_tokens"),
        ("training.target_tokens=9", "give training.epochs or training.target_tokens"),
        ("training.min_epochs=9", "training.min_epochs exceeds"),
        ("data.min_chars=9000", "data.min_chars exceeds"),
        ("model.max_length=99999", "model.max_length is 99999, and the model knows 16384"),
        ("training.distributed=fsdp", "fsdp knows no adamw_8bit: set training.optimizer to"),
        ("model.first_round={epochs=1}", "model.first_round is for model.from_scratch"),
        ("model.from_scratch=true", "model.from_scratch cannot be quantised"),
        ("name=x", "write --set section.key=value"),
        ("data", "write --set section.key=value"),
        ("model.name.x=1", "name is a key, and no section"),
        ("data.formats=1", "data.formats is a section"),
    ],
)
def test_what_is_wrong_is_named(override: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_profile("starcoder2-3b", [override])
    assert words in str(refused.value)


def test_fsdp_takes_no_8_bit_weights() -> None:
    fsdp = ["training.distributed=fsdp", "training.optimizer=adamw_fused"]
    assert load_profile("starcoder2-3b", fsdp).model.use_4bit
    with pytest.raises(UsageError, match="fsdp knows no 8-bit weights"):
        load_profile("starcoder2-3b", [*fsdp, "model.use_4bit=false", "model.use_8bit=true"])


@pytest.mark.parametrize(
    "value, words",
    [
        ("{base_learning_rate = -1}", "model.first_round.base_learning_rate is -1"),
        ("{learning_rate = 1.0}", "model.first_round.learning_rate is no key: did you mean"),
    ],
)
def test_the_first_round_is_checked_as_well(value: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_profile("demo", [f"model.first_round={value}"])
    assert words in str(refused.value)


def test_a_file_of_ones_own_is_named_by_itself(tmp_path: Path) -> None:
    one = load_profile(written(tmp_path, TINY))
    assert (one.name, one.model.name, one.training.effective_batch) == ("mine", "x", 16)


def test_a_token_target_takes_the_place_of_epochs(tmp_path: Path) -> None:
    one = load_profile(written(tmp_path, f"{TINY}[training]\ntarget_tokens = 1000\n"))
    assert (one.training.epochs, one.training.target_tokens) == (None, 1000)


@pytest.mark.parametrize(
    "text, name, words",
    [
        ("[model]", "mine.toml", "model.name is {}"),
        ("[model", "mine.toml", "cannot be read"),
        ("model: [", "mine.yaml", "cannot be read"),
        ("- 1", "mine.yaml", "holds no sections"),
        ('name = "x"\n[model]\nname = "x"', "mine.toml", "leave `name` out"),
        ("model: x", "mine.yml", "model is a section"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_profile(written(tmp_path, text, name))
    assert words in str(refused.value)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'starcoder2-3b'\?.*demo"):
        load_profile("starcoder-3b")
    with pytest.raises(UsageError, match="cannot be read"):
        load_profile("nowhere/mine.toml")


YAML = """
model:
  name: bigcode/starcoder2-3b
  use_4bit: true
  use_lora: true
lora:
  r: 8
  lora_alpha: 32
  lora_dropout: 0.05
  target_modules: [q_proj, v_proj]
training:
  base_learning_rate: 1e-4
  num_epochs: 6
  batch_size: 2
  gradient_accumulation_steps: 4
  warmup_ratio: 0.1
"""


def test_yaml_with_the_names_of_other_tools_is_read(tmp_path: Path) -> None:
    one = load_profile(written(tmp_path, YAML, "training_config.yaml"))
    assert (one.name, one.model.use_4bit) == ("training_config", True)
    assert (one.lora.rank, one.lora.alpha, one.lora.dropout) == (8, 32, 0.05)
    assert one.lora.target_modules == ("q_proj", "v_proj")
    assert (one.training.base_learning_rate, one.training.epochs) == (1e-4, 6)
    assert (one.training.micro_batch, one.training.effective_batch) == (2, 8)
    assert one.training.warmup_share == 0.1
