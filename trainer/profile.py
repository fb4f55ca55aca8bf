"""What says everything about a model's training; `profiles/*.toml` are those that come along."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codelupe_daemon import spdx
from codelupe_daemon.errors import UsageError

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
    first_round: dict[str, Any] = Field(default_factory=dict)
    """`from_scratch`: what of `training` differs in the first round, which trains all weights;
    later rounds train an adapter on what it made. See `Profile.of_round`."""
    card_gb: Positive | None = None
    """The smallest GPU it is made for; None where a CPU will do."""
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
    trained_precision: Literal["auto", "bf16", "fp32"] = "auto"
    """How trained weights lie: `auto` is bf16 for adapters where the card has it, else fp32."""
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
    """All of it. `name` is the file's. What contradicts itself is a ValueError."""

    name: str
    model: ModelSection
    lora: LoraSection = Field(default_factory=LoraSection)
    training: TrainingSection = Field(default_factory=TrainingSection)
    evaluation: EvaluationSection = Field(default_factory=EvaluationSection)
    data: DataSection = Field(default_factory=DataSection)
    model_saving: ModelSavingSection = Field(default_factory=ModelSavingSection)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        wrong = [message for is_wrong, message in _contradictions(self) if is_wrong]
        if wrong:
            raise ValueError("; ".join(wrong))
        spdx.accepts(self.data.licenses)
        try:
            _changed(self.training, self.model.first_round)
        except ValidationError as error:
            raise ValueError(f"model.first_round.{_explain(error, TrainingSection)}") from error
        return self

    def of_round(self, *, is_first: bool) -> Profile:
        """As that round trains: the first one `from_scratch` trains all of the random weights,
        with `model.first_round` over `training`; every other round is as the file says."""
        if not (is_first and self.model.from_scratch):
            return self
        model = self.model.model_copy(update={"use_lora": False})
        training = _changed(self.training, self.model.first_round)
        return self.model_copy(update={"model": model, "training": training})


def _changed(training: TrainingSection, changes: Mapping[str, Any]) -> TrainingSection:
    if "target_tokens" in changes:
        changes = {"epochs": None, **changes}
    return TrainingSection(**{**training.model_dump(), **changes})


def _contradictions(profile: Profile) -> Iterable[tuple[bool, str]]:
    model, training, data = profile.model, profile.training, profile.data
    is_quantised = model.use_4bit or model.use_8bit
    shares = sum(data.formats.model_dump().values())
    positions = model.config.get("max_position_embeddings", model.config.get("n_positions"))
    yield model.use_4bit and model.use_8bit, "model.use_4bit and model.use_8bit exclude each other"
    yield (
        is_quantised and not model.use_lora,
        "quantised weights cannot be trained: set model.use_lora, or leave them unquantised",
    )
    yield abs(shares - 1) > 1e-6, f"the shares of data.formats add up to {shares:g}, not to 1"
    yield (
        (training.epochs is None) == (training.target_tokens is None),
        "give training.epochs or training.target_tokens (`none` takes the other away)",
    )
    yield training.min_epochs > training.max_epochs, "training.min_epochs exceeds max_epochs"
    yield data.min_chars > data.max_chars, "data.min_chars exceeds data.max_chars"
    yield (
        positions is not None and model.max_length > positions,
        f"model.max_length is {model.max_length}, and the model knows {positions} positions",
    )
    yield (
        training.distributed == "fsdp" and model.use_8bit,
        "training.distributed fsdp knows no 8-bit weights: set model.use_4bit instead",
    )
    yield (
        training.distributed == "fsdp" and training.optimizer == "adamw_8bit",
        "training.distributed fsdp knows no adamw_8bit: set training.optimizer to adamw_fused",
    )
    yield model.from_scratch and not model.config, "model.from_scratch needs [model.config]"
    yield model.from_scratch and is_quantised, "model.from_scratch cannot be quantised"
    yield (
        bool(model.first_round) and not model.from_scratch,
        "model.first_round is for model.from_scratch",
    )


PROFILES = Path(__file__).with_name("profiles")
DEFAULT_PROFILE = "qwen2.5-coder-14b"

_OTHER_NAMES = {
    ("lora", "r"): "rank",
    ("lora", "lora_rank"): "rank",
    ("lora", "lora_alpha"): "alpha",
    ("lora", "lora_dropout"): "dropout",
    ("model", "load_in_4bit"): "use_4bit",
    ("model", "load_in_8bit"): "use_8bit",
    ("model", "max_seq_length"): "max_length",
    ("training", "learning_rate"): "base_learning_rate",
    ("training", "num_epochs"): "epochs",
    ("training", "num_train_epochs"): "epochs",
    ("training", "batch_size"): "micro_batch",
    ("training", "warmup_ratio"): "warmup_share",
    ("training", "gradient_clip"): "max_grad_norm",
}
"""What peft, transformers and older YAML settings call our keys."""


