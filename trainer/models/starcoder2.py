"""StarCoder2."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("starcoder2",),
    lora_targets=("c_fc", "c_proj", "k_proj", "o_proj", "q_proj", "v_proj"),
)
