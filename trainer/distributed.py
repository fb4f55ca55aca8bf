"""What several processes of one training (torchrun, accelerate launch) say to each other.

Rank 0 alone touches the registry, the sources and the folder of versions; the others are told. All
of it works in a single process too, where it does nothing, and none of it waits for a GPU's queue.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, Literal, TypeVar, cast

from codelupe_daemon.errors import Fatal

Answer = TypeVar("Answer")

TIMEOUT_S = 3600
"""For gradients of another process. One that dies is noticed at once, by torchrun."""
ROUND_TIMEOUT_S = 7 * 24 * 3600
"""For what rank 0 says: it may wait long for rows, or for another trainer to end."""

_talk: Any = None
"""The group in which they speak: over gloo, also beside GPUs, and with more patience."""


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def start(kind: Literal["cuda", "cpu", "mps"]) -> None:
    """Join the others; before any of the functions below, once. Alone it does nothing."""
    import torch
    from torch import distributed

    global _talk  # noqa: PLW0603 - like the process group of torch, there is one a process
    if world_size() == 1 or distributed.is_initialized():
        return
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=timedelta(seconds=TIMEOUT_S))
    patience = timedelta(seconds=ROUND_TIMEOUT_S)
    _talk = distributed.new_group(backend="gloo", timeout=patience)


def end() -> None:
    """Leave the others."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def barrier() -> None:
    """Wait until all are here."""
    agree(is_wanted=False)


def agree(*, is_wanted: bool) -> bool:
    """Whether any process wants it. All must ask, in the same place: all get the same answer."""
    return bool(largest(int(is_wanted)))


def largest(number: int) -> int:
    """Of the numbers that the processes hand in. All must ask, in the same place."""
    if world_size() == 1:
        return number
    import torch
    from torch import distributed

    numbers = torch.tensor([number])
    distributed.all_reduce(numbers, distributed.ReduceOp.MAX, group=_talk)
    return int(numbers.item())


def from_main(ask: Callable[[], Answer]) -> Answer:
    """What `ask` answers in rank 0, for all; it is called nowhere else. Pickled on its way.

    Where it raises, rank 0 ends, and torchrun ends the others.
    """
    if world_size() == 1:
        return ask()
    import torch
    from torch import distributed

    said = [ask() if is_main() else None]
    distributed.broadcast_object_list(said, src=0, group=_talk, device=torch.device("cpu"))
    return cast("Answer", said[0])


def arguments(
    kind: Literal["ddp", "fsdp", "deepspeed"],
    device: Literal["cuda", "cpu", "mps"],
    precision: Literal["bf16", "fp16", "fp32"],
) -> dict[str, Any]:
    """What `TrainingArguments` is to be told. With FSDP 2 a checkpoint holds the whole weights;
    DeepSpeed (ZeRO 2) runs where a person has installed it. Raises `Fatal` where it cannot be."""
    if world_size() == 1 or kind == "ddp":
        return {"ddp_find_unused_parameters": False}
    if kind == "fsdp":
        return _fsdp(precision)
    if device != "cuda":  # accelerate would run DDP without a word
        raise Fatal("training.distributed is deepspeed, which needs GPUs: set it to ddp or fsdp")
    if find_spec("deepspeed") is None:
        raise Fatal(
            "training.distributed is deepspeed, which is not installed: install the package "
            "deepspeed, or set training.distributed to ddp or fsdp"
        )
    auto = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    precisions = {name: {"enabled": "auto"} for name in ("bf16", "fp16")}
    zero = {"zero_optimization": {"stage": 2}, "gradient_clipping": "auto"}
    return {"deepspeed": dict.fromkeys(auto, "auto") | precisions | zero}


def _fsdp(precision: Literal["bf16", "fp16", "fp32"]) -> dict[str, Any]:
    if precision == "fp16":
        raise Fatal(
            "training.distributed is fsdp, which has no scaled fp16: set it to ddp, or "
            "model.precision to fp32"
        )
    # Gradients that wait for the step's end would lie whole in every process.
    accumulation = {"gradient_accumulation_kwargs": {"sync_each_batch": True}}
    how = {"state_dict_type": "FULL_STATE_DICT"}
    return {"fsdp": True, "fsdp_config": how, "accelerator_config": accumulation}
