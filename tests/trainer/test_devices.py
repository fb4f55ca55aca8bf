"""Devices: what a card can, and what is said where it is not there."""

from __future__ import annotations

import pytest
import torch

from codelupe_daemon.errors import Fatal, UsageError
from trainer.devices import (
    GB,
    Device,
    device,
    of_card,
    peak_flops,
    trained_precision,
    what_fits,
    without_card,
)
from trainer.profile import load_profile

STARCODER = load_profile("starcoder2-3b")
without_a_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


def turing(*overrides: str, can_flash: bool = True) -> Device:
    profile = load_profile("starcoder2-3b", overrides)
    return of_card("NVIDIA GeForce RTX 2060", 6 * GB, (7, 5), profile, can_flash=can_flash)


def ampere(*overrides: str, can_flash: bool = True) -> Device:
    profile = load_profile("starcoder2-3b", overrides)
    return of_card("NVIDIA GeForce RTX 3090", 24 * GB, (8, 6), profile, can_flash=can_flash)


def test_from_ampere_on_it_is_bf16_and_flash_attention() -> None:
    assert ampere()[4:] == ("bf16", "flash_attention_2", 71e12)
    assert ampere(can_flash=False).attention == "sdpa"


def test_before_ampere_it_is_scaled_fp16_and_sdpa() -> None:
    assert turing()[4:] == ("fp16", "sdpa", 25.8e12)


def test_a_profile_may_choose_otherwise() -> None:
    assert ampere("model.precision=fp16").precision == "fp16"
    assert ampere("model.attention=sdpa").attention == "sdpa"
    fp32 = ampere("model.precision=fp32")
    assert (fp32.precision, fp32.attention, fp32.peak_flops) == ("fp32", "sdpa", None)


def test_what_a_card_lacks_is_refused() -> None:
    with pytest.raises(Fatal, match=r"has no bf16 .* set model\.precision to auto or fp16"):
        turing("model.precision=bf16")
    with pytest.raises(Fatal, match=r"Flash Attention 2 does not run .* set model\.attention"):
        turing("model.attention=flash_attention_2")


def test_without_a_card_it_is_fp32_or_bf16_if_wanted() -> None:
    assert without_card("cpu", GB, STARCODER) == Device(
        "cpu", "cpu", GB, None, "fp32", "sdpa", None
    )
    wanted = load_profile("demo", ["model.precision=bf16"])
    assert without_card("mps", GB, wanted).precision == "bf16"
    for override in ("model.precision=fp16", "model.attention=flash_attention_2"):
        with pytest.raises(Fatal, match=r"needs a CUDA device: set model\.precision"):
            without_card("cpu", GB, load_profile("demo", [override]))


@pytest.mark.parametrize(
    "name, flops",
    [
        ("NVIDIA GeForce RTX 5090", 209.5e12),
        ("NVIDIA GeForce RTX 5070 Ti", 87.9e12),
        ("NVIDIA GeForce RTX 3090 Ti", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA GeForce RTX 2060 SUPER", None),
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989.4e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10", 125e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("Tesla T4", 65e12),
        ("NVIDIA A10G", None),
    ],
)
def test_the_peak_is_that_of_this_very_card(name: str, flops: float | None) -> None:
    assert peak_flops(name) == flops


@pytest.mark.parametrize(
    "name, on, overrides, precision",
    [
        ("starcoder2-3b", ampere(), [], "bf16"),
        ("starcoder2-3b", turing(), [], "fp32"),
        ("starcoder2-3b", ampere(), ["training.trained_precision=fp32"], "fp32"),
        ("gpt2-medium", ampere(), [], "bf16"),
        ("gpt2-medium", ampere(), ["training.trained_precision=auto"], "fp32"),
        ("gpt2-medium", turing(), [], "fp32"),
    ],
    ids=lambda value: value.name if isinstance(value, Device) else None,
)
def test_adapters_lie_in_bf16_and_whole_models_in_fp32(
    name: str, on: Device, overrides: list[str], precision: str
) -> None:
    assert trained_precision(load_profile(name, overrides), on) == precision


def test_what_would_fit_is_named() -> None:
    assert "demo would fit cpu" in what_fits(without_card("cpu", 64 * GB, STARCODER))
    for fits in ("demo", "gpt2-medium", "phi-2", "starcoder2-3b"):
        assert fits in what_fits(turing())
    assert "qwen" not in what_fits(turing())
    assert "qwen2.5-coder-14b" in what_fits(ampere()._replace(memory_bytes=int(31.8 * GB)))


@without_a_gpu
def test_a_card_that_is_not_there_is_refused_with_what_would_fit() -> None:
    with pytest.raises(Fatal, match=r"there is no cuda device here: .* demo would fit cpu"):
        device("cuda", STARCODER)
    with pytest.raises(Fatal, match=r"made for a GPU of 6 GB.* demo would fit cpu.*--device cpu"):
        device(None, STARCODER)


def test_more_processes_than_cards_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(Fatal, match=r"no GPU for process 3 .* --nproc-per-node 2"):
        device("cuda", STARCODER)


@without_a_gpu
def test_a_cpu_is_taken_where_it_does_or_is_asked_for() -> None:
    assert device("cpu", STARCODER).kind == "cpu"
    assert device("cpu", STARCODER).memory_bytes > GB // 2


def test_another_kind_is_a_wrong_command() -> None:
    with pytest.raises(UsageError, match="cuda, mps or cpu"):
        device("tpu", STARCODER)
