"""GPT-2; its linear layers are transposed (Conv1D), which the loader tells PEFT."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("gpt2",),
    lora_targets=("c_attn", "c_fc", "c_proj"),
)
