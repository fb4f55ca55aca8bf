"""Phi-1, Phi-1.5 and Phi-2."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("phi",),
    lora_targets=("dense", "fc1", "fc2", "k_proj", "q_proj", "v_proj"),
)
