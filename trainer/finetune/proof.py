"""The proof that packed documents do not see each other, on the very model that is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codelupe_daemon.errors import Fatal
from trainer.finetune.collate import Collator
from trainer.finetune.loss import causal_of, hidden_states
from trainer.samples.rows import PackedRow

LENGTHS = (13, 8, 11)
"""Of the documents of the row that is tried."""
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-3, torch.float16: 1e-3}
"""By what share of their length states may move. What is masked has the weight 0, so that they
should not move at all; what leaks moved the states of tiny models by a tenth and more."""
TOLERANCE_8BIT = 5e-2
"""8-bit layers treat the outliers of a whole batch together: large ones moved states by 0.014."""


def trial_batch(model: Any, collator: Collator) -> dict[str, Any]:
    """Two rows of documents, cut to what the model takes, on its device."""
    draw = np.random.default_rng(0)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    lengths = LENGTHS if sum(LENGTHS) < collator.length else (collator.length // 2,) * 2
    tokens = draw.integers(0, vocabulary, (2, sum(lengths)), np.uint32)
    rows = [PackedRow(row, np.ones(len(row), np.bool_), lengths) for row in tokens]
    batch = Collator(collator.pad_id, sum(lengths) + 3, is_flat=collator.is_flat)(rows)
    to = next(model.parameters()).device
    return {name: v.to(to) if isinstance(v, Tensor) else v for name, v in batch.items()}


@torch.no_grad()
def prove(model: Any, batch: Mapping[str, Any]) -> None:
    """Change one document's tokens: the states of no other may move.

    Raises `Fatal` otherwise, since a model trained so would learn from what it will never see.
    """
    model.eval()
    causal = causal_of(model)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    is_8bit = getattr(causal, "is_loaded_in_8bit", False)
    tolerance = TOLERANCE_8BIT if is_8bit else TOLERANCE[causal.dtype]
    plain = hidden_states(causal, inputs).float()
    positions = inputs["position_ids"]
    starts = (positions == 0).flatten().cumsum(0).view_as(positions)
    for document in range(1, int(starts.max()) + 1):
        is_changed = starts == document
        ids = torch.where(is_changed, inputs["input_ids"].flip(-1), inputs["input_ids"])
        moved = hidden_states(causal, {**inputs, "input_ids": ids}).float() - plain
        share = moved.norm(dim=-1) / plain.norm(dim=-1)
        if share[~is_changed].max() > tolerance:
            raise Fatal(
                f"documents packed in one row see each other in {type(causal).__name__} with "
                f"{causal.config._attn_implementation}: it cannot be trained on packed rows; "  # noqa: SLF001 - it has no other name
                "set model.attention to sdpa, or choose another model"
            )
