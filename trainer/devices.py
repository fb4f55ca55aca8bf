"""Which device trains, in which precision, and how fast its matrix products can be."""

from __future__ import annotations

import importlib
import os
import re
from typing import Literal, NamedTuple

from codelupe_daemon.errors import Fatal, UsageError
from trainer.profile import Profile, load_profile, shipped

GB = 1 << 30
AMPERE = (8, 0)
"""From this compute capability on a card has bf16, TF32 and Flash Attention 2."""

Precision = Literal["bf16", "fp16", "fp32"]
Attention = Literal["flash_attention_2", "sdpa"]


class Device(NamedTuple):
    """What trains. `precision` is that of the computation; `fp16` needs its loss scaled.

    `capability`: of a CUDA card; `peak_flops`: of its dense matrix products in that precision, a
    second, None where it is not known.
    """

    kind: Literal["cuda", "cpu", "mps"]
    name: str
    memory_bytes: int
    capability: tuple[int, int] | None
    precision: Precision
    attention: Attention
    peak_flops: float | None


# Dense bf16 and fp16 tensor FLOP/s with fp32 accumulation, no sparsity. Source: NVIDIA's data
# sheets of the H200, H100, A100, A30, A40, A10, L4, L40, L40S, T4 and V100, and for GeForce cards
# the appendices of NVIDIA's architecture white papers (Blackwell, Ada, Ampere, Turing).
_PEAK_FLOPS = {
    "H200": 989.4e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "A30": 165e12,
    "A40": 149.7e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "V100": 125e12,
    "T4": 65e12,
    "RTX 5090": 209.5e12,
    "RTX 5080": 112.6e12,
    "RTX 5070 Ti": 87.9e12,
    "RTX 4090": 165.2e12,
    "RTX 4080": 97.5e12,
    "RTX 3090": 71e12,
    "RTX 3080": 59.5e12,
    "RTX 2080 Ti": 53.8e12,
    "RTX 2060": 25.8e12,
}


def device(kind: str | None, profile: Profile) -> Device:
    """The device that trains; `kind` None takes the best there is.

    Raises `UsageError` for a kind that does not exist and `Fatal` for one that is not here, or
    where only a CPU is left to a profile that is made for a card.
    """
    import torch

    if kind not in {None, "cuda", "mps", "cpu"}:
        raise UsageError(f"--device is {kind!r}: it may be cuda, mps or cpu")
    if kind in {None, "cuda"} and torch.cuda.is_available():
        index, cards = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if index >= cards:
            raise Fatal(
                f"there is no GPU for process {index + 1} of this machine: start as many as it has"
                f" (torchrun --nproc-per-node {cards})"
            )
        card = torch.cuda.get_device_properties(index)
        can_flash = _imports("flash_attn")
        capability = (card.major, card.minor)
        return of_card(card.name, card.total_memory, capability, profile, can_flash=can_flash)
    if kind in {None, "mps"} and torch.backends.mps.is_available():
        memory_bytes = torch.mps.recommended_max_memory()
        return without_card("mps", memory_bytes, profile)
    here = without_card("cpu", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), profile)
    if kind in {"cuda", "mps"}:
        raise Fatal(f"there is no {kind} device here: {what_fits(here)}")
    if kind is None and profile.model.card_gb is not None:
        raise Fatal(
            f"the profile {profile.name} is made for a GPU of {profile.model.card_gb:g} GB, and"
            f" there is none here: {what_fits(here)}, or give --device cpu to try it all the same"
        )
    return here


def of_card(
    name: str,
    memory_bytes: int,
    capability: tuple[int, int],
    profile: Profile,
    *,
    can_flash: bool,
) -> Device:
    """How a CUDA card trains a profile. Raises `Fatal` for what the profile asks and it lacks."""
    is_ampere = capability >= AMPERE
    precision: Precision = "bf16" if is_ampere else "fp16"
    if profile.model.precision != "auto":
        precision = profile.model.precision
    if precision == "bf16" and not is_ampere:
        raise Fatal(
            f"{name} has no bf16 (Ampere and newer have): set model.precision to auto or fp16"
        )
    can_flash = can_flash and is_ampere and precision != "fp32"
    attention: Attention = "flash_attention_2" if can_flash else "sdpa"
    if profile.model.attention == "flash_attention_2" and not can_flash:
        raise Fatal(
            f"Flash Attention 2 does not run on {name} here: it needs the package flash-attn, a"
            " card from Ampere on and bf16 or fp16; set model.attention to auto or sdpa"
        )
    if profile.model.attention != "auto":
        attention = profile.model.attention
    peak = peak_flops(name) if precision != "fp32" else None
    return Device("cuda", name, memory_bytes, capability, precision, attention, peak)


def without_card(kind: Literal["cpu", "mps"], memory_bytes: int, profile: Profile) -> Device:
    """fp32 unless the profile says bf16. Raises `Fatal` for what only a card can do."""
    model = profile.model
    if model.precision == "fp16" or model.attention == "flash_attention_2":
        what = "fp16" if model.precision == "fp16" else "Flash Attention 2"
        raise Fatal(f"{what} needs a CUDA device: set model.precision and model.attention to auto")
    precision: Precision = "bf16" if model.precision == "bf16" else "fp32"
    return Device(kind, kind, memory_bytes, None, precision, "sdpa", None)


def trained_precision(profile: Profile, on: Device) -> Literal["bf16", "fp32"]:
    """How trained weights lie. Scaled fp16 gradients need fp32 weights; a whole model's steps are
    too small for bf16, unless the profile says otherwise."""
    wanted = profile.training.trained_precision
    if on.precision != "bf16" or wanted == "fp32":
        return "fp32"
    return "bf16" if wanted == "bf16" or profile.model.use_lora else "fp32"


def peak_flops(name: str) -> float | None:
    """Of a card by the name that CUDA gives it; None for laptops and others not in the table."""
    for card, flops in _PEAK_FLOPS.items():
        if re.search(rf"\b{card}\b(?!.* (?:Ti|SUPER|Laptop|Max-Q)\b)", name):
            return flops
    return None


def what_fits(on: Device) -> str:
    """The shipped profiles for such a device, in words."""
    cards = {name: load_profile(name).model.card_gb for name in shipped()}
    memory_gb = on.memory_bytes / GB + 1 if on.kind == "cuda" else 0  # the driver keeps some of it
    fitting = sorted(name for name, gb in cards.items() if (gb or 0) <= memory_gb)
    return f"of the profiles that come along {' and '.join(fitting)} would fit {on.name}"


def _imports(package: str) -> bool:
    """Whether it can be imported; a build for another CUDA is there and cannot."""
    try:
        importlib.import_module(package)
    except (ImportError, OSError):
        return False
    return True
