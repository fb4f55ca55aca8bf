"""The `codelupe` command: options in, one call of `app`, a table or JSON out.

What is slow to import is imported by the command that needs it, so that `--help` is quick.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from codelupe_daemon.errors import CodeLupeError, Rejected, UsageError

if TYPE_CHECKING:
    from codelupe_daemon.config import Settings

T = TypeVar("T")
M_ARENA_MAX = -8  # malloc.h

app = typer.Typer(
    help="CodeLupe: repositories in, judged and searchable code out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Store = Annotated[
    str | None, typer.Option("--store", metavar="FILE", help="The store: a path or sqlite:///FILE.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; text for people goes to stderr.")]
KeepOrSkip = Literal["keep", "skip"]
MinQuality = Annotated[
    float | None, typer.Option(min=0, max=1, help="Only this score or better, 0 to 1.")
]


@app.command()
def ingest(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Git URLs, local clones, folders, @FILE."),
    ] = None,
    store: Store = None,
    json: Json = False,
    due: Annotated[bool, typer.Option("--due", help="Also visit whatever is due.")] = False,
    no_consumers: Annotated[
        bool, typer.Option("--no-consumers", help="Record only; derived stores catch up later.")
    ] = False,
    licenses: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help="Record only: permissive, any, or a list of SPDX ids."),
    ] = None,
) -> None:
    """Read sources and record what passes the rules."""
    from codelupe_daemon.app.ingest import ingest as run_ingest
    from codelupe_daemon.observe import progress, report
    from codelupe_daemon.tally import Tally

    if not sources and not due:
        raise UsageError("name at least one SOURCE, or give --due")
    settings, tally = _settings(store, licenses=licenses), Tally()

    async def work() -> bool:
        async with progress.shown(tally):
            return await run_ingest(
                settings, sources or [], tally, due=due, consumers=not no_consumers
            )

    is_interrupted = _wait_for(work())
    if json:
        _print_json(tally.as_json())
    report.ingested(report.console(stderr=json), tally, interrupted=is_interrupted)
    if is_interrupted:
        raise typer.Exit(130)
    if tally.failed:
        raise typer.Exit(1)


@app.command()
def status(store: Store = None, json: Json = False) -> None:
    """What the store holds, and how far each consumer is."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    result = _wait_for(look.status(_settings(store)))
    _print_json(result) if json else report.status(report.console(), result)


@app.command()
def search(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help='Words, "phrases", language:, repo:, path:.')
    ],
    store: Store = None,
    json: Json = False,
    language: Annotated[str | None, typer.Option(help="Only this language.")] = None,
    repo: Annotated[str | None, typer.Option(help="Only this repository.")] = None,
    path: Annotated[str | None, typer.Option(help="Only paths that match this pattern.")] = None,
    min_quality: MinQuality = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many texts.")] = 10,
) -> None:
    """Find recorded texts by the words in them."""
    from codelupe_daemon.app import find
    from codelupe_daemon.observe import report

    results, words = _wait_for(
        find.search(_settings(store), query, language, repo, path, min_quality, limit)
    )
    _print_json(results) if json else report.found(report.console(), results, words)


@app.command()
def why(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE/PATH", help="Files, as listed or as typed for cat."),
    ],
    store: Store = None,
    json: Json = False,
) -> None:
    """By which rule a listed file was kept or left out, and with which measurement."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    settings = _settings(store)
    for target in targets:
        result = _wait_for(look.why(settings, target))
        _print_json(result) if json else report.verdict(report.console(), result)


@app.command()
def examine(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files and folders; no store is needed.")
    ],
    json: Json = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 1 where a file is not kept.")
    ] = False,
) -> None:
    """Judge files as they lie on disk, without a store."""
    from codelupe_daemon.app import judge
    from codelupe_daemon.observe import progress, report

    counted, out = report.Counted(), report.console()
    has_folder = any(map(os.path.isdir, paths))
    show = report.verdict_line if has_folder else report.verdict
    with progress.counting("files") as seen:
        for verdict in judge.examine(_settings(None), paths):
            counted.count(verdict)
            _print_json(verdict) if json else show(out, verdict)
            seen(counted.files)
    if has_folder or len(paths) > 1:
        report.examined(report.console(stderr=json), counted)
    if check and counted.reasons:
        raise typer.Exit(1)


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A content hash or its beginning.")],
    store: Store = None,
    json: Json = False,
) -> None:
    """Print a recorded text and where it stands."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    result = _wait_for(look.show(_settings(store), id_))
    if json:
        _print_json(result)
    else:
        report.shown(report.console(), report.console(stderr=True), result)


