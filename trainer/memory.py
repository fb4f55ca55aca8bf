"""What a profile needs in a card's memory, item by item, before anything is loaded."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from codelupe_daemon.errors import Fatal, UsageError
from trainer.devices import GB, Device, of_card, trained_precision, what_fits
from trainer.profile import Profile, load_profile, shipped
from trainer.shapes import Shape, Style, shape_of

MARGIN = 1 / 8
"""Of the card stays free: for the allocator's fragments, and for a desktop."""
CONTEXT_BYTES, CONTEXT_SHARE = GB // 4, 0.01
"""CUDA's context and kernels, beside what torch allocates; they grow with the card."""
LOGITS = 1 << 26
"""So many logits the chunked loss holds at once; equal to the loss' own, which a test holds."""
LOGIT_BYTES = 12
"""Of a logit at the loss' peak: in half precision and fp32, its softmax, and the gradient."""
BLOCK_8BIT, MIN_8BIT = 256, 4096
"""bitsandbytes' 8-bit Adam: weights with one fp32 scale; smaller tensors keep fp32 states."""

CONTEXT = "CUDA context"
BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}


class Batches(NamedTuple):
    """Rows a forward pass, and passes an optimizer step, on each GPU."""

    micro_batch: int
    accumulation: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """`items`: bytes by name. `fits`: with the margin."""

    items: dict[str, int]
    card_bytes: int
    batches: Batches
    trained: int
    """Parameters that are trained."""

    @property
    def total_bytes(self) -> int:
        return sum(self.items.values())

    @property
    def fits(self) -> bool:
        return self.total_bytes <= self.card_bytes * (1 - MARGIN)

    def as_json(self) -> dict[str, Any]:
        totals = {"total_bytes": self.total_bytes, "card_bytes": self.card_bytes, "fits": self.fits}
        items = {name: amount for name, amount in self.items.items() if amount}
        return (
            self.batches._asdict() | totals | {"trained_parameters": self.trained, "items": items}
        )


class _Costs(NamedTuple):
    """Bytes a token in 16-bit precision, as multiples of (width, feed-forward width). Counted
    tensor by tensor over a step of these layers; `trainer.measure` counts again."""

    kept: tuple[float, float]
    """By a layer that is not checkpointed, for its backward pass."""
    at_work: tuple[float, float]
    """By one layer in its backward pass, all in all."""
    between: float
    """By the backward pass, over what is kept, where nothing is checkpointed."""


_COSTS: dict[Style, _Costs] = {
    "gated": _Costs((21, 8), (25, 12.5), 22),
    "plain": _Costs((15, 6), (20, 10), 16),
    "unfused": _Costs((20, 10), (33, 11.75), 16),
}
_ADAPTER_BYTES = 3
"""A token, a rank and an adapted matrix."""


def plan(
    profile: Profile, device: Device, config: Mapping[str, Any], world_size: int = 1
) -> MemoryPlan:
    """The largest micro-batch with which the effective batch fits, or 1 where none does.

    `config`: the model's config.json. Raises `UsageError` where the effective batch cannot be
    divided among the GPUs and the wanted micro-batch.
    """
    shape = shape_of(config)
    fixed = _fixed(profile, device, shape, world_size)
    plans = [
        MemoryPlan(
            fixed | _flowing(profile, device, shape, batches),
            device.memory_bytes,
            batches,
            _trained(profile, shape),
        )
        for batches in _choices(profile, world_size)
    ]
    return next((one for one in plans if one.fits), plans[-1])


def check(found: MemoryPlan, profile: Profile, device: Device) -> None:
    """Raises `Fatal` where the plan does not fit, with what would."""
    if not found.fits:
        raise Fatal(
            f"the profile {profile.name} needs {found.total_bytes / GB:.1f} GiB also with a"
            f" micro-batch of {found.batches.micro_batch}, and of the"
            f" {found.card_bytes / GB:.1f} GiB of {device.name} an eighth stays free: lower"
            f" model.max_length or lora.rank, or set model.use_4bit; {what_fits(device)}"
        )


