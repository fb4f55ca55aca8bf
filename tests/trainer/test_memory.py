"""The memory plan: exact where it can be, pinned for the default profile, and true on a device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from codelupe_daemon.errors import Fatal, UsageError
from tests.trainer.live import Live
from tests.trainer.tiny import MODEL_TYPES, tiny
from trainer.devices import GB, Device, device, without_card
from trainer.errors import OutOfMemory
from trainer.memory import CARDS, LOGITS, Batches, card, check, pages, plan, table
from trainer.profile import DEFAULT_PROFILE, Profile, load_profile, shipped
from trainer.shapes import shape_of

pytestmark = pytest.mark.filterwarnings("ignore:.*requires_grad=True to a scalar:UserWarning")

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
DEFAULT = load_profile(DEFAULT_PROFILE)
CPU = without_card("cpu", 64 * GB, load_profile("demo"))


def on_meta(config: dict[str, Any]) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))


@pytest.mark.parametrize("name", shipped())
def test_parameters_of_the_shipped_models_are_counted_exactly(name: str) -> None:
    config = load_profile(name).model.config
    model = on_meta(config)
    assert shape_of(config).parameters == sum(one.numel() for one in model.parameters())


def test_the_default_model_has_the_size_that_its_card_says() -> None:
    shape = shape_of(DEFAULT.model.config)
    assert shape.parameters == 14_770_033_664
    assert shape.adapter_parameters(256, DEFAULT.lora.target_modules) == 1_101_004_800


STYLES = {"phi": "unfused", "gpt2": "unfused", "codegen": "unfused"} | {
    "gpt_bigcode": "plain", "starcoder2": "plain"
}  # fmt: skip


@pytest.mark.parametrize("model_type", [*MODEL_TYPES, "stablelm"])
def test_every_architecture_is_known_as_it_is_built(model_type: str) -> None:
    config = tiny(model_type).to_dict()
    shape = shape_of(config)
    assert shape.parameters == sum(one.numel() for one in on_meta(config).parameters())
    is_tied = config.get("tie_word_embeddings", True)
    assert (shape.layers, shape.hidden, shape.vocab, shape.head == 0) == (2, 32, 288, is_tied)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_a_layer_keeps_is_known_by_its_norms_and_its_gelu(model_type: str) -> None:
    assert shape_of(tiny(model_type).to_dict()).style == STYLES.get(model_type, "gated")


@pytest.mark.parametrize("model_type", ["t5", "nothing"])
def test_what_is_no_causal_language_model_is_refused(model_type: str) -> None:
    with pytest.raises(Fatal, match=f"{model_type} is no causal language model.*model.name"):
        shape_of({"model_type": model_type})


def test_a_target_that_is_no_layer_is_named_with_those_there_are() -> None:
    profile = load_profile(DEFAULT_PROFILE, ["lora.target_modules=['q_proj', 'c_fc']"])
    with pytest.raises(Fatal, match=r"names c_fc, and the model has mlp\.down_proj, .*v_proj"):
        plan(profile, CPU, profile.model.config)


@pytest.mark.parametrize("wanted", ["all-linear", "last"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_an_adapter_is_counted_as_peft_makes_it(model_type: str, wanted: str) -> None:
    from peft import LoraConfig, get_peft_model

    config = tiny(model_type).to_dict()
    shape = shape_of(config)
    names = (shape.linears[-1].name.rpartition(".")[2],) if wanted == "last" else wanted
    is_transposed = model_type == "gpt2"
    targets = names if isinstance(names, str) else list(names)
    how = LoraConfig(r=3, target_modules=targets, fan_in_fan_out=is_transposed)
    model = get_peft_model(on_meta(config), how)
    made = sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert shape.adapter_parameters(3, names) == made


def test_the_default_profile_fits_its_card(capsys: pytest.CaptureFixture[str]) -> None:
    """The corrected table of rank 256 at an effective batch of 16 x 4096 tokens on 32 GB."""
    on = card(32, DEFAULT)
    found = plan(DEFAULT, on, DEFAULT.model.config)
    with capsys.disabled():
        print(f"\n{table(DEFAULT, on)}")  # noqa: T201 - the table is what this test is for
    gib = {name: round(amount / GB, 2) for name, amount in found.items.items() if amount}
    assert gib == {
        "linear weights, NF4": 6.15,
        "quantisation constants": 0.2,
        "embeddings and head": 2.9,
        "adapter": 2.05,
        "gradients": 2.05,
        "optimizer states": 2.08,
        "CUDA context": 0.56,
        "checkpoints": 3.75,
        "one layer at work": 2.34,
    } | {"norms and biases": 0.0}
    assert (found.batches, found.fits, found.trained) == (Batches(2, 8), True, 1_101_004_800)
    assert found.total_bytes < 27 * GB


@pytest.mark.parametrize("name", [one for one in shipped() if load_profile(one).model.card_gb])
def test_each_profile_fits_the_card_it_is_made_for(name: str) -> None:
    profile = load_profile(name)
    assert profile.model.card_gb
    found = plan(profile, card(int(profile.model.card_gb), profile), profile.model.config)
    assert found.fits
    batch = found.batches.micro_batch * found.batches.accumulation
    assert batch == profile.training.effective_batch


def test_a_larger_card_takes_a_larger_micro_batch() -> None:
    sizes = [plan(DEFAULT, card(gb, DEFAULT), DEFAULT.model.config) for gb in (24, 32, 80)]
    assert [one.batches for one in sizes] == [Batches(1, 16), Batches(2, 8), Batches(16, 1)]
    assert [one.fits for one in sizes] == [True, True, True]


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    on = card(6, load_profile("starcoder2-3b"))
    found = plan(DEFAULT, on, DEFAULT.model.config)
    assert (found.fits, found.batches) == (False, Batches(1, 16))
    with pytest.raises(Fatal, match=r"needs .* GiB .*model\.max_length.*starcoder2-3b would fit"):
        check(found, DEFAULT, on)
    check(plan(load_profile("phi-2"), on, load_profile("phi-2").model.config), DEFAULT, on)


@pytest.mark.parametrize(
    "overrides, world_size, batches",
    [
        ([], 2, Batches(2, 4)),
        (["training.micro_batch=1"], 1, Batches(1, 16)),
        (["training.effective_batch=7"], 1, Batches(1, 7)),
    ],
)
def test_a_step_always_takes_the_effective_batch(
    overrides: list[str], world_size: int, batches: Batches
) -> None:
    profile = load_profile(DEFAULT_PROFILE, overrides)
    assert plan(profile, card(32, profile), profile.model.config, world_size).batches == batches


@pytest.mark.parametrize("micro, world_size", [("3", 1), ("none", 3), ("16", 2)])
def test_a_batch_that_cannot_be_divided_is_refused(micro: str, world_size: int) -> None:
    profile = load_profile(DEFAULT_PROFILE, [f"training.micro_batch={micro}"])
    with pytest.raises(UsageError, match=r"training\.effective_batch is 16"):
        plan(profile, card(32, profile), profile.model.config, world_size)


def test_several_gpus_share_what_their_kind_of_training_shares() -> None:
    def items(kind: str, *overrides: str) -> dict[str, int]:
        changes = ["training.optimizer=adamw_fused", f"training.distributed={kind}", *overrides]
        profile = load_profile(DEFAULT_PROFILE, changes)
        return plan(profile, card(80, profile), profile.model.config, 2).items

    ddp, zero, fsdp = items("ddp"), items("deepspeed"), items("fsdp")
    assert ddp["DDP buckets"] == ddp["gradients"]
    assert (zero["gradients"], zero["adapter"]) == (ddp["gradients"] // 2, ddp["adapter"])
    assert fsdp["adapter"] == ddp["adapter"] // 2
    quantised, table = "linear weights, NF4", "embeddings and head"
    assert (fsdp[quantised], fsdp[table]) == (ddp[quantised], ddp[table] // 2)
    whole = items("fsdp", "model.use_4bit=false")
    linears, layers = (
        2 * whole["linear weights, 16 bits"],
        DEFAULT.model.config["num_hidden_layers"],
    )
    trained = ddp["adapter"] + ddp["gradients"]
    assert whole["made whole"] == ddp[table] + 2 * (linears + trained) // layers


def test_the_tables_of_the_page_are_those_of_the_planner() -> None:
    page = PAGE.read_text("utf-8")
    assert [part for part in pages().split("\n\n") if part not in page] == []


def test_the_loss_holds_as_many_logits_as_planned() -> None:
    from trainer.finetune.loss import LOGITS_MAX

    assert LOGITS == LOGITS_MAX


def test_the_cards_of_the_page_are_there_for_every_profile() -> None:
    wanted = {load_profile(name).model.card_gb for name in shipped()} - {None}
    assert wanted <= CARDS.keys()


# -- planned against measured -------------------------------------------------------------------


@pytest.fixture
def optimizers_forget() -> Iterator[None]:
    """bitsandbytes remembers for the whole process which parameters' states are in 32 bits."""
    from bitsandbytes.optim import GlobalOptimManager

    GlobalOptimManager.get_instance().initialize()
    yield
    GlobalOptimManager.get_instance().initialize()


