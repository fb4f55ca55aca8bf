"""What architectures need, one a file, and how a model is loaded for training.

A new architecture is a new file with an `ARCHITECTURE` and its name in the list below; what has
none is trained as it comes, with adapters on all its linear layers.
"""

from __future__ import annotations

from typing import Any

from trainer.models import codegen, gpt2, gpt_bigcode, llama, phi, phi3, qwen2, starcoder2
from trainer.models.base import Architecture

ARCHITECTURES = {
    model_type: module.ARCHITECTURE
    for module in (qwen2, llama, gpt2, starcoder2, phi, phi3, gpt_bigcode, codegen)
    for model_type in module.ARCHITECTURE.model_types
}


def architecture_of(config: Any) -> Architecture:
    """What is known of a model by its config (of transformers)."""
    return ARCHITECTURES.get(config.model_type) or Architecture((config.model_type,))
