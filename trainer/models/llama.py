"""Llama, and what is built like it: CodeLlama, DeepSeek-Coder, Mistral."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("llama", "mistral"),
    lora_targets=("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"),
)
