"""Three real steps of a profile on its device, with random weights: planned against measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
)

from trainer.devices import GB, Device, trained_precision
from trainer.errors import OutOfMemory
from trainer.finetune.loss import causal_of, losses_of

# The very arguments and adapter of a round: what is measured is what will run.
from trainer.finetune.recipe import _arguments
from trainer.memory import CONTEXT, MemoryPlan, check, plan
from trainer.models import architecture_of
from trainer.models.base import linear_layers, needs_own_loss
from trainer.models.load import DTYPES, _adapted, _attention, _cast_adapter, config_of
from trainer.profile import Profile

STEPS = 3
PARTS = {
    "weights": ("linear weights", "quantisation", "embeddings", "norms"),
    "adapter": ("adapter",),
    "gradients": ("gradients",),
    "optimizer states": ("optimizer",),
}
"""What can be measured by itself, and how the names of the plan's items for it begin."""


def measure(profile: Profile, device: Device) -> dict[str, dict[str, int]]:
    """`{planned, measured}` bytes by part; on a GPU also of its `peak`, by torch's allocator, which
    does not see CUDA's own context. Raises `Fatal` where the plan does not fit, and `OutOfMemory`
    where it does and the steps do not."""
    config = config_of(profile)
    planned = plan(profile, device, config)
    check(planned, profile, device)
    try:
        return _measured(profile, device, config, planned)
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"{device.name} has less memory free than the {planned.total_bytes / GB:.1f} GiB that"
            " were planned: end what else uses it (nvidia-smi shows that), or lower"
            " training.micro_batch"
        ) from error


def _measured(
    profile: Profile, device: Device, config: Mapping[str, Any], planned: MemoryPlan
) -> dict[str, dict[str, int]]:
    model = _model(profile, device, config)
    watch = _Watch()
    if device.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with (
        TemporaryDirectory() as folder,
        losses_of(model, is_chunked=not needs_own_loss(causal_of(model).config)),
    ):
        arguments = _arguments(profile, device, Path(folder), planned.batches)
        arguments.max_steps = STEPS
        rows = _Rows(profile, config["vocab_size"])
        trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[watch])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    measured = _weights(model, profile) | watch.found
    report = {
        part: {
            "planned": sum(n for name, n in planned.items.items() if name.startswith(names)),
            "measured": measured[part],
        }
        for part, names in PARTS.items()
    }
    if device.kind == "cuda":
        allocated = planned.total_bytes - planned.items[CONTEXT]
        report["peak"] = {"planned": allocated, "measured": torch.cuda.max_memory_allocated()}
    return report


class _Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Looks at gradients and the optimizer's states while they are there."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
        grads = (p.grad for p in model.parameters() if p.grad is not None)
        self.found["gradients"] = _bytes_of(grads)

    def on_optimizer_step(self, *_: Any, optimizer: Any, **__: Any) -> None:
        inner = getattr(optimizer, "optimizer", optimizer)
        states = (one for state in inner.state.values() for one in state.values())
        self.found["optimizer states"] = _bytes_of(s for s in states if isinstance(s, Tensor))


class _Rows(Dataset[dict[str, Tensor]]):
    """Full rows of random tokens: two documents each, all supervised."""

    def __init__(self, profile: Profile, vocab_size: int) -> None:
        self.length, self.vocab_size = profile.model.max_length, vocab_size
        self.rows = STEPS * profile.training.effective_batch

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids = torch.randint(0, self.vocab_size, (self.length,))
        half = torch.arange(self.length) % (self.length // 2)
        return {"input_ids": ids, "labels": ids, "position_ids": half}


def _model(profile: Profile, device: Device, config: Mapping[str, Any]) -> Any:
    """What `models.load` gives, with random weights: each is made on the device and quantised
    there, so that the whole model is never in memory in full precision."""
    kind = AutoConfig.for_model(**config)
    precision = device.precision if profile.model.use_lora else trained_precision(profile, device)
    dtype = DTYPES[precision]
    how = {"attn_implementation": _attention(kind, device), "dtype": dtype}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(kind, **how)
    if profile.model.use_4bit or profile.model.use_8bit:
        _quantise(model, profile, device, dtype)
    for module in model.modules():
        if not getattr(module, "_is_hf_initialized", False):
            module.to_empty(device=device.kind, recurse=False)
    model.initialize_weights()
    model.tie_weights()
    if profile.model.use_lora:
        model = _adapted(model, profile, architecture_of(kind), None)
        _cast_adapter(model, DTYPES[trained_precision(profile, device)])
    return model


def _quantise(model: Any, profile: Profile, device: Device, dtype: torch.dtype) -> None:
    from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit

    is_4bit, head = profile.model.use_4bit, model.get_output_embeddings()
    for name, layer, _ in [one for one in linear_layers(model) if one[1] is not head]:
        inputs, outputs = layer.weight.shape if hasattr(layer, "nf") else layer.weight.shape[::-1]
        with torch.device("meta"):
            sizes = (inputs, outputs, layer.bias is not None)
            new = (
                Linear4bit(*sizes, compute_dtype=dtype, compress_statistics=True, quant_type="nf4")
                if is_4bit
                else Linear8bitLt(*sizes, has_fp16_weights=False, threshold=6.0)
            )
        weights = torch.randn(outputs, inputs, dtype=dtype, device=device.kind) / inputs**0.5
        new.weight = (
            Params4bit(weights, requires_grad=False, compress_statistics=True, quant_type="nf4")
            if is_4bit
            else Int8Params(weights.cpu(), requires_grad=False, has_fp16_weights=False)
        ).to(device.kind)
        if layer.bias is not None:
            new.bias = torch.nn.Parameter(torch.zeros(outputs, dtype=dtype, device=device.kind))
        for one in (new, new.weight):  # transformers' word for: leave it as it is
            one._is_hf_initialized = True  # noqa: SLF001 - that is its name
        model.set_submodule(name, new)
    setattr(model, "is_loaded_in_4bit" if is_4bit else "is_loaded_in_8bit", True)
    model.quantization_method = "bitsandbytes"


def _weights(model: Any, profile: Profile) -> dict[str, int]:
    trained = [p for p in model.parameters() if p.requires_grad]
    frozen = [p for p in model.parameters() if not p.requires_grad]
    if not profile.model.use_lora:
        return {"weights": _bytes_of(trained), "adapter": 0}
    scales = (scale for layer in model.modules() for scale in _scales(layer))
    return {"weights": _bytes_of([*frozen, *scales]), "adapter": _bytes_of(trained)}


def _scales(layer: Any) -> Iterator[Tensor]:
    """What bitsandbytes keeps beside a quantised weight."""
    weight = getattr(layer, "weight", None)
    for state in (getattr(weight, "quant_state", None), weight, getattr(layer, "state", None)):
        inner = getattr(state, "state2", None)
        found = (getattr(one, name, None) for one in (state, inner) for name in ("absmax", "SCB"))
        yield from (one for one in found if isinstance(one, Tensor))


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    """Of their storages, each once: tied weights are one."""
    sizes = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return sum(sizes.values())
