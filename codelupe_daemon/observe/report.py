"""Results for people, as plain columns; scripts get JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from rich.console import Console
from rich.text import Text

from codelupe_daemon.observe import explain
from codelupe_daemon.tally import Tally

# Code of strangers must not steer the terminal: control characters are shown as pictures.
PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
PICTURES |= {0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}

NAMES_MAX = 12
"""So many definitions are named; `--json` has all."""


class Counted:
    """Verdicts, counted as they go by."""

    def __init__(self) -> None:
        self.kept = 0
        self.reasons: Counter[str] = Counter()
        self._qualities = [0] * 1001

    def count(self, verdict: Mapping[str, Any]) -> None:
        if verdict["kept"]:
            self.kept += 1
            self._qualities[round(1000 * verdict["quality"])] += 1
        else:
            self.reasons[verdict["reason"]] += 1

    @property
    def files(self) -> int:
        return self.kept + self.reasons.total()

    @property
    def median_quality(self) -> float:
        passed = accumulate(self._qualities)
        return next(i for i, count in enumerate(passed) if 2 * count >= self.kept) / 1000


def console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _columns(out: Console, pairs: Sequence[tuple[str, object]]) -> None:
    """Names and values below each other, however narrow the terminal is; words to the left."""
    first = max(len(name) for name, _ in pairs)
    second = max((len(f"{it:,}") for _, it in pairs if isinstance(it, int)), default=0)
    for name, it in pairs:
        shown = f"{it:>{second},}" if isinstance(it, int) else f"{it}"
        out.print(f"{name:<{first}}  {shown}".rstrip())


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


def migrated(out: Console, result: Mapping[str, Any]) -> None:
    """What `codelupe migrate` made of the schema, and of the tables that were there."""
    before, after = result["before"], result["after"]
    out.print(f"schema {after}" + ("" if before == after else f", was {before or 'none'}"))
    if result["adopted"]:
        counts = [(name.replace("_", " "), it) for name, it in result["adopted"].items()]
        _columns(out, [(name, it) for name, it in counts if type(it) is int and it])
        if result["adopted"]["is_scaled"]:
            out.print("scores went from 0 to 1: they are 0 to 100 now")
        kept = ", ".join(result["adopted"]["tables"])
        out.print(f"kept: {kept}, whose texts `forget` does not reach; --drop-old drops them")
    if result["dropped"]:
        out.print(f"dropped: {', '.join(result['dropped'])}")


def copied(out: Console, result: Mapping[str, Any]) -> None:
    """What `codelupe copy` brought into the other store."""
    _columns(out, [("from", result["from"]), ("to", result["to"]), *result["rows"].items()])


def registered(out: Console, tally: Tally) -> None:
    """The same for sources that are only made known."""
    due = tally.sources - len(tally.failed)
    out.print(f"{due:,} sources are due: `codelupe daemon` visits them")
    _failed(out, tally)


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
    served = [(name, status[name]) for name in ("store", "frontier", "search")]
    _columns(out, [*served, *counts, last, *lags])


def _lag(consumer: Mapping[str, Any]) -> str:
    if consumer["watermark"] is None:
        return str(consumer["state"])
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
            text = Text(f"{line['line']:>6}  {line['text'].translate(PICTURES)}")
            text.highlight_words(words, style="bold yellow", case_sensitive=False)
            out.print(text)
    least = "" if results["total_is_exact"] else "at least "
    engine = "" if results["engine"] == "embedded index" else f" ({results['engine']})"
    out.print(f"{len(results['hits'])} of {least}{results['total']:,} texts{engine}")


def verdict(out: Console, verdict: Mapping[str, Any]) -> None:
    """Why a file was kept or not, with everything that is known of it."""
    out.print(_ending(verdict))
    pairs = [*_reason(verdict), ("language", verdict["language"]), ("license", _license(verdict))]
    if verdict["kept"]:
        pairs += [("quality", f"{verdict['quality']:.3f}"), *_signals(verdict["signals"])]
        pairs += [("near-duplicate", _winner(verdict)), ("id", verdict["id"])]
    _columns(out, [pair for pair in pairs if pair[1]])
    if not verdict["kept"]:
        out.print("docs/examine.md explains each reason and how to change it")


def verdict_line(out: Console, verdict: Mapping[str, Any]) -> None:
    """The same in one line, for one of many files."""
    out.print(_ending(verdict))


def _ending(verdict: Mapping[str, Any]) -> Text:
    place = f"{verdict['repo']}/{verdict['path']}"
    if not verdict["kept"]:
        return Text(f"{place}: left out: {verdict['reason']}", style="yellow")
    return Text(f"{place}: kept", style="green").append(
        f"  {verdict['quality']:.2f} {verdict['language']}", style="dim"
    )


def _reason(verdict: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was measured, the limits that it is held against, and what can be done."""
    reason, measured = verdict["reason"], verdict["measured"]
    if reason is None:
        return
    if measured is not None:
        yield "measured", f"{measured:.12g} {explain.measured(reason)}".rstrip()
    for name, value in verdict["limits"].items():
        shown = ", ".join(value) if isinstance(value, list) else value
        yield "setting", f"{name} = {shown}" if shown != "" else f"{name} is not set"
    yield "to change", explain.change(reason, verdict["path"])


