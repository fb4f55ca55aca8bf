"""What the trainer does, on one line: live on a terminal, every 10 s elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from codelupe_daemon.observe.progress import duration, showing
from codelupe_daemon.observe.report import PICTURES
from trainer.observe.state import Doing, State

GIB = 1 << 30


def shown(state: State) -> AbstractAsyncContextManager[None]:
    """Show the state on standard error while the body runs."""
    return showing(lambda: line(state))


def line(state: State) -> str:
    """As in `r3: step 12/40, loss 1.2345, 1,234 tokens/s, about 3:20 left, 21.3 of 31.8 GiB`."""
    if state.doing is not Doing.TRAINING or not state.progress.steps:
        parts = [f"{state.session}: {state.doing}" if state.session else str(state.doing)]
        if state.doing is Doing.WAITING:
            parts.append(f"{state.pending:,} new rows")
        return _one_line([*parts, *([state.problem] if state.problem else [])])
    now, left_s = state.progress, state.left_s()
    parts = [f"{state.session}: step {now.step}/{now.steps}"]
    if now.loss is not None:
        parts.append(f"loss {now.loss:.4f}")
    if now.eval_loss is not None:
        parts.append(f"evaluated {now.eval_loss:.4f}")
    parts.append(f"{now.tokens_per_s:,.0f} tokens/s")
    if left_s is not None:
        parts.append(f"about {duration(left_s)} left")
    return _one_line([*parts, *_memory(state)])


def _one_line(parts: Sequence[str]) -> str:
    return ", ".join(parts).replace("\n", " ").translate(PICTURES)


def _memory(state: State) -> list[str]:
    """Of the cards, else of the machine."""
    machine = state.machine()
    if machine is None:
        return []
    gpus = [(it.memory_used_bytes or 0, it.memory_total_bytes or 0) for it in machine.gpus]
    memories = gpus or [(machine.memory_used_bytes, machine.memory_total_bytes)]
    return [f"{used / GIB:.1f} of {total / GIB:.1f} GiB" for used, total in memories]
