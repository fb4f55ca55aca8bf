"""What says everything about a model's training; `profiles/*.toml` are those that come along."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A table of a profile; a key that is not one of its fields is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ModelSection(Section):
    """Which model, and how it lies in memory."""

    name: str
    """A name on the Hugging Face hub or a folder; with `from_scratch` only its name."""
    revision: str | None = None
    from_scratch: bool = False
    """Random weights of the shape in `config`, and a tokenizer trained on the first round."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The model's own config.json: its shape, for `plan` without the hub and for `from_scratch`."""
    vocab_size: Count = 4096
    """Of a tokenizer trained `from_scratch`."""
    use_4bit: bool = False
    use_8bit: bool = False
    use_lora: bool = True
    max_length: Count = 4096
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    attention: Literal["auto", "flash_attention_2", "sdpa"] = "auto"
    trust_remote_code: bool = False


class LoraSection(Section):
    """The adapter."""

    rank: Count = 256
    alpha: Count = 512
    dropout: Share = 0.0
    target_modules: tuple[str, ...] | Literal["auto", "all-linear"] = "auto"
    """`auto`: what the architecture's file in `models/` says."""


class TrainingSection(Section):
    """The recipe."""

    base_learning_rate: Positive = 1e-4
    epochs: Positive | None = 1.0
    """None: as many as reach `target_tokens`, within `min_epochs` and `max_epochs`."""
    target_tokens: Count | None = None
    min_epochs: Positive = 1.0
    max_epochs: Positive = 6.0
    effective_batch: Count = 16
    """Rows of `max_length` an optimizer step, over all GPUs."""
    micro_batch: Count | None = None
    """None: the most that the memory plan allows."""
    warmup_share: Share = 0.03
    lr_schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Positive = 1.0
    optimizer: Literal["adamw_8bit", "adamw_fused"] = "adamw_8bit"
    gradient_checkpointing: Literal["full", "selective", "none"] = "full"
    liger: bool = True
    """Use liger's kernels where they install."""
    seed: Whole = 42
    deterministic: bool = False
    start_from: Literal["active", "base"] = "active"
    """Whether a round goes on with the active adapter, or begins anew."""
    distributed: Literal["ddp", "fsdp", "deepspeed"] = "ddp"
    report_to: tuple[Literal["wandb", "tensorboard"], ...] = ()


class EvaluationSection(Section):
    """What is measured while it trains."""

    every_steps_max: Count = 100
    """Evaluated and saved every min(this, a fifth of the steps), and at the end."""
    early_stopping_patience: Count = 3
    min_improvement: Annotated[float, Field(ge=0)] = 0.0
    """By how much a version's loss must be lower than the active one's to become active."""
    validation_rows_max: Count = 256
    """Packed rows that an evaluation reads."""


class FormatShares(Section):
    """How much of the texts goes into each format; together 1."""

    chat: Share = 0.5
    fim: Share = 0.3
    repo: Share = 0.1
    plain: Share = 0.1


class DataSection(Section):
    """Which rows, and what becomes of them."""

    min_new_rows: Count = 1000
    """So many live rows that pass begin a round."""
    poll_s: Positive = 300.0
    min_quality: Annotated[float, Field(ge=0, le=100)] = 70.0
    min_chars: Count = 50
    max_chars: Count = 8000
    split_long_files: bool = False
    """Cut longer files at definitions instead of leaving them out."""
    languages: tuple[str, ...] = ()
    licenses: str = "any"
    max_samples: Count = 100_000
    max_tokens: Count | None = None
    """The token budget of a round; the best rows come first."""
    max_window_rows: Count = 1_000_000
    formats: FormatShares = Field(default_factory=FormatShares)
    context_share: Share = 0.35
    """Of a chat sample's text that is context; the rest is to be completed."""
    system_prompt: str = "You are Qwen, an AI coding assistant"
    spm_share: Share = 0.5
    """Of the fill-in-the-middle samples, how many give the suffix first."""
    recency_half_life_days: Positive | None = None
    recency_floor: Share = 0.2
    quality_ordering: bool = False
    """Better texts later in a round."""
    replay_share: Annotated[float, Field(ge=0, le=0.25)] = 0.1
    """Of a round's rows, how many come from earlier rounds."""
    validation_share: Share = 0.05
    min_validation_repos: Count = 2
    holdout_share: Share = 0.02
    min_holdout_repos: Count = 20
    """So many repositories must be known before the hold-out is frozen."""
    recent_files: Whole = 256
    """Validation files of the newest rows: the rolling time slice."""


class ModelSavingSection(Section):
    """What is published."""

    merged: bool = False
    """Also the whole model, merged onto the full-precision base."""
    keep_versions: Annotated[int, Field(ge=2)] = 3
    """Beside the active one; older folders are removed."""
    keep_checkpoints: Annotated[int, Field(ge=1)] = 2


class Profile(Section):
    """All of it. `name` is the file's."""

    name: str
    model: ModelSection
    lora: LoraSection = Field(default_factory=LoraSection)
    training: TrainingSection = Field(default_factory=TrainingSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    data: DataSection = Field(default_factory=DataSection)
    model_saving: ModelSavingSection = Field(default_factory=ModelSavingSection)


PROFILES = Path(__file__).with_name("profiles")