@pytest.mark.usefixtures("optimizers_forget")
@pytest.mark.parametrize(
    "model_type, how, optimizer",
    [
        ("qwen2", {"use_4bit": True}, "adamw_8bit"),
        ("gpt2", {"use_4bit": True}, "adamw_fused"),
        ("starcoder2", {"use_8bit": True}, "adamw_8bit"),
        ("phi", {"use_lora": False}, "adamw_8bit"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
@pytest.mark.timeout(180)
def test_three_steps_take_what_was_planned(
    model_type: str, how: dict[str, bool], optimizer: str
) -> None:
    from trainer.measure import measure

    wide = {"n_embd": 128} if model_type == "gpt2" else {"hidden_size": 128}
    profile = tiny_profile(model_type, how, wide, optimizer)
    on: Device = device("cpu", profile)
    for part, found in measure(profile, on).items():
        assert found["planned"] == pytest.approx(found["measured"], rel=0.05, abs=16), part


def test_what_does_not_fit_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer import measure

    with pytest.raises(Fatal, match=r"needs .* GiB also with a micro-batch of 1"):
        measure.measure(DEFAULT, CPU._replace(memory_bytes=GB))

    def runs_out(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measure, "_model", runs_out)
    with pytest.raises(OutOfMemory, match=r"cpu has less memory free than the .* GiB that were"):
        measure.measure(tiny_profile("qwen2", {}, {}, "adamw_fused"), CPU)


def tiny_profile(
    model_type: str, how: dict[str, bool], changes: dict[str, int], optimizer: str
) -> Profile:
    config = tiny(model_type, **changes).to_dict()
    model = {"name": "tiny", "max_length": 64, "config": config} | how
    training = {"effective_batch": 2, "optimizer": optimizer}
    lora = {"rank": 64, "alpha": 8}
    return Profile.model_validate({
        "name": "tiny", "model": model, "lora": lora, "training": training,
    })  # fmt: skip


FLOWING = ("checkpoints", "activations", "one layer at work", "chunked loss, beyond that")


@pytest.mark.parametrize(
    "model_type, checkpointing", [("qwen2", "full"), ("qwen2", "none"), ("gpt2", "full")]
)
def test_activations_are_those_of_a_step(model_type: str, checkpointing: str) -> None:
    from trainer.finetune.loss import losses_of
    from trainer.measure import _model, _Rows

    is_gpt = model_type == "gpt2"
    wide = {"n_embd": 256} if is_gpt else {"hidden_size": 256, "intermediate_size": 704}
    profile = tiny_profile(model_type, {}, wide, "adamw_fused")
    training = profile.training.model_copy(update={"gradient_checkpointing": checkpointing})
    model_section = profile.model.model_copy(update={"max_length": 128, "precision": "bf16"})
    profile = profile.model_copy(update={"training": training, "model": model_section})
    on = device("cpu", profile)
    planned = plan(profile, on, profile.model.config)

    model = _model(profile, on, profile.model.config).train()
    if checkpointing == "full":
        model.activation_checkpointing_enable({"use_reentrant": False})
    rows = _Rows(profile, profile.model.config["vocab_size"])
    batch = {key: torch.stack([rows[0][key], rows[1][key]]) for key in rows[0]}
    with losses_of(model, is_chunked=True):
        peaks = [peak_of_step(model, batch) for _ in range(2)]  # the second finds its gradients
    assert planned.batches == Batches(2, 1)
    flowing = sum(planned.items.get(name, 0) for name in FLOWING)
    assert flowing == pytest.approx(peaks[1], rel=0.1)


def peak_of_step(model: Any, batch: dict[str, torch.Tensor]) -> int:
    there = [one for p in model.parameters() for one in (p, p.grad) if one is not None]
    live = Live(there)
    with live:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch, num_items_in_batch=100).loss
        loss.backward()
    return live.peak
