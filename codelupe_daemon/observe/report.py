"""Results for people, as plain columns; scripts get JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from codelupe_daemon.tally import Tally

# Code of strangers must not steer the terminal: control characters are shown as pictures.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
_PICTURES |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}


def console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _columns(out: Console, pairs: Sequence[tuple[str, object]], *, justify: str = ">") -> None:
    """Names and values below each other, however narrow the terminal is."""
    shown = [(name, f"{it:,}" if isinstance(it, int) else str(it)) for name, it in pairs]
    first, second = (max(map(len, column), default=0) for column in zip(*shown, strict=True))
    for name, text in shown:
        out.print(f"{name:<{first}}  {text:{justify}{second}}".rstrip())


def ingested(out: Console, tally: Tally, *, interrupted: bool) -> None:
    """The summary that `codelupe ingest` ends with."""
    summary = tally.as_json()
    files = summary["files"]
    reasons = [(f"left out: {reason}", count) for reason, count in summary["reasons"].items()]
    out.print("files")
    _columns(out, [("listed", files["listed"]), ("accepted", files["accepted"]), *reasons])
    out.print(_news(summary))
    _failed(out, tally)
    if interrupted:
        out.print("interrupted: what was read is recorded; run the same command again to go on")


def _failed(out: Console, tally: Tally) -> None:
    for source, reason in tally.failed:
        out.print(Text(f"failed: {source}: {reason}", style="red"))


def _news(summary: Mapping[str, Any]) -> str:
    files, seconds = summary["files"], summary["seconds"]
    journal = {op: rows for op, rows in summary["journal"].items() if op != "add"}
    news = f"{files['new']:,} new texts" if files["new"] else "nothing new"
    others = ", ".join(f"{rows:,} {op}" for op, rows in journal.items())
    rate = files["listed"] / max(seconds, 0.001)
    parts = [news, others, f"{files['unchanged']:,} files unchanged" if files["unchanged"] else ""]
    return f"{'; '.join(p for p in parts if p)} ({seconds:.1f} s, {rate:,.0f} files/s)"


def status(out: Console, status: Mapping[str, Any]) -> None:
    groups = ("repositories", "files", "reasons")
    counts = [(f"{group}: {name}", n) for group in groups for name, n in status[group].items()]
    lags = [(f"consumer: {name}", _lag(it)) for name, it in status["consumers"].items()]
    last = ("journal: last id", status["journal"]["last_id"])
    _columns(out, [("store", status["store"]), *counts, last, *lags])


def _lag(consumer: Mapping[str, int]) -> str:
    letters = consumer["dead_letters"]
    lost = f", {letters:,} rows not taken" if letters else ""
    return f"at {consumer['watermark']:,}, {consumer['lag']:,} behind{lost}"


def found(out: Console, results: Mapping[str, Any], words: Sequence[str]) -> None:
    """Search results, a heading and the matching lines of each."""
    for hit in results["hits"]:
        heading = Text(f"{hit['repo']}/{hit['path']}", style="bold")
        facts = f"  {hit['language']}, quality {hit['quality']:.2f}, {hit['id'][:12]}"
        out.print(heading.append(facts, style="dim"))
        for line in hit["lines"]:
            text = Text(f"{line['line']:>6}  {line['text'].translate(_PICTURES)}")
            text.highlight_words(words, style="bold yellow", case_sensitive=False)
            out.print(text)
    least = "" if results["total_is_exact"] else "at least "
    out.print(f"{len(results['hits'])} of {least}{results['total']:,} texts")


def verdict(out: Console, verdict: Mapping[str, Any]) -> None:
    """Why a file was kept or not."""
    place = f"{verdict['repo']}/{verdict['path']}"
    ending, style = ("kept", "green") if verdict["kept"] else (
        f"left out: {verdict['reason']}", "yellow"
    )  # fmt: skip
    out.print(Text(f"{place}: {ending}", style=style))
    facts = [(name, verdict[name]) for name in ("language", "license", "quality", "id")]
    if verdict["measured"] is not None:
        facts.insert(0, ("measured", f"{verdict['measured']:.12g}"))
    signals = [(f"signal: {name}", value) for name, value in verdict["signals"].items()]
    _columns(out, [fact for fact in facts + signals if fact[1] is not None], justify="<")
    if not verdict["kept"]:
        out.print("docs/reasons.md explains each reason and how to change it")


def shown(out: Console, about: Console, content: Mapping[str, Any]) -> None:
    """A recorded text, to the letter where no person reads it; `about` it, where it stands."""
    for place in content["places"]:
        about.print(Text(f"{place['repo']}/{place['path']}", style="bold"))
    about.print(Text(f"{content['language']}, quality {content['quality']:.3f}", style="dim"))
    if not out.is_terminal:
        out.file.write(content["content"])
        return
    from rich.syntax import Syntax

    text = content["content"].translate(_PICTURES)
    lexer = Syntax.guess_lexer(content["path"], text)
    out.print(Syntax(text, lexer, background_color="default", word_wrap=True))


def replayed(out: Console, result: Mapping[str, Any]) -> None:
    out.print(f"{result['consumer']}: made again, at {result['watermark']:,}")


def forgotten(out: Console, result: Mapping[str, Any]) -> None:
    """What a takedown did, and what is left to do by hand."""
    if result["files"]:
        out.print(Text(f"{result['target']}: taken down for good"))
        _columns(out, [(name, result[name]) for name in ("files", "removed", "moved")])
    else:
        out.print(Text(f"no file of {result['target']} was kept: from now on none will be"))
    for path in result["exports"]:
        out.print(Text(f"still in the export {path}", style="yellow"))
    for command in result["next"]:
        out.print(Text(f"run: {command}"))


def reexamined(out: Console, result: Mapping[str, int], tally: Tally) -> None:
    """What was judged again, and what waits for its next visit."""
    if any(result.values()):
        _columns(out, list(result.items()))
    else:
        out.print("nothing to do: everything was judged by these rules and settings")
    if result["repositories due"]:
        out.print("codelupe ingest --due reads those that are due")
    _failed(out, tally)


def verified(out: Console, result: Mapping[str, Any]) -> None:
    if result["checked"]:
        _columns(out, list(result["checked"].items()))
    for problem in result["problems"]:
        out.print(Text(f"problem: {problem}", style="red"))
    count = len(result["problems"])
    out.print("ok" if result["ok"] else f"{count} problem{'s' if count > 1 else ''}")