@app.command()
def export(
    store: Store = None,
    json: Json = False,
    format_: Annotated[
        Literal["jsonl", "parquet"], typer.Option("--format", help="How rows are written.")
    ] = "jsonl",
    output: Annotated[
        Path | None, typer.Option(help="Where to; without it JSON lines go to standard output.")
    ] = None,
    min_quality: MinQuality = None,
    duplicates: Annotated[
        KeepOrSkip, typer.Option(help="keep: a row for each place; skip: only the best place.")
    ] = "skip",
    near_duplicates: Annotated[
        KeepOrSkip, typer.Option(help="Texts that are nearly the same as a better one.")
    ] = "skip",
    contaminated: Annotated[
        KeepOrSkip, typer.Option(help="Texts that hold a piece of a public benchmark.")
    ] = "skip",
    update: Annotated[
        bool, typer.Option("--update", help="Bring the export at --output up to date.")
    ] = False,
) -> None:
    """Write recorded texts to a file that datasets and pandas open."""
    from codelupe_daemon.app import keep
    from codelupe_daemon.consume.export import Choice, Options

    settings = _settings(store)
    if update:
        result = _wait_for(keep.update_export(settings, output))
    else:
        quality = settings.min_quality if min_quality is None else min_quality
        options = Options(quality, *map(Choice, (duplicates, near_duplicates, contaminated)))
        result = _wait_for(keep.export(settings, output, format_, options))
    if output is None:
        return
    if json:
        _print_json(result)
    else:
        typer.echo(f"{result['rows']:,} rows in {result['path']}", err=True)


@app.command()
def replay(
    consumer: Annotated[
        str, typer.Argument(metavar="CONSUMER", help="Which derived store: search.")
    ],
    store: Store = None,
    json: Json = False,
) -> None:
    """Make a derived store again from the journal."""
    from codelupe_daemon.app import keep
    from codelupe_daemon.observe import report

    result = _wait_for(keep.replay(_settings(store), consumer))
    _print_json(result) if json else report.replayed(report.console(), result)


@app.command()
def forget(
    target: Annotated[
        str | None, typer.Argument(metavar="REPO[/PATH]", help="A repository, a file, a pattern.")
    ] = None,
    content: Annotated[
        str | None, typer.Option(metavar="ID", help="The text with this hash, wherever it stands.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Take down a repository, paths or a text, for good."""
    from codelupe_daemon.app import keep
    from codelupe_daemon.observe import report

    if (target is None) == (content is None):
        raise UsageError("give either REPO[/PATH] or --content ID")
    result = _wait_for(keep.forget(_settings(store), target, content))
    _print_json(result) if json else report.forgotten(report.console(), result)


@app.command()
def reexamine(store: Store = None, json: Json = False) -> None:
    """Judge again what an older examiner or other settings judged."""
    from codelupe_daemon.app.ingest import reexamine as run_reexamine
    from codelupe_daemon.observe import progress, report
    from codelupe_daemon.tally import Tally

    settings, tally = _settings(store), Tally()

    async def work() -> dict[str, int]:
        async with progress.shown(tally):
            return await run_reexamine(settings, tally)

    result = _wait_for(work())
    if json:
        _print_json(result)
    report.reexamined(report.console(stderr=json), result, tally)
    if tally.failed:
        raise typer.Exit(1)


@app.command()
def verify(store: Store = None, json: Json = False) -> None:
    """Check the store: hashes, places, occurrences, watermarks."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    result = _wait_for(look.verify(_settings(store)))
    _print_json(result) if json else report.verified(report.console(), result)
    if not result["ok"]:
        raise typer.Exit(1)


def main() -> None:
    """The entry point. The process leaves at once: a thread that hangs must not hold it."""
    code = 1
    _open_missing_streams()
    _tune_memory()
    try:
        app()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        os._exit(1)
    except CodeLupeError as error:
        typer.echo(f"codelupe: {_message(error)}", err=True)
        code = 2 if isinstance(error, UsageError) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _open_missing_streams() -> None:
    """Where the caller closed 0, 1 or 2, the next file would be opened as that and written to."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _tune_memory() -> None:
    """For a program of many short-lived rows, made on several threads."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # cycles are few: looking for them took a tenth of a run
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)  # an arena for each thread kept 40 MB that nobody used


def _message(error: CodeLupeError) -> str:
    return error.reason if isinstance(error, Rejected) else str(error)


def _settings(store: str | None, **options: Any) -> Settings:
    from codelupe_daemon import config

    return config.load(store=store, **options)


def _wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; of errors that came together, the first of ours is the one to tell."""
    import uvloop

    try:
        return uvloop.run(work)
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, CodeLupeError)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


def _print_json(value: Any) -> None:
    import orjson

    typer.echo(orjson.dumps(value).decode())
