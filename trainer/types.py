"""The types that flow from a source of rows to a published version. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Side(StrEnum):
    """What a repository is for; decided once, and never both."""

    TRAIN = "train"
    VALIDATION = "validation"
    HOLDOUT = "holdout"


class Origin(StrEnum):
    """Why a row is in a round."""

    NEW = "new"
    REPLAY = "replay"


class Format(StrEnum):
    """How a text becomes samples; one file in `samples/` each."""

    CHAT = "chat"
    FIM = "fim"
    REPO = "repo"
    PLAIN = "plain"


class NotTaken(StrEnum):
    """Why a row of a window is not in its manifest; `docs/training.md` explains each."""

    NOT_A_CANDIDATE = "not a candidate"
    """A move or a removal, or a new verdict of what passed before."""
    NOT_LIVE = "no longer live"
    LOW_QUALITY = "low quality"
    TOO_SHORT = "too short"
    TOO_LONG = "too long"
    LICENSE = "license"
    LANGUAGE = "language"
    NEAR_DUPLICATE = "near-duplicate"
    CONTAMINATED = "contaminated"
    TRAINED_BEFORE = "trained before"
    OTHER_SIDE = "near-duplicate on another side"
    HOLDOUT = "hold-out"
    """A near-duplicate of it stands in a repository of the hold-out."""
    RECENCY = "recency"
    """Old, and left out by `recency_half_life_days`."""
    OVER_BUDGET = "over budget"


class SessionStatus(StrEnum):
    """The states of a round; each but the last five is gone on with after a crash."""

    FROZEN = "frozen"
    """The manifest is written; nothing was trained."""
    TRAINING = "training"
    TRAINED = "trained"
    """Training ended and its result lies in the session's folder; nothing is published."""
    COMPLETED = "completed"
    """Published, and active."""
    NOT_PROMOTED = "not_promoted"
    """Published, and no better than what it began from, or a person chose another meanwhile."""
    WITHDRAWN = "withdrawn"
    """A row of the manifest was taken down meanwhile: nothing is published."""
    DIVERGED = "diverged"
    """The loss was not a number: the last good version stays."""
    EMPTY = "empty"
    """Nothing of the window could be trained on: it is only counted."""


ENDED = frozenset({
    SessionStatus.COMPLETED, SessionStatus.NOT_PROMOTED, SessionStatus.WITHDRAWN,
    SessionStatus.DIVERGED, SessionStatus.EMPTY,
})  # fmt: skip


class Verdict(NamedTuple):
    """What a row of the journal said of a content, as far as it decides whether that passes."""

    quality: float
    language: str | None
    license: str | None
    is_contaminated: bool


class Candidate(NamedTuple):
    """One row of a window as its source knows it now, without its text.

    `is_candidate`: an `add`, or a `revise`; `before`: what a `revise` replaces, None for an `add`.
    `quality` 0..100. `cluster`: of near-duplicates; `is_winner` is true for what has none.
    """

    id: int
    content_hash: bytes
    is_candidate: bool
    is_live: bool
    chars: int
    language: str | None
    quality: float
    license: str | None
    repo: str
    path: str
    created_at: int
    cluster: bytes | None = None
    is_winner: bool = True
    is_contaminated: bool = False
    before: Verdict | None = None


class Taken(NamedTuple):
    """A row of a manifest: ids, hashes and facts, never text. `id` is the source's."""

    id: int
    content_hash: bytes
    repo: str
    path: str
    language: str | None
    license: str | None
    quality: float
    chars: int
    created_at: int
    side: Side
    origin: Origin = Origin.NEW


class Base(NamedTuple):
    """What a round starts from. `digest`: of its weights' files; `version`: an adapter of ours."""

    model: str
    revision: str | None
    digest: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a round sees, frozen before it trains. Every row of (from_id, to_id] is in `taken`, or
    counted in `not_taken`; rows of REPLAY come on top, and `validation` and `holdout` rows are
    what is measured on.

    `taken` is in the order in which a round reads it; equal manifests have equal digests.
    """

    session_id: str
    profile: str
    source: str
    from_id: int
    to_id: int
    seed: int
    base: Base
    settings: Mapping[str, Any]
    """The whole profile as it was."""
    taken: Sequence[Taken]
    not_taken: Mapping[NotTaken, int]
    created_at: int
    leaked: int = 0
    """Files of the hold-out left out of the measure, because a near-duplicate was trained."""


class Document(NamedTuple):
    """A taken row with its text, or with a piece of it; `is_end`: the text ends with it."""

    taken: Taken
    text: str
    piece: int = 0
    is_end: bool = True


class Segment(NamedTuple):
    """A stretch of a sample. A control segment is one token of the model's by its name; other
    text is never read as control tokens, whatever it says."""

    text: str
    is_supervised: bool
    is_control: bool = False


class Sample(NamedTuple):
    """What the model sees as one document; `taken`: the first of the texts that it is made of."""

    segments: tuple[Segment, ...]
    taken: Taken
    format: Format


@dataclass(slots=True)
class Progress:
    """How far a round's training is; times in seconds."""

    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float = 0.0
    grad_norm: float | None = None
    tokens: int = 0
    """Supervised ones, so far."""
    tokens_per_s: float = 0.0
    seconds: float = 0.0
    packing_fill: float = 0.0
    """Share of the tokens in a batch that are no padding."""
    speed_of_light: float | None = None
    """Share of the card's peak that the strictly necessary matrix products take."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What fine-tuning ended with. Losses are means over supervised tokens, by set's name:
    `validation`, `holdout`, `recent`; `before` as the round began."""

    steps: int
    epochs: float
    tokens: int
    seconds: float
    train_loss: float
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    best_step: int = 0
    is_early_stopped: bool = False
    history: Sequence[Mapping[str, float]] = ()
    """Loss, learning rate, gradient norm by step; evaluations with their step."""


class Stopped(NamedTuple):
    """Fine-tuning was asked to stop and wrote a checkpoint; the session is gone on with later."""

    step: int
