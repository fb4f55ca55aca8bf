"""Qwen2.5(-Coder) and Qwen3."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("qwen2", "qwen3"),
    lora_targets=("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"),
)