def _choices(profile: Profile, world_size: int) -> Iterator[Batches]:
    """Largest first; a step always takes the effective batch."""
    rows, remainder = divmod(profile.training.effective_batch, world_size)
    wanted = profile.training.micro_batch
    sizes = [size for size in range(rows, 0, -1) if rows % size == 0]
    if remainder or (wanted and wanted not in sizes):
        raise UsageError(
            f"training.effective_batch is {profile.training.effective_batch}: that cannot be"
            f" divided by {world_size} processes x training.micro_batch {wanted or 1}"
        )
    return (Batches(size, rows // size) for size in ([wanted] if wanted else sizes))


# -- what lies there all the time ---------------------------------------------------------------


def _fixed(profile: Profile, device: Device, shape: Shape, world_size: int) -> dict[str, int]:
    model, training = profile.model, profile.training
    compute, held = BYTES[device.precision], BYTES[trained_precision(profile, device)]
    trained = _trained(profile, shape)
    weight = compute if model.use_lora else held
    items = _weights(profile, shape, weight)
    if model.use_lora:
        items["adapter"] = trained * held
    elif held > compute:
        items["16-bit copies"] = (shape.linear_weights + (shape.head or _tokens(shape))) * compute
    items["gradients"] = trained * held
    items["optimizer states"] = _optimizer_bytes(profile, device, shape, held)
    if world_size > 1:
        items = _SHARED[training.distributed](items, shape.layers, world_size)
    if device.kind == "cuda":
        items[CONTEXT] = CONTEXT_BYTES + int(CONTEXT_SHARE * device.memory_bytes)
    return items


def _ddp(items: dict[str, int], _layers: int, _world_size: int) -> dict[str, int]:
    return items | {"DDP buckets": items["gradients"]}


def _zero_2(items: dict[str, int], _layers: int, world_size: int) -> dict[str, int]:
    return items | {n: items[n] // world_size for n in ("gradients", "optimizer states")}


def _fsdp(items: dict[str, int], layers: int, world_size: int) -> dict[str, int]:
    """FSDP 2: what is not quantised is shared. For its turn a layer is made whole, while the next
    one is fetched, and embeddings and head stay so; gradients are whole until they are added up."""
    shared = {n: size for n, size in items.items() if n not in _QUANTISED}
    embeddings = shared["embeddings and head"]
    weights = sum(shared[n] for n in shared if n.startswith(("linear", "adapter")))
    whole = embeddings + 2 * (weights + items["gradients"]) // layers
    return items | {n: size // world_size for n, size in shared.items()} | {"made whole": whole}


_SHARED = {"ddp": _ddp, "deepspeed": _zero_2, "fsdp": _fsdp}
_QUANTISED = {"linear weights, NF4", "linear weights, int8", "quantisation constants"}


def _weights(profile: Profile, shape: Shape, weight_bytes: int) -> dict[str, int]:
    """NF4 takes half a byte, with a scale of one byte for 64 weights, and one of four for 256 of
    those (Dettmers et al. 2023, section 3); LLM.int8 a byte, with a scale of four a row."""
    rest = {
        "embeddings and head": (shape.embeddings + shape.head) * weight_bytes,
        "norms and biases": shape.others * weight_bytes,
    }
    if profile.model.use_4bit:
        scales = sum(
            _ceil(one.weights, 64) + 4 * _ceil(one.weights, 64 * 256) for one in shape.linears
        )
        return {
            "linear weights, NF4": shape.linear_weights // 2,
            "quantisation constants": shape.layers * scales,
        } | rest
    if profile.model.use_8bit:
        return {
            "linear weights, int8": shape.linear_weights,
            "quantisation constants": shape.layers * sum(4 * one.outputs for one in shape.linears),
        } | rest
    return {f"linear weights, {8 * weight_bytes} bits": shape.linear_weights * weight_bytes} | rest


def _trained(profile: Profile, shape: Shape) -> int:
    if profile.model.use_lora:
        return shape.adapter_parameters(profile.lora.rank, profile.lora.target_modules)
    return shape.parameters


def _optimizer_bytes(profile: Profile, device: Device, shape: Shape, held: int) -> int:
    """Two moments; in 8 bits a byte each, but for embeddings (Trainer's choice) and small tensors,
    which keep them in fp32."""
    if profile.training.optimizer == "adamw_fused" or device.kind == "mps":
        return 2 * held * _trained(profile, shape)
    if profile.model.use_lora:
        rank = profile.lora.rank
        targets = shape.targets(profile.lora.target_modules)
        sizes = [size for one in targets for size in (rank * one.inputs, rank * one.outputs)]
        return shape.layers * sum(map(_moments_8bit, sizes))
    layers = shape.layers * sum(_moments_8bit(one.weights) for one in shape.linears)
    return layers + _moments_8bit(shape.head) + 8 * (shape.embeddings + shape.others)


def _moments_8bit(size: int) -> int:
    return 2 * (size + 4 * _ceil(size, BLOCK_8BIT)) if size >= MIN_8BIT else 8 * size


# -- what comes and goes with a batch -----------------------------------------------------------


def _flowing(profile: Profile, device: Device, shape: Shape, batches: Batches) -> dict[str, int]:
    tokens = batches.micro_batch * profile.model.max_length
    costs, compute = _COSTS[shape.style], BYTES[device.precision]
    is_wide = not profile.model.use_lora and trained_precision(profile, device) == "fp32"
    stream = 4 if is_wide else compute
    adapters = 0
    if profile.model.use_lora:
        targets = shape.targets(profile.lora.target_modules)
        adapters = _ADAPTER_BYTES * profile.lora.rank * len(targets)

    def bytes_of(cost: tuple[float, float]) -> int:
        multiples = cost[0] * shape.width + cost[1] * shape.ffn
        return int(tokens * (multiples + adapters) * compute / 2)

    checkpointing = profile.training.gradient_checkpointing
    checkpointed = {"full": shape.layers, "selective": _ceil(shape.layers, 2), "none": 0}
    free = shape.layers - checkpointed[checkpointing]
    kept = checkpointed[checkpointing] * tokens * shape.hidden * stream + free * bytes_of(
        costs.kept
    )
    at_work = bytes_of(costs.at_work if free < shape.layers else (costs.between, 0))
    logits = min(tokens * shape.vocab, LOGITS) * LOGIT_BYTES + 3 * tokens * shape.hidden * stream
    return {
        "checkpoints" if not free else "activations": kept,
        "one layer at work": at_work,
        "chunked loss, beyond that": max(0, logits - at_work),
    }


def _tokens(shape: Shape) -> int:
    return shape.vocab * shape.hidden


def _ceil(number: int, by: int) -> int:
    return math.ceil(number / by)


# -- for people ---------------------------------------------------------------------------------

CARDS = {
    4: ("RTX 3050 Laptop GPU", (8, 6), 3.81),
    6: ("RTX 2060", (7, 5), 5.78),
    8: ("RTX 4060", (8, 9), 7.75),
    12: ("RTX 3060", (8, 6), 11.75),
    16: ("RTX 4080", (8, 9), 15.7),
    24: ("RTX 4090", (8, 9), 23.6),
    32: ("RTX 5090", (12, 0), 31.35),
    80: ("H100", (9, 0), 79.2),
}
"""By nominal GB: a card of that size, and how many GiB of it CUDA gives."""


def card(size_gb: int, profile: Profile) -> Device:
    name, capability, memory_gib = CARDS[size_gb]
    return of_card(name, int(memory_gib * GB), capability, profile, can_flash=False)


def table(profile: Profile, device: Device) -> str:
    """The plan as Markdown."""
    found = plan(profile, device, profile.model.config)
    size, times = found.batches
    rows = [f"{name} | {amount / GB:.2f}" for name, amount in found.items.items() if amount]
    head = f"{profile.name} on {device.name}, {size} x {times} rows of {profile.model.max_length}"
    total = f"**all** | **{found.total_bytes / GB:.2f}**"
    return "\n".join(f"| {row} |" for row in (f"{head} | GiB", "--- | ---:", *rows, total))


def overview() -> str:
    """What each profile needs on each card, as Markdown: micro-batch x accumulation, GiB."""
    heads = [f"{size} GB" for size in CARDS]
    lines = [" | ".join(["profile", *heads]), " | ".join(["---"] * (len(heads) + 1))]
    lines += (" | ".join([f"`{name}`", *_fits(load_profile(name))]) for name in shipped())
    return "\n".join(f"| {line} |" for line in lines)


def _fits(profile: Profile) -> Iterator[str]:
    for size in CARDS:
        found = plan(profile, card(size, profile), profile.model.config)
        batches, total_gib = found.batches, found.total_bytes / GB
        how = f"{batches.micro_batch} x {batches.accumulation}"
        yield f"{how}: {total_gib:.1f}" if found.fits else f"no: {total_gib:.1f}"


def pages() -> str:
    """The tables of docs/models.md."""
    profiles = [load_profile(name) for name in shipped()]
    made_for = [(one, int(one.model.card_gb)) for one in profiles if one.model.card_gb]
    return "\n\n".join([overview(), *(table(one, card(size, one)) for one, size in made_for)])


if __name__ == "__main__":
    sys.stdout.write(f"{pages()}\n")
