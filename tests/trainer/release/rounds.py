"""A round as it is when training has ended, made of nothing but files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.trainer import tiny
from trainer.profile import Profile
from trainer.registry.base import Version
from trainer.release import publish
from trainer.types import Base, Manifest, NotTaken, Origin, Side, Taken, Trained

BASE = Base("example/tiny", "abc123", "d" * 64)
TRAINED = Trained(
    steps=20, epochs=1.0, tokens=5000, seconds=12.5, train_loss=2.5,
    before={"validation": 3.0, "holdout": 3.5}, after={"validation": 2.0, "holdout": 2.25},
    best_step=20, history=[{"step": 1, "loss": 4.0, "grad_norm": float("inf")}],
)  # fmt: skip


def taken(id_: int, **changes: Any) -> Taken:
    row = Taken(
        id=id_, content_hash=id_.to_bytes(16, "big"), repo=f"ada/repo{id_ % 3}",
        path=f"src/secret_{id_}.py", language="Python", license="MIT", quality=80.0, chars=500,
        created_at=1_760_000_000, side=Side.TRAIN,
    )  # fmt: skip
    return row._replace(**changes)


ROWS = (
    taken(1), taken(2), taken(4), taken(5, language="Rust", license=None),
    taken(7, origin=Origin.REPLAY, repo="eve/<b>|x`\n# y"), taken(9, side=Side.VALIDATION),
)  # fmt: skip


def manifest(session: str = "s1", base: Base = BASE, rows: tuple[Taken, ...] = ROWS) -> Manifest:
    return Manifest(
        session_id=session, profile="tiny", source="journal", from_id=0, to_id=12, seed=3,
        base=base, settings=tiny.profile(base.model).model_dump(mode="json"), taken=rows,
        not_taken={NotTaken.LOW_QUALITY: 4, NotTaken.TOO_LONG: 2}, created_at=1_760_000_000,
        leaked=1,
    )  # fmt: skip


def result(folder: Path) -> Path:
    """An adapter of one small matrix, written without torch."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({"a": np.arange(6, dtype=np.float32)}, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "target_modules": ["v_proj", "k_proj", "q_proj"],
              "base_model_name_or_path": "/some/where", "inference_mode": False}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "optimizer.pt").write_bytes(b"not for publishing")
    return folder


class Tokenizer:
    """What publishing asks of one."""

    def save_pretrained(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text('{"model": {}}')


def published(
    models_dir: Path,
    left: Path,
    version: str = "v0001",
    *,
    parent: Version | None = None,
    of: Manifest | None = None,
    is_active: bool = True,
    profile: Profile | None = None,
    tokenizer: Any = None,
    trained: Trained = TRAINED,
) -> Version:
    of = of or manifest()
    return publish(
        models_dir, profile or tiny.profile(of.base.model), of, trained, left,
        tokenizer or Tokenizer(), parent=parent, version=version, is_active=is_active,
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
