"""What a model consists of, from its config.json alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Style = Literal["gated", "plain", "unfused"]
"""What a layer keeps for its backward pass: RMSNorm and a gated unit, as in Llama; LayerNorm and
GELU, as in StarCoder2; the same with a GELU made of many operations (`gelu_new`)."""


class Linear(NamedTuple):
    """A matrix of every layer, by its path inside the layer."""

    name: str
    inputs: int
    outputs: int

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs


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
        `all-linear` are all."""
        if isinstance(names, str):
            return self.linears
        ends = {f".{name}" for name in names}
        return tuple(one for one in self.linears if any(f".{one.name}".endswith(e) for e in ends))

    def adapter_parameters(self, rank: int, names: tuple[str, ...] | str) -> int:
        """LoRA: rank x (inputs + outputs) for each matrix (Hu et al. 2021, section 4.1)."""
        return self.layers * sum(rank * (t.inputs + t.outputs) for t in self.targets(names))


def shape_of(config: Mapping[str, Any]) -> Shape:
    """By the tables below; an architecture that they lack is built without weights (slow)."""
    family = _FAMILIES.get(str(config.get("model_type")))
    return _from_table(family, _Config(config)) if family else shape_of_model(config)


class _Config:
    """A config.json under one set of names, with the defaults of transformers."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.hidden: int = self.first("hidden_size", "n_embd")
        self.layers: int = self.first("num_hidden_layers", "n_layer")
        self.heads: int = self.first("num_attention_heads", "n_head")
        is_shared = values.get("model_type") == "gpt_bigcode" and values.get("multi_query", True)
        self.kv_heads: int = 1 if is_shared else values.get("num_key_value_heads") or self.heads
        ffn = values.get("intermediate_size") or values.get("n_inner")
        head_dim = values.get("head_dim") or self.hidden // self.heads
        self.widths = {
            "h": self.hidden,
            "q": self.heads * head_dim,
            "k": self.kv_heads * head_dim,
            "f": ffn or 4 * self.hidden,
            "d": head_dim,
        }

    def first(self, *names: str) -> Any:
        return next(self.values[name] for name in names if self.values.get(name) is not None)

    def width(self, letters: str) -> int:
        return sum(self.widths[letter] for letter in letters)


class _Family(NamedTuple):
    """`linears`: path, inputs, outputs as sums of widths (`qkk` = q + 2k), and the config's key
    that gives it a bias (`yes`: always)."""

    linears: tuple[tuple[str, str, str, str], ...]
    layer_norms: str
    """Widths of a layer's norm vectors."""
    last_norm: str
    is_tied: bool = False
    has_positions: bool = False
    has_head_bias: bool = False
    has_rms_norm: bool = True


def _attention(first: str, last: str, out: str = "o_proj") -> tuple[tuple[str, str, str, str], ...]:
    return (
        ("self_attn.q_proj", "h", "q", first),
        ("self_attn.k_proj", "h", "k", first),
        ("self_attn.v_proj", "h", "k", first),
        (f"self_attn.{out}", "q", "h", last),
    )


def _gated(bias: str) -> tuple[tuple[str, str, str, str], ...]:
    return (
        ("mlp.gate_proj", "h", "f", bias),
        ("mlp.up_proj", "h", "f", bias),
        ("mlp.down_proj", "f", "h", bias),
    )


def _plain(up: str, down: str, bias: str) -> tuple[tuple[str, str, str, str], ...]:
    return ((f"mlp.{up}", "h", "f", bias), (f"mlp.{down}", "f", "h", bias))


_GPT = (
    ("attn.c_attn", "h", "qkk", "yes"),
    ("attn.c_proj", "q", "h", "yes"),
    *_plain("c_fc", "c_proj", "yes"),
)
_PHI3 = (
    ("self_attn.qkv_proj", "h", "qkk", ""),
    ("self_attn.o_proj", "q", "h", ""),
    ("mlp.gate_up_proj", "h", "ff", ""),
    ("mlp.down_proj", "f", "h", ""),
)
_CODEGEN = (
    ("attn.qkv_proj", "h", "qkk", ""),
    ("attn.out_proj", "q", "h", ""),
    *_plain("fc_in", "fc_out", "yes"),
)
# A LayerNorm has two vectors, a weight and a bias; an RMSNorm has one.
_FAMILIES = {
    "qwen2": _Family((*_attention("yes", ""), *_gated("")), "hh", "h"),
    "qwen3": _Family(
        (*_attention("attention_bias", "attention_bias"), *_gated("")), "hhdd", "h"
    ),
    "llama": _Family(
        (*_attention("attention_bias", "attention_bias"), *_gated("mlp_bias")), "hh", "h"
    ),
    "mistral": _Family((*_attention("", ""), *_gated("")), "hh", "h"),
    "phi3": _Family(_PHI3, "hh", "h"),
    "starcoder2": _Family(
        (*_attention("use_bias", "use_bias"), *_plain("c_fc", "c_proj", "use_bias")),
        "hhhh", "hh", is_tied=True, has_rms_norm=False,
    ),
    "phi": _Family(
        (*_attention("yes", "yes", "dense"), *_plain("fc1", "fc2", "yes")),
        "hh", "hh", has_head_bias=True, has_rms_norm=False,
    ),
    "gpt2": _Family(_GPT, "hhhh", "hh", is_tied=True, has_positions=True, has_rms_norm=False),
    "gpt_bigcode": _Family(
        _GPT, "hhhh", "hh", is_tied=True, has_positions=True, has_rms_norm=False
    ),
    "codegen": _Family(_CODEGEN, "hh", "hh", has_head_bias=True, has_rms_norm=False),
}  # fmt: skip


def _from_table(family: _Family, config: _Config) -> Shape:
    values = config.values
    vocab = int(values["vocab_size"])
    is_tied = values.get("tie_word_embeddings", family.is_tied)
    positions = (
        config.first("n_positions", "max_position_embeddings") if family.has_positions else 0
    )
    linears = tuple(
        Linear(name, config.width(inputs), config.width(outputs))
        for name, inputs, outputs, _ in family.linears
    )
    biases = sum(
        config.width(outputs)
        for *_, outputs, key in family.linears
        if key == "yes" or (key and values.get(key, key == "use_bias"))
    )
    a_layer = config.width(family.layer_norms) + biases
    head_bias = vocab if family.has_head_bias else 0
    return Shape(
        layers=config.layers,
        hidden=config.hidden,
        vocab=vocab,
        linears=linears,
        embeddings=(vocab + positions) * config.hidden,
        head=0 if is_tied else vocab * config.hidden,
        others=config.layers * a_layer + config.width(family.last_norm) + head_bias,
        style=_style(values, has_rms_norm=family.has_rms_norm),
    )


def _style(values: Mapping[str, Any], *, has_rms_norm: bool) -> Style:
    if has_rms_norm:
        return "gated"
    names = ("hidden_act", "activation_function")
    activation = next((values[name] for name in names if name in values), "gelu_new")
    return "unfused" if activation in {"gelu_new", "gelu_fast"} else "plain"


def shape_of_model(config: Mapping[str, Any]) -> Shape:
    """The same, counted on the model built on torch's meta device: no memory, any architecture."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = AutoConfig.for_model(**config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(kind)
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
        style=_style(
            kind.to_dict(),
            has_rms_norm=any(type(one).__name__.endswith("RMSNorm") for one in model.modules()),
        ),
    )
