"""How much arithmetic a step cannot do without."""

from __future__ import annotations

from typing import Any, NamedTuple

from trainer.finetune.collate import Tally
from trainer.models.base import linear_layers


class Work(NamedTuple):
    """FLOPs of the strictly necessary matrix products: for a token, for a supervised one, and for
    a token's pair with one before it in its document, over all layers."""

    token: int
    supervised: int
    pair: int

    def flops(self, tally: Tally, supervised: int) -> int:
        return (
            self.token * tally.tokens
            + self.supervised * supervised
            + self.pair * tally.squares // 2
        )


def work_of(model: Any, causal: Any) -> Work:
    """A weight takes 2 FLOPs forward, 2 for the gradient of its input, and 2 for its own where it
    is trained; attention 4 times the width forward and 8 backward a pair, of which the causal half
    is needed; what checkpointing computes again is not necessary. Source: PaLM, appendix B
    (arXiv:2204.02311), less the gradients of frozen weights.
    """
    head = causal.get_output_embeddings()
    token = supervised = 0
    for _, layer, weights in linear_layers(model):
        flops = (6 if layer.weight.requires_grad else 4) * weights
        if layer is head:
            supervised += flops
        else:
            token += flops
    config = causal.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads, layers = config.num_attention_heads, config.num_hidden_layers
    return Work(token, supervised, 12 * width * heads * layers)