def _license(verdict: Mapping[str, Any]) -> str:
    sources = {"header": "its own header", "folder": "of its folder"}
    if verdict["license"] is None:
        return ""
    return f"{verdict['license']}, {sources[verdict['license_from']]}"


def _signals(signals: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, meaning in explain.SIGNALS.items():
        if name in signals:
            yield f"  {name}", f"{signals[name]:<5.3g}  {meaning}"
    counts = [f"{count:,} {name}" for name, count in signals.items() if _is_count(name, count)]
    yield "counted", ", ".join(counts)
    names = signals.get("names", [])
    more = f" and {len(names) - NAMES_MAX:,} more" if len(names) > NAMES_MAX else ""
    yield "defines", ", ".join(names[:NAMES_MAX]) + more
    yield "redacted", ", ".join(f"{n:,} {kind}" for kind, n in signals.get("redacted", {}).items())
    if "copyright_bytes" in signals:
        yield "copyright", f"{signals['copyright_bytes']:,} bytes of comment at the top"
    if "benchmark" in signals:
        yield "benchmark", f"{signals['benchmark']}: left out of training and exports"


def _is_count(name: str, value: object) -> bool:
    return isinstance(value, int) and name not in {*explain.SIGNALS, "copyright_bytes"}


def _winner(verdict: Mapping[str, Any]) -> str:
    winner = verdict["winner"]
    if winner is None:
        return ""
    if winner["id"] == verdict["id"]:
        return "has nearly the same text elsewhere, and won over it"
    return f"of {winner['repo']}/{winner['path']} ({winner['id'][:12]}), which won"


def examined(out: Console, verdicts: Counted) -> None:
    """The summary that `codelupe examine` of many files ends with."""
    reasons = [(f"left out: {reason}", count) for reason, count in verdicts.reasons.most_common()]
    _columns(out, [("files", verdicts.files), ("kept", verdicts.kept), *reasons])
    if verdicts.kept:
        out.print(f"median quality {verdicts.median_quality:.2f}")


def shown(out: Console, about: Console, content: Mapping[str, Any]) -> None:
    """A recorded text, to the letter where no person reads it; `about` it, where it stands."""
    for place in content["places"]:
        about.print(Text(f"{place['repo']}/{place['path']}", style="bold"))
    about.print(Text(f"{content['language']}, quality {content['quality']:.3f}", style="dim"))
    if not out.is_terminal:
        out.file.write(content["content"])
        return
    from rich.syntax import Syntax

    text = content["content"].translate(PICTURES)
    lexer = Syntax.guess_lexer(content["path"], text)
    out.print(Syntax(text, lexer, background_color="default", word_wrap=True))


def replayed(out: Console, result: Mapping[str, Any]) -> None:
    out.print(f"{result['consumer']}: made again, at {result['watermark']:,}")


def letters(out: Console, left: Sequence[Mapping[str, Any]]) -> None:
    """Rows that consumers could not take, one a line."""
    for one in left:
        place = f"{one['repo']}/{one['path']}"
        out.print(Text(f"{one['consumer']}: row {one['row']}, {place}: {one['reason']}"))
    out.print(f"{len(left):,} dead letters" if left else "no dead letters")


def forgotten(out: Console, result: Mapping[str, Any]) -> None:
    """What a takedown did, and what is left to do by hand."""
    if result["files"]:
        out.print(Text(f"{result['target']}: taken down for good"))
        _columns(out, [(name, result[name]) for name in ("files", "removed", "moved")])
    else:
        out.print(Text(f"no file of {result['target']} was kept: from now on none will be"))
    for path in result["exports"]:
        out.print(Text(f"still in the export {path}", style="yellow"))
    for version in result["versions"]:
        active = ", which is active" if version["is_active"] else ""
        named = f"{version['profile']}/{version['version']}{active} ({version['path']})"
        out.print(Text(f"the model was trained on it: {named}", style="yellow"))
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
