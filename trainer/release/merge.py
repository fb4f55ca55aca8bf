"""An adapter and its base as one model, for whoever cannot load adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codelupe_daemon.errors import Fatal
from trainer.types import Base


def merge(adapter: Path, base: Base, tokenizer: Any, into: Path, *, is_code_trusted: bool) -> None:
    """Write the merged model, in the base's own precision, computed on the CPU.

    A merge into 4-bit weights would round the adapter away (logits drift by 0.9 to 4), so the base
    is loaded anew as it was published. Raises `Fatal` where that is itself quantised.
    """
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    source = {"revision": base.revision, "trust_remote_code": is_code_trusted}
    config = AutoConfig.from_pretrained(base.model, **source)
    if getattr(config, "quantization_config", None):
        raise Fatal(
            f"{base.model} is published quantised, and merging needs full precision: name the"
            " original in model.name, or set model_saving.merged to false"
        )
    model = AutoModelForCausalLM.from_pretrained(base.model, dtype="auto", **source)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True)
    merged.save_pretrained(into)
    tokenizer.save_pretrained(into)
