"""From a profile to a model that can be trained: quantised, with its adapter, on its device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from huggingface_hub import snapshot_download
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    set_seed,
)
from transformers.utils import logging

from codelupe_daemon.errors import Fatal
from trainer.devices import Device, trained_precision
from trainer.models import architecture_of
from trainer.models.base import Architecture
from trainer.models.digest import WEIGHTS, digest_of, digest_of_seed
from trainer.profile import Profile
from trainer.types import Base

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Loaded(NamedTuple):
    """A model in training, on `device`; a `PeftModel` where it has an adapter."""

    model: Any
    tokenizer: Any
    architecture: Architecture
    base: Base
    device: Device


def load(profile: Profile, device: Device, *, adapter: Path | None, scratch: Path | None) -> Loaded:
    """Load what a round goes on from.

    `adapter`: the active version's folder, with an adapter or a whole model; None begins anew.
    `scratch`: of a `from_scratch` profile, a folder with its tokenizer, and after the first round
    with its first weights; without weights they are drawn from the seed, and trained whole.
    Raises `Fatal` where the model cannot be had, or the adapter is not of this profile.
    """
    _quiet()
    set_seed(profile.training.seed)
    folder = _folder(profile, adapter, scratch)
    tokenizer = tokenizer_of(profile, scratch)
    if _is_unborn(profile, scratch):
        model = _drawn(profile, device, tokenizer)
    else:
        model = _or_fatal(profile, partial(_pretrained, profile, device, folder))
    _check_sizes(model, tokenizer, profile)
    architecture = architecture_of(model.config)
    if profile.model.use_lora and not _is_unborn(profile, scratch):
        model = _adapted(model, profile, architecture, adapter)
        _cast_adapter(model, DTYPES[trained_precision(profile, device)])
    base = base_of(profile, scratch)
    return Loaded(model, tokenizer, architecture, base, device)


def base_of(profile: Profile, scratch: Path | None) -> Base:
    """What a round starts from, by its files, without loading them. Raises `Fatal`."""
    name, revision = profile.model.name, profile.model.revision
    if _is_unborn(profile, scratch):
        return Base(name, revision, digest_of_seed(profile.model.config, profile.training.seed))
    ask = partial(_with_weights, _folder(profile, None, scratch), revision)
    folder = _or_fatal(profile, ask)
    return Base(name, revision, digest_of(Path(folder)))


def tokenizer_of(profile: Profile, scratch: Path | None) -> Any:
    """As `load` gives it, without the model. Raises `Fatal`."""
    _quiet()
    return _or_fatal(profile, partial(_tokenizer, profile, _folder(profile, None, scratch)))


def config_of(profile: Profile) -> Mapping[str, Any]:
    """The model's config.json: the profile's own where it has one. Raises `Fatal`."""
    if profile.model.config:
        return profile.model.config
    folder = _folder(profile, None, None)
    ask = partial(AutoConfig.from_pretrained, folder, **_hub(profile))
    return cast("Mapping[str, Any]", _or_fatal(profile, ask).to_dict())


def _tokenizer(profile: Profile, folder: str) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder, **_hub(profile))
    if not tokenizer("a = 1").input_ids:  # without its files some are made empty
        raise FileNotFoundError(f"{folder} has no tokenizer")
    return tokenizer


def _with_weights(name: str, revision: str | None) -> str:
    """The folder of a model with its weights; those of the hub are fetched if not there."""
    rest = ["*/*", "consolidated*"]  # other forms of the same weights
    for weights in WEIGHTS:
        wanted = [weights, "*.json"]
        folder = name
        if not Path(name).is_dir():
            folder = snapshot_download(
                name, revision=revision, allow_patterns=wanted, ignore_patterns=rest
            )
        if any(Path(folder).glob(weights)):
            return folder
    raise FileNotFoundError(f"{name} has no weights")


def _folder(profile: Profile, adapter: Path | None, scratch: Path | None) -> str:
    """Where the weights are: a folder, or a name on the hub."""
    if adapter and not (adapter / "adapter_config.json").is_file():
        return str(adapter)
    if profile.model.from_scratch:
        assert scratch, "a from_scratch profile has a folder for its tokenizer"
        return str(scratch)
    return str(Path(profile.model.name).expanduser())


def _is_unborn(profile: Profile, scratch: Path | None) -> bool:
    return profile.model.from_scratch and not (scratch and (scratch / "config.json").is_file())


def _hub(profile: Profile) -> dict[str, Any]:
    return {
        "revision": profile.model.revision or "main",
        "trust_remote_code": profile.model.trust_remote_code,
    }


def _or_fatal(profile: Profile, ask: partial[Any]) -> Any:
    """What transformers says of a model that is not there is long, and of many kinds."""
    try:
        return ask()
    except torch.OutOfMemoryError as error:
        raise Fatal(
            f"the device has too little free memory to load {profile.model.name}: end what else "
            "uses it (nvidia-smi shows that), and start again"
        ) from error
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        first = str(error).strip().partition("\n")[0]
        folder = Path(profile.model.name).expanduser()
        if folder.is_absolute() and not folder.exists():
            first = "there is no such folder"
        raise Fatal(
            f"the model {profile.model.name} cannot be loaded: {first} - set model.name to a "
            "folder with it, or to a name on the hub that can be reached; without a network get it "
            "before (hf download NAME); a gated model needs HF_TOKEN"
        ) from error


def _drawn(profile: Profile, device: Device, tokenizer: Any) -> Any:
    """Random weights, whole and in fp32: they are all trained."""
    shape = dict(profile.model.config)
    ends = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("eos", "pad")}
    config = AutoConfig.for_model(**shape | ends | {"vocab_size": len(tokenizer)})
    how = {"attn_implementation": _attention(config, device), "dtype": torch.float32}
    return AutoModelForCausalLM.from_config(config, **how).to(device.kind)


def _pretrained(profile: Profile, device: Device, folder: str) -> Any:
    model = profile.model
    config = AutoConfig.from_pretrained(folder, **_hub(profile))
    # Trained whole, they are kept in fp32 if they may: a small step vanishes in bf16's 8 bits.
    dtype = DTYPES[device.precision if model.use_lora else trained_precision(profile, device)]
    here: int | str = torch.cuda.current_device() if device.kind == "cuda" else device.kind
    loaded, found = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        quantization_config=_quantised(profile, dtype),
        attn_implementation=_attention(config, device),
        device_map={"": here},
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told below, by name
        **_hub(profile),
    )
    others = [key for key, *_ in found["mismatched_keys"]]
    if wrong := sorted([*found["missing_keys"], *others]):  # they would be random numbers
        raise ValueError(f"{len(wrong)} of its weights are missing or of another size: {wrong[0]}")
    return loaded


def _check_sizes(model: Any, tokenizer: Any, profile: Profile) -> None:
    """On a GPU a wrong index ends the process with a message that says nothing."""
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions and profile.model.max_length > positions:
        raise Fatal(f"{profile.model.name} takes {positions} tokens: lower model.max_length")
    entries = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > entries:
        raise Fatal(
            f"the tokenizer of {profile.model.name} has {len(tokenizer)} tokens and its model "
            f"{entries}: set model.name to a folder in which they belong together"
        )


def _quantised(profile: Profile, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    if not (profile.model.use_4bit or profile.model.use_8bit):
        return None
    if profile.model.use_8bit:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _attention(config: Any, device: Device) -> str:
    return device.attention if architecture_of(config).has_sdpa else "eager"


def _adapted(
    model: Any, profile: Profile, architecture: Architecture, adapter: Path | None
) -> PeftModel:
    """The model with a new adapter, or with the one of `adapter`, to be trained on."""
    wanted = LoraConfig(
        task_type="CAUSAL_LM",
        r=profile.lora.rank,
        lora_alpha=profile.lora.alpha,
        lora_dropout=profile.lora.dropout,
        target_modules=architecture.targets(model, profile.lora.target_modules),
        fan_in_fan_out=architecture.is_transposed and not hasattr(model, "quantization_method"),
    )
    if adapter and (adapter / "adapter_config.json").is_file():
        adapted = PeftModel.from_pretrained(model, adapter, is_trainable=True)
        _check_adapter(adapted.peft_config["default"], wanted)
    else:
        adapted = get_peft_model(model, wanted)
    # PEFT keeps the targets in a set, and would write them in an order that changes.
    config = adapted.peft_config["default"]
    config.target_modules = sorted(config.target_modules)
    config.fan_in_fan_out = architecture.is_transposed  # as the full-precision base has them
    # PEFT writes a model card with each checkpoint; a version's own is written at its release.
    adapted.create_or_update_model_card = _nothing
    # It would ask the hub whether the vocabulary was changed; no embedding is ever adapted here.
    adapted.save_pretrained = partial(adapted.save_pretrained, save_embedding_layers=False)
    return adapted


def _check_adapter(found: LoraConfig, wanted: LoraConfig) -> None:
    for name in ("r", "lora_alpha", "target_modules"):
        old, new = getattr(found, name), getattr(wanted, name)
        if old != new:
            raise Fatal(
                f"the active version's adapter has {name} {old}, the profile {new}: change the "
                "profile's [lora] back, or set training.start_from to base to begin a new adapter"
            )


def _cast_adapter(model: Any, dtype: torch.dtype) -> None:
    """fp16 gradients cannot be scaled, so that beside fp16 an adapter is fp32."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def _nothing(_: object) -> None: ...


def _quiet() -> None:
    """transformers says what it has to say through Python's logging, and draws no bars."""
    logging.disable_default_handler()
    logging.enable_propagation()
    logging.disable_progress_bar()
    # It says at every product of an 8-bit layer that it computes in fp16.
    getLogger("bitsandbytes.autograd._functions").setLevel(ERROR)
