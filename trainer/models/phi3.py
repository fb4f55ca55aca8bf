"""Phi-3 and Phi-4; query, key and value are one layer, as are gate and up."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("phi3",),
    lora_targets=("down_proj", "gate_up_proj", "o_proj", "qkv_proj"),
)
