"""Fine-tuning: packed rows in, the best and the final adapter (or model) out."""

from trainer.finetune.recipe import finetune

__all__ = ["finetune"]
