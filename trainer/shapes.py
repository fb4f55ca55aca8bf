"""What a model consists of, from its config.json alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from codelupe_daemon.errors import Fatal

Style = Literal["gated", "plain", "unfused"]
"""What a layer keeps for its backward pass: RMSNorm and a gated unit, as in Llama; LayerNorm and
GELU, as in StarCoder2; the same with a GELU made of many operations (`gelu_new`)."""
SHAPES_MAX = 32
"""So many are remembered: to build a large model takes 0.2 s."""


class Linear(NamedTuple):
    """A matrix of every layer, by its path inside the layer."""

    name: str
    inputs: int
    outputs: int

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs

    def ends_with(self, name: str) -> bool:
        return f".{self.name}".endswith(f".{name}")


class Shape(NamedTuple):
    """Counts are of parameters; `linears` are those of one layer, without biases."""

    layers: int
    hidden: int
    vocab: int
    linears: tuple[Linear, ...]
    embeddings: int
    """Of tokens and positions."""
    head: int
    """0 where it is the token embedding."""
    others: int
    """Norms and biases."""
    style: Style

    @property
    def width(self) -> int:
        """Of what flows through a layer: the hidden state, or all heads where they are wider."""
        return max(self.hidden, *(one.inputs for one in self.linears if one.inputs != self.ffn))

    @property
    def ffn(self) -> int:
        return max(one.inputs for one in self.linears)

    @property
    def linear_weights(self) -> int:
        return self.layers * sum(linear.weights for linear in self.linears)

    @property
    def parameters(self) -> int:
        return self.linear_weights + self.embeddings + self.head + self.others

    def targets(self, names: tuple[str, ...] | str) -> tuple[Linear, ...]:
        """What an adapter changes: as in PEFT, a name is the end of a module's path. `auto` and
        `all-linear` are all. Raises `Fatal` for a name that is none."""
        if isinstance(names, str):
            return self.linears
        for name in names:
            if not any(one.ends_with(name) for one in self.linears):
                there = ", ".join(sorted(one.name for one in self.linears))
                raise Fatal(f"lora.target_modules names {name}, and the model has {there}")
        return tuple(one for one in self.linears if any(map(one.ends_with, names)))

    def adapter_parameters(self, rank: int, names: tuple[str, ...] | str) -> int:
        """LoRA: rank x (inputs + outputs) for each matrix (Hu et al. 2021, section 4.1)."""
        return self.layers * sum(rank * (t.inputs + t.outputs) for t in self.targets(names))


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Counted on the model, built without memory on torch's meta device; once for each config.

    Raises `Fatal` where it is no causal language model that transformers can build.
    """
    return _counted(json.dumps(config, sort_keys=True, default=str))


@lru_cache(SHAPES_MAX)
def _counted(config: str) -> Shape:
    import torch

    kind, model = _built(json.loads(config))
    head, tokens = model.get_output_embeddings(), model.get_input_embeddings()
    tables = (one for one in model.modules() if isinstance(one, torch.nn.Embedding))
    embeddings = sum(one.weight.numel() for one in tables)
    linears, weights = [], 0
    for path, module in model.named_modules():
        weight = getattr(module, "weight", None)
        found = re.search(r"\.(\d+)\.(.+)$", path)
        if found and weight is not None and weight.dim() == 2:
            inputs, outputs = weight.shape if hasattr(module, "nf") else weight.shape[::-1]
            weights += weight.numel()
            linears += [Linear(found[2], inputs, outputs)] if found[1] == "0" else []
    head_weights = 0 if head.weight is tokens.weight else head.weight.numel()
    total = sum(one.numel() for one in model.parameters())
    return Shape(
        layers=kind.num_hidden_layers,
        hidden=kind.hidden_size,
        vocab=kind.vocab_size,
        linears=tuple(linears),
        embeddings=embeddings,
        head=head_weights,
        others=total - weights - embeddings - head_weights,
        style=_style(kind, model),
    )


def _built(config: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        kind = AutoConfig.for_model(**config)
        with torch.device("meta"):
            return kind, AutoModelForCausalLM.from_config(kind)
    except ValueError as error:
        raise Fatal(
            f"{config.get('model_type')} is no causal language model that transformers knows: "
            "set model.name to one, or install a newer transformers"
        ) from error


def _style(kind: Any, model: Any) -> Style:
    if any(type(one).__name__.endswith("RMSNorm") for one in model.modules()):
        return "gated"
    names = ("hidden_act", "activation_function")
    activation = next((getattr(kind, name) for name in names if hasattr(kind, name)), "gelu_new")
    return "unfused" if activation in {"gelu_new", "gelu_fast"} else "plain"
