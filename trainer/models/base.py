"""What an architecture needs that its config does not say; one file each beside this one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

OWN_LOSS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")
"""Settings by which a model changes its logits after the head; the chunked loss knows none."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """`model_types`: as in config.json. `lora_targets`: the last names of the linear layers that
    get an adapter, sorted; empty for all but the head.
    """

    model_types: tuple[str, ...]
    lora_targets: tuple[str, ...] = ()
    has_sdpa: bool = True
    """Else its attention is computed by plain products."""
    is_transposed: bool = False
    """Its linear layers keep their weights the other way round (Conv1D)."""

    def targets(self, model: Any, wanted: tuple[str, ...] | str) -> list[str]:
        """The layers to adapt, for a profile's `lora.target_modules`: sorted, so that the same
        profile always writes the same adapter_config.json."""
        if not isinstance(wanted, str):
            return sorted(wanted)
        if wanted == "auto" and self.lora_targets:
            return sorted(self.lora_targets)
        return all_linear(model)


def needs_own_loss(config: Any) -> bool:
    """Whether the logits are more than the head's output, so that the model's own loss is used."""
    return any(getattr(config, name, None) not in {None, 1} for name in OWN_LOSS)


def linear_layers(model: Any) -> Iterator[tuple[str, Any, int]]:
    """Every matrix product with weights: name, layer, and how many weights it has (which a
    quantised layer's tensor does not tell)."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    for name, layer in model.named_modules():
        if isinstance(layer, Linear):
            yield name, layer, layer.in_features * layer.out_features
        elif isinstance(layer, Conv1D):
            yield name, layer, layer.weight.numel()


def all_linear(model: Any) -> list[str]:
    head = model.get_output_embeddings()
    layers = (name for name, layer, _ in linear_layers(model) if layer is not head)
    return sorted({name.rpartition(".")[2] for name in layers})
