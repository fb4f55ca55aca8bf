"""`codelupe` and `codelupe-trainer` as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

TRAINER = Path(sys.executable).with_name("codelupe-trainer")
CODELUPE = Path(sys.executable).with_name("codelupe")
LIMIT_S = 240.0
PROFILE = """
[model]
name = {model}
max_length = 64
precision = "fp32"

[lora]
rank = 4
alpha = 8

[training]
epochs = 1
base_learning_rate = 1e-2
effective_batch = 4
optimizer = "adamw_fused"
gradient_checkpointing = "none"

[evaluation]
validation_rows_max = 200

[data]
min_new_rows = 5
min_quality = 0
split_long_files = true
min_holdout_repos = 100
max_tokens = {max_tokens}
poll_s = 1
"""


class Trainer(NamedTuple):
    """A store and a folder of models; `settings` are variables of the environment."""

    folder: Path
    settings: Mapping[str, str]

    @classmethod
    def of(
        cls,
        folder: Path,
        model: Path,
        store: str,
        *,
        max_tokens: int = 4000,
        settings: Mapping[str, str] | None = None,
    ) -> Trainer:
        path = folder / "small.toml"
        path.write_text(PROFILE.format(model=json.dumps(str(model)), max_tokens=max_tokens))
        named = {f"CODELUPE_{name.upper()}": value for name, value in (settings or {}).items()}
        return cls(folder, named | {
            "CODELUPE_STORE": store, "CODELUPE_PROFILE": str(path),
            "CODELUPE_MODELS_DIR": str(folder / "models"), "CODELUPE_DEVICE": "cpu",
            "XDG_DATA_HOME": str(folder), "OMP_NUM_THREADS": "1",
        })  # fmt: skip

    @property
    def models(self) -> Path:
        return self.folder / "models" / "small"

    def start(self, *arguments: str, program: Path = TRAINER) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [program, *arguments],
            env=os.environ | self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: str, program: Path = TRAINER) -> Any:
        """What a command that ends well prints."""
        process = self.start(*arguments, "--json", program=program)
        out, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, said
        return json.loads(out)

    def fails(self, *arguments: str) -> tuple[int, str]:
        """Exit code and last line of what a command that does not end well says."""
        process = self.start(*arguments)
        _, said = process.communicate(timeout=LIMIT_S)
        return process.returncode, said.strip().rpartition("\n")[2]
