"""GPTBigCode: StarCoder and SantaCoder."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("gpt_bigcode",),
    lora_targets=("c_attn", "c_fc", "c_proj"),
)
