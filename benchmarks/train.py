"""python -m benchmarks.train [--rounds 3] [--scale cpu] [--intake-rows 1000000] [--json]

Trains the same model on the same documents with the trainer, with transformers' Trainer and
padding, and with TRL and packing, in turn, each in a process of its own, and prints one table.
`docs/benchmarks.md` keeps it.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import train_intake
from benchmarks.served.__main__ import table
from benchmarks.served.base import Round, Row
from benchmarks.train_data import SCALES, Scale, documents_of, make, rows_of
from benchmarks.train_peers import PEERS, Job, Outcome, is_installed

PADDING, TRL = "transformers.Trainer, padding", "TRL, packing"
FILL = 0.99
GIB, PEAK_GIB = 1 << 30, 27
UNSLOTH = "Unsloth is not measured: it needs a GPU, and patches the libraries of the others"
NO_TRL = "TRL is not measured: uv pip install trl -c constraints.txt"
NO_GPU = "Peak memory and the share of the speed of light are measured on a GPU alone"


class Contestants:
    """Each in a process that lives as long as this: what one patches or keeps is no other's."""

    def __init__(self, stack: ExitStack, names: list[str]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pools = {name: stack.enter_context(ProcessPoolExecutor(1, spawn)) for name in names}

    def round(self, job: Job, *, is_backward: bool) -> dict[str, Outcome]:
        """One after the other; every second time from the last to the first."""
        found = {}
        for name in sorted(self.pools, reverse=is_backward):
            print(f"  {name}", file=sys.stderr)
            found[name] = self.pools[name].submit(PEERS[name], job).result()
        return found


def measured(contestants: Contestants, job: Job, rounds: int) -> list[dict[str, Outcome]]:
    """Raises AssertionError where two did not learn from the same number of tokens."""
    wanted = documents_of(rows_of(job.folder, job.scale.rows)).supervised
    outcomes = []
    for number in range(rounds):
        what = "LoRA" if job.is_lora else "all weights"
        print(f"{what}: round {number + 1} of {rounds}", file=sys.stderr)
        outcomes.append(contestants.round(job, is_backward=number % 2 == 1))
        for name, one in outcomes[-1].items():
            assert one.supervised == wanted, f"{name}: {one.supervised} tokens, not {wanted}"
    return outcomes


def rows_for(what: str, outcomes: list[dict[str, Outcome]], *, is_cuda: bool) -> list[Row]:
    """By the clock; without a GPU by CPU time too, which other work on the machine changes less."""
    targets = {"padding": (PADDING, 2.0), "trl": (TRL, 1.0)}
    if is_cuda:
        targets = {name: (label, 1.05) for name, (label, _) in targets.items()}
    rows = []
    for name, (label, target) in targets.items():
        if name not in outcomes[0]:
            continue
        pairs = [(one["ours"], one[name]) for one in outcomes]
        rounds = [Round(a.tokens_s / b.tokens_s, _figures(a, b, name)) for a, b in pairs]
        rows.append(Row(f"supervised tokens/s, {what}", label, target, rounds))
        if not is_cuda:
            by_cpu = [Round(b.cpu_s / a.cpu_s, {}) for a, b in pairs]
            rows.append(Row(f"supervised tokens a CPU second, {what}", label, target, by_cpu))
    return rows


def _figures(ours: Outcome, theirs: Outcome, name: str) -> dict[str, float]:
    figures = {}
    for who, one in (("our", ours), (name, theirs)):
        figures[f"{who} tokens/s"] = one.tokens_s
        figures[f"{who} CPU s"] = one.cpu_s
        figures[f"{who} loss"] = one.loss
        figures[f"{who} peak MB"] = one.peak_mb
    if ours.speed_of_light is not None:
        figures["our share of the speed of light"] = ours.speed_of_light
    return figures


def memory(device: str) -> list[Row]:
    """The default profile: on a GPU three steps with random weights, else only its plan."""
    from trainer import memory
    from trainer.devices import Device, peak_flops
    from trainer.devices import device as device_of
    from trainer.measure import measure
    from trainer.models.load import config_of
    from trainer.profile import DEFAULT_PROFILE, load_profile

    profile = load_profile(DEFAULT_PROFILE)
    name = "NVIDIA GeForce RTX 5090"
    card = Device("cuda", name, 32 * GIB, (12, 0), "bf16", "flash_attention_2", peak_flops(name))
    planned = memory.plan(profile, card, config_of(profile)).total_bytes
    what = f"peak memory, {DEFAULT_PROFILE}"
    if device != "cuda":
        only_plan = Round(PEAK_GIB * GIB / planned, {"planned GiB": planned / GIB})
        return [Row(f"{what}: plan alone", f"{PEAK_GIB} GiB", 1.0, [only_plan])]
    # As if it had no more memory than that card, or the micro-batch would be another.
    here = device_of(device, profile)._replace(memory_bytes=card.memory_bytes)
    peak = measure(profile, here)["peak"]
    found = {f"{name} GiB": value / GIB for name, value in peak.items()}
    apart = abs(peak["planned"] / peak["measured"] - 1)
    return [
        Row(what, f"{PEAK_GIB} GiB", 1.0, [Round(PEAK_GIB * GIB / peak["measured"], found)]),
        Row("its plan: how near", "measured", 0.95, [Round(1 - apart, found)]),
    ]


def intake(rows: int) -> list[Row]:
    """As `benchmarks.train_intake` measures it."""
    with tempfile.TemporaryDirectory() as work:
        filled = _apart(train_intake.fill, Path(work), rows)
        told: dict[str, Any] = _apart(train_intake.measure, Path(work), filled)
    figures = {name: told[name] for name in ("our_s", "their_s", "peak_mb", "first_block_s")}
    ratio = Round(told["their_s"] / told["our_s"], figures)
    what = f"intake of {rows:,} rows to packed rows"
    return [Row(what, "encode_batch_fast alone", train_intake.TARGET, [ratio])]


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def speed(scale: Scale, device: str, rounds: int) -> list[Row]:
    """Against every contestant that is installed; and how full the rows are."""
    is_cuda = device == "cuda"
    names = [name for name in PEERS if name != "trl" or is_installed("trl")]
    rows = []
    with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        folder = Path(work)
        facts = make(folder, scale)
        contestants = Contestants(stack, names)
        for is_lora in (False, True):
            job = Job(folder, scale, is_lora, device, scale.micro_batch)
            if is_cuda:  # kernels are chosen and memory is taken once
                contestants.round(job, is_backward=False)
            what = f"{'LoRA' if is_lora else 'all weights'}, {scale.name}"
            rows += rows_for(what, measured(contestants, job, rounds), is_cuda=is_cuda)
    figures = {"rows": facts.rows, "documents": facts.documents, "tokens": facts.tokens}
    filled = Round(facts.fill, figures)
    return [*rows, Row("packing fill", "places in rows", FILL, [filled])]


def main(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 3,
    scale: Annotated[str | None, typer.Option(help=f"One of {', '.join(SCALES)}.")] = None,
    rows: Annotated[int | None, typer.Option(help="Of an epoch: a multiple of the batch.")] = None,
    micro_batch: Annotated[int | None, typer.Option(help="Rows of a forward pass.")] = None,
    intake_rows: Annotated[int, typer.Option(help="Of the row of intake; 0: left out.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure on this machine: on its GPU where it has one."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = SCALES[scale or ("0.5b" if device == "cuda" else "cpu")]
    chosen = chosen._replace(
        rows=rows or chosen.rows, micro_batch=micro_batch or chosen.micro_batch
    )
    found = speed(chosen, device, rounds)
    found += _apart(memory, device)
    if intake_rows:
        found += intake(intake_rows)
    if as_json:
        print(json.dumps([row.as_json() for row in found], indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(found))
    for row in found:
        for one in row.rounds:
            figures = ", ".join(f"{name} {value:,.4g}" for name, value in one.figures.items())
            if figures:
                console.print(f"{row.what}, {row.against}: {figures}")
    console.print(UNSLOTH)
    if not is_installed("trl"):
        console.print(NO_TRL)
    if device == "cpu":
        console.print(NO_GPU)


if __name__ == "__main__":
    typer.run(main)
