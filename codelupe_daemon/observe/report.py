"""Results for people, in tables; scripts get JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codelupe_daemon.tally import Tally


def console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def ingested(out: Console, tally: Tally, *, interrupted: bool) -> None:
    """The summary that `codelupe ingest` ends with."""
    summary = tally.as_json()
    files = summary["files"]
    table = Table("files", "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    table.add_row("listed", f"{files['listed']:,}")
    table.add_row("accepted", f"{files['accepted']:,}", style="green")
    for reason, count in summary["reasons"].items():
        table.add_row(f"left out: {reason}", f"{count:,}")
    out.print(table)
    out.print(_news(summary))
    for source, reason in tally.failed:
        out.print(Text(f"failed: {source}: {reason}", style="red"))
    if interrupted:
        out.print("interrupted: what was read is recorded; run the same command again to go on")


def _news(summary: Mapping[str, Any]) -> str:
    files, seconds = summary["files"], summary["seconds"]
    journal = {op: rows for op, rows in summary["journal"].items() if op != "add"}
    news = f"{files['new']:,} new texts" if files["new"] else "nothing new"
    others = ", ".join(f"{rows:,} {op}" for op, rows in journal.items())
    rate = files["listed"] / max(seconds, 0.001)
    parts = [news, others, f"{files['unchanged']:,} files unchanged" if files["unchanged"] else ""]
    return f"{'; '.join(p for p in parts if p)} ({seconds:.1f} s, {rate:,.0f} files/s)"


def status(out: Console, status: Mapping[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("store", str(status["store"]))
    for group in ("repositories", "files", "reasons"):
        for name, count in status[group].items():
            table.add_row(f"{group}: {name}", f"{count:,}")
    table.add_row("journal: last id", f"{status['journal']['last_id']:,}")
    for name, consumer in status["consumers"].items():
        lag = consumer["lag"]
        table.add_row(f"consumer: {name}", f"at {consumer['watermark']:,}, {lag:,} behind")
    out.print(table)


def found(out: Console, results: Mapping[str, Any], words: Sequence[str]) -> None:
    """Search results, a heading and the matching lines of each."""
    for hit in results["hits"]:
        heading = Text(f"{hit['repo']}/{hit['path']}", style="bold")
        heading.append(
            f"  {hit['language']}, quality {hit['quality']:.2f}, {hit['id'][:12]}", style="dim"
        )
        out.print(heading)
        for line in hit["lines"]:
            text = Text(f"{line['line']:>6}  {line['text']}")
            text.highlight_words(words, style="bold yellow", case_sensitive=False)
            out.print(text)
    out.print(f"{len(results['hits'])} of {results['total']:,} texts")


def verdict(out: Console, verdict: Mapping[str, Any]) -> None:
    """Why a file was kept or not."""
    place = f"{verdict['repo']}/{verdict['path']}" if verdict["repo"] else verdict["path"]
    if verdict["kept"]:
        out.print(Text(f"{place}: kept", style="green"))
    else:
        out.print(Text(f"{place}: left out: {verdict['reason']}", style="yellow"))
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("measured", "language", "license", "quality", "id"):
        if verdict[name] is not None:
            table.add_row(name, str(verdict[name]))
    for name, value in verdict["signals"].items():
        table.add_row(f"signal: {name}", str(value))
    out.print(table)
    if not verdict["kept"]:
        out.print("docs/reasons.md explains each reason and how to change it")


def shown(out: Console, content: Mapping[str, Any]) -> None:
    """A recorded text with where it stands."""
    from rich.syntax import Syntax

    for place in content["places"]:
        out.print(Text(f"{place['repo']}/{place['path']}", style="bold"))
    out.print(Text(f"{content['language']}, quality {content['quality']:.3f}", style="dim"))
    lexer = Syntax.guess_lexer(content["path"], content["content"])
    out.print(Syntax(content["content"], lexer, background_color="default"))


def pairs(out: Console, values: Mapping[str, Any]) -> None:
    """Names and numbers, one a line."""
    for name, value in values.items():
        out.print(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")