def shipped() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in PROFILES.glob("*.toml")))


def load_profile(name_or_path: str, overrides: Sequence[str] = ()) -> Profile:
    """A profile by its name, or from a TOML or YAML file, with `section.key=value` on top.

    A value is TOML; a bare word is a string, and `none` takes a key away. Raises `UsageError`.
    """
    path = _path(name_or_path)
    document = _read(path)
    if "name" in document:
        raise UsageError(f"{path}: a profile is named by its file: leave `name` out")
    for override in overrides:
        _set(document, override)
    _check_names(Profile, document, path)
    training = document.get("training") or {}
    if training.get("target_tokens") is not None:
        training.setdefault("epochs", None)
    try:
        return Profile(name=path.stem, **document)
    except ValidationError as error:
        raise UsageError(f"{path.name}: {_explain(error)}") from error


def _path(name: str) -> Path:
    if name in shipped():
        return PROFILES / f"{name}.toml"
    path = Path(name).expanduser()
    if path.suffix not in {".toml", ".yaml", ".yml"}:
        raise UsageError(
            f"there is no profile {name!r}:{_near(name, shipped())} there are"
            f" {', '.join(shipped())}, or give a .toml or .yaml file"
        )
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text) if path.suffix == ".toml" else _yaml(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"the profile {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"the profile {path} holds no sections")
    return document


def _yaml(text: str) -> Any:
    """YAML with other tools' names for our keys."""
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    for (section, theirs), ours in _OTHER_NAMES.items():
        table = document.get(section) if isinstance(document, dict) else None
        if isinstance(table, dict) and theirs in table:
            table.setdefault(ours, table.pop(theirs))
    training = document.get("training") if isinstance(document, dict) else None
    if isinstance(training, dict) and "gradient_accumulation_steps" in training:
        steps = training.pop("gradient_accumulation_steps")
        training.setdefault("effective_batch", int(training.get("micro_batch", 1)) * int(steps))
    return document


def _set(document: dict[str, Any], override: str) -> None:
    key, is_given, value = override.partition("=")
    *sections, last = (part.strip() for part in key.split("."))
    if not (is_given and sections and last):
        raise UsageError(f"--set {override}: write --set section.key=value")
    table: Any = document
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {override}: {section} is a key, and no section")
    table[last] = _value(value.strip())


def _value(text: str) -> Any:
    if text == "none":
        return None
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return found["value"] if len(found) == 1 else text


def _check_names(kind: type[BaseModel], table: Mapping[str, Any], path: Path, at: str = "") -> None:
    for name, value in table.items():
        field = kind.model_fields.get(name)
        if field is None:
            what = f"key {at}{name}" if at else f"section [{name}]"
            there = [one for one in kind.model_fields if at or one != "name"]
            raise UsageError(
                f"{path.name}: there is no {what}:{_near(name, there)} there are {', '.join(there)}"
            )
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            if not isinstance(value, Mapping):
                raise UsageError(f"{path.name}: {at}{name} is a section, with keys of its own")
            _check_names(inner, value, path, f"{at}{name}.")


def _near(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), 1)
    return f" did you mean {near[0]!r}?" if near else ""


def _explain(error: ValidationError, kind: type[BaseModel] = Profile) -> str:
    first, *others = error.errors()
    if not first["loc"]:
        return str(first["ctx"]["error"])
    if first["type"] == "extra_forbidden":
        return f"{first['loc'][-1]} is no key:{_near(str(first['loc'][-1]), kind.model_fields)}"
    names = _names(kind, first["loc"])
    expected = [first, *(one for one in others if _names(kind, one["loc"]) == names)]
    said = " or ".join(one["msg"].removeprefix("Input should be ") for one in expected)
    said = said[0].lower() + said[1:]
    return f"{'.'.join(names)} is {first['input']!r}: it should be {said}{_bounds(kind, names)}"


def _names(kind: Any, location: Sequence[int | str]) -> list[str]:
    """Sections and key of a location; what follows the key is pydantic's own."""
    names: list[str] = []
    for name in map(str, location):
        if name not in getattr(kind, "model_fields", {}):
            break
        names.append(name)
        kind = kind.model_fields[name].annotation
    return names or [str(location[0])]


def _bounds(kind: Any, names: Sequence[str]) -> str:
    """What a number may be, in words: ` (0 to 0.25)`; nothing for what has no bounds."""
    for section in names[:-1]:
        kind = kind.model_fields[section].annotation
    schema = kind.model_json_schema()["properties"].get(names[-1], {})
    limits: dict[str, Any] = {}
    for one in (*schema.get("anyOf", ()), schema):
        limits |= one
    low = limits.get("minimum", limits.get("exclusiveMinimum"))
    if low is None:
        return ""
    above = "above " if "exclusiveMinimum" in limits else "at least "
    return f" ({low} to {limits['maximum']})" if "maximum" in limits else f" ({above}{low})"
