"""CodeGen; it has no attention of torch's, and packs correctly with its own."""

from trainer.models.base import Architecture

ARCHITECTURE = Architecture(
    model_types=("codegen",),
    lora_targets=("fc_in", "fc_out", "out_proj", "qkv_proj"),
    has_sdpa=False,
)
