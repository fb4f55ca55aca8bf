"""Results for people, on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codelupe_daemon.observe.report import PICTURES

GIB = 1 << 30
VERSION_COLUMNS = ("version", "active", "loss before", "loss", "samples", "published")
COUNTED_TIMES = 10
"""More waiting rows than so many rounds' worth are not counted."""
LEARNED, CONTROL = "green", "magenta"
LEARNED_PLAIN = "«{}»"
"""Where there are no colours."""


def once(told: Mapping[str, Any]) -> None:
    out, session, version = _console(), told.get("session"), told.get("version")
    if session is None:
        why = "no new rows pass; `codelupe-trainer plan` says why"
        out.print(
            "stopped before it began" if told["is_stopped"] else f"nothing to train on: {why}"
        )
        return
    _pairs({
        "round": session["name"],
        "state": session["status"],
        "because": session["reason"],
        "rows": f"{session['from_id']} to {session['to_id']}",
        "samples": session["samples"],
    })  # fmt: skip
    if version is None:
        return
    is_active = "yes" if version["is_active"] else "no"
    _pairs({"version": version["version"], "active": is_active, "in": version["path"]})
    _losses(version["evaluation_results"])


def status(told: Mapping[str, Any]) -> None:
    more = " or more" if told["pending"] == COUNTED_TIMES * told["needed"] else ""
    _pairs({
        "profile": told["profile"],
        "state": told["state"],
        "round": told["session"],
        "watermark": f"{told['watermark']:,} of {told['head']:,}",
        "new rows that pass": f"{told['pending']:,}{more} (a round begins at {told['needed']:,})",
        "rounds": told["runs"],
        "samples trained on": f"{told['samples_trained']:,}",
        "last round ended": _when(told["last_run"]),
        "active version": told["active_version"],
    })  # fmt: skip


def migrate(told: Mapping[str, Any]) -> None:
    _pairs({"rounds": f"{told['sessions']:,}"})


def versions(told: Sequence[Mapping[str, Any]]) -> None:
    out = _console()
    if not told:
        out.print("no version was published yet: `codelupe-trainer once` trains one now")
        return
    table = Table(*VERSION_COLUMNS, box=None)
    for one in told:
        results, metrics = one["evaluation_results"], one["performance_metrics"]
        measured = "holdout loss" if "holdout loss" in results else "validation loss"
        table.add_row(
            one["version"], "yes" if one["is_active"] else "",
            _loss(results.get(f"{measured} before")), _loss(results.get(measured)),
            f"{metrics.get('samples', 0):,}",
            _when(one["created_at"]),
        )  # fmt: skip
    out.print(table)


def plan(told: Mapping[str, Any]) -> None:
    out, rows, memory = _console(), told["rows"], told["memory"]
    _pairs({
        "profile": told["profile"],
        "device": told["device"],
        "rows": f"{rows['from']:,} to {rows['to']:,} of {rows['head']:,}",
        **{f"to {side}": f"{count:,}" for side, count in told["taken"].items()},
        **{f"not taken: {reason}": f"{count:,}" for reason, count in told["not_taken"].items()},
        "micro-batch": f"{memory['micro_batch']} x {memory['accumulation']} accumulated",
    })  # fmt: skip
    sizes = {
        **memory["items"], "all of it": memory["total_bytes"], "there is": memory["card_bytes"],
    }  # fmt: skip
    unit, unit_bytes = ("GiB", 1 << 30) if memory["total_bytes"] > GIB else ("MiB", 1 << 20)
    _pairs({name: f"{amount / unit_bytes:9,.2f} {unit}" for name, amount in sizes.items()})
    if not memory["fits"]:
        out.print("it does not fit: lower model.max_length or lora.rank, or set model.use_4bit")
    for name, sizes in told.get("measured", {}).items():
        planned, measured = sizes["planned"] / GIB, sizes["measured"] / GIB
        out.print(f"{name}: planned {planned:.3f} GiB, measured {measured:.3f} GiB")


def samples(told: Sequence[Mapping[str, Any]]) -> None:
    """Green, or between « and », is what the model learns to write."""
    out = _console()
    if not told:
        out.print("nothing to see: no new rows pass; `codelupe-trainer plan` says why")
    for one in told:
        where = f"{one['repo']}/{one['path']}".translate(PICTURES)
        out.print(Text(f"── {one['format']}, {one['tokens']} tokens, {where}", "bold"))
        for part in one["parts"]:
            style = LEARNED if part["supervised"] else CONTROL if part["control"] else ""
            text = part["text"].translate(PICTURES)
            is_marked = part["supervised"] and (out.no_color or not out.color_system)
            out.print(Text(LEARNED_PLAIN.format(text) if is_marked else text, style), end="")
        out.print()


def _losses(results: Mapping[str, float]) -> None:
    for name in sorted(results):
        if not name.endswith(" before"):
            print(f"{name:22}{_loss(results.get(f'{name} before'))} -> {_loss(results[name])}")


def _pairs(values: Mapping[str, Any]) -> None:
    width = max(20, *map(len, values)) + 2
    for name, value in values.items():
        if value is not None:
            print(f"{name:{width}}{value}")


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _when(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
