"""GPT-2."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("gpt2",),
    lora_targets=("c_attn", "c_fc", "c_proj"),
    is_transposed=True,
)
