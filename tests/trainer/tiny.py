"""Models of the real architectures, small enough to train in a second, and their tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.profile import Profile

MODEL_TYPES = (
    "codegen", "gpt2", "gpt_bigcode", "llama", "phi", "phi3", "qwen2", "qwen3", "starcoder2",
)  # fmt: skip
CONTROL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
)  # fmt: skip
VOCAB_SIZE = 288
"""256 bytes, the control tokens, and some entries that no token has, as real models have."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>"
    "{% endgeneration %}\n{% else %}{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_MODERN = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
_SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": _GPT,
    "gpt_bigcode": _GPT,
    "codegen": _GPT | {"n_ctx": 256, "rotary_dim": 4},
    "qwen3": _MODERN | {"head_dim": 8},
    "phi3": _MODERN | {"original_max_position_embeddings": 256},
}


def tiny(model_type: str, **changes: Any) -> Any:
    """The config of a model with two layers of width 32 and no dropout; `changes` come on top."""
    from transformers import AutoConfig

    quiet = (
        {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0} if "gpt" in model_type else {}
    )
    ends = {"bos_token_id": 256, "eos_token_id": 256, "pad_token_id": 256}
    shape = _SHAPES.get(model_type, _MODERN) | quiet | ends
    return AutoConfig.for_model(model_type, **(shape | {"vocab_size": VOCAB_SIZE} | changes))


def tokenizer() -> Any:
    """Byte-level, a token a byte, with Qwen's control tokens (the first has the id 256)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {byte: id_ for id_, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(token, special=True) for token in CONTROL_TOKENS])
    ends = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|fim_pad|>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=CHAT_TEMPLATE, **ends)


def save_tokenizer(folder: Path) -> Path:
    tokenizer().save_pretrained(folder)
    return folder


def save_model(folder: Path, model_type: str = "qwen2", *, seed: int = 0, **changes: Any) -> Path:
    """A folder as the hub gives one: random weights, config and tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(tiny(model_type, **changes))
    model.save_pretrained(folder)
    return save_tokenizer(folder)


def profile(model: Path | str, /, **sections: dict[str, Any]) -> Profile:
    """A profile that trains in a second: rows of 64 tokens, 4 a step, fp32, LoRA of rank 4.
    `sections` are laid over it, key by key."""
    values: dict[str, dict[str, Any]] = {
        "model": {"name": str(model), "max_length": 64, "precision": "fp32", "attention": "sdpa"},
        "lora": {"rank": 4, "alpha": 8},
        "training": {
            "base_learning_rate": 1e-2, "effective_batch": 4, "optimizer": "adamw_fused",
            "gradient_checkpointing": "none", "warmup_share": 0.0, "seed": 3,
        },
        "evaluation": {"validation_rows_max": 4},
    }  # fmt: skip
    merged = {
        name: values.get(name, {}) | sections.get(name, {}) for name in {**values, **sections}
    }
    return Profile.model_validate({"name": "tiny"} | merged)
