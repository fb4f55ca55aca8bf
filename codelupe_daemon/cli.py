"""The `codelupe` command: options in, one call of `app`, a table or JSON out.

What is slow to import is imported by the command that needs it, so that `--help` is quick.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from codelupe_daemon.command import Json, Servers, opens_a_store, print_json, run, wait_for
from codelupe_daemon.errors import UsageError

if TYPE_CHECKING:
    from codelupe_daemon.config import Settings

app = typer.Typer(
    help="CodeLupe: repositories in, judged and searchable code out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

KeepOrSkip = Literal["keep", "skip"]
MinQuality = Annotated[
    float | None, typer.Option(min=0, max=1, help="Only this score or better, 0 to 1.")
]


@app.command()
@opens_a_store
def ingest(
    servers: Servers,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE", help="Git URLs, local clones, folders, @FILE, elasticsearch:INDEX."
        ),
    ] = None,
    json: Json = False,
    due: Annotated[bool, typer.Option("--due", help="Also visit whatever is due.")] = False,
    later: Annotated[
        bool, typer.Option("--later", help="Only make them due: a daemon visits them.")
    ] = False,
    no_consumers: Annotated[
        bool, typer.Option("--no-consumers", help="Record only; derived stores catch up later.")
    ] = False,
    licenses: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help="Record only: permissive, any, or a list of SPDX ids."),
    ] = None,
) -> None:
    """Read sources and record what passes the rules."""
    from codelupe_daemon.app import ingest as ingesting
    from codelupe_daemon.observe import progress, report
    from codelupe_daemon.tally import Tally

    if not sources and (later or not due):
        raise UsageError("name at least one SOURCE, or give --due")
    settings, tally = _settings(servers, licenses=licenses), Tally()

    async def work() -> bool:
        async with progress.shown(tally):
            if later:
                return await ingesting.register(settings, sources or [], tally)
            return await ingesting.ingest(
                settings, sources or [], tally, due=due, consumers=not no_consumers
            )

    is_interrupted = wait_for(work())
    if json:
        print_json(tally.as_json())
    out = report.console(stderr=json)
    if later:
        report.registered(out, tally)
    else:
        report.ingested(out, tally, interrupted=is_interrupted)
    if is_interrupted:
        raise typer.Exit(130)
    if tally.failed:
        raise typer.Exit(1)


@app.command()
@opens_a_store
def daemon(
    servers: Servers,
    json: Json = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when nothing is due and all have caught up.")
    ] = False,
    no_consumers: Annotated[
        bool, typer.Option("--no-consumers", help="Only visit; other daemons run the consumers.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell only what is wrong.")] = False,
) -> None:
    """Visit whatever is due, until it is stopped; several daemons share the work."""
    from codelupe_daemon.app.daemon import daemon as run_daemon
    from codelupe_daemon.observe.events import Events

    settings, events = _settings(servers), Events(is_quiet=quiet)
    work = run_daemon(settings, events, consumers=not no_consumers, until_idle=until_idle)
    result = wait_for(work)
    if json:
        print_json(result)


@app.command()
@opens_a_store
def status(servers: Servers, json: Json = False) -> None:
    """What the store holds, and how far each consumer is."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    result = wait_for(look.status(_settings(servers)))
    print_json(result) if json else report.status(report.console(), result)


@app.command()
@opens_a_store
def search(
    servers: Servers,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help='Words, "phrases", language:, repo:, path:.')
    ],
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

    results, words = wait_for(
        find.search(_settings(servers), query, language, repo, path, min_quality, limit)
    )
    print_json(results) if json else report.found(report.console(), results, words)


@app.command()
@opens_a_store
def why(
    servers: Servers,
    targets: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE/PATH", help="Files, as listed or as typed for cat."),
    ],
    json: Json = False,
) -> None:
    """By which rule a listed file was kept or left out, and with which measurement."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    settings = _settings(servers)
    for target in targets:
        result = wait_for(look.why(settings, target))
        print_json(result) if json else report.verdict(report.console(), result)


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
        for verdict in judge.examine(_settings({}), paths):
            counted.count(verdict)
            print_json(verdict) if json else show(out, verdict)
            seen(counted.files)
    if has_folder or len(paths) > 1:
        report.examined(report.console(stderr=json), counted)
    if check and counted.reasons:
        raise typer.Exit(1)


@app.command()
@opens_a_store
def show(
    servers: Servers,
    id_: Annotated[str, typer.Argument(metavar="ID", help="A content hash or its beginning.")],
    json: Json = False,
) -> None:
    """Print a recorded text and where it stands."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    result = wait_for(look.show(_settings(servers), id_))
    if json:
        print_json(result)
    else:
        report.shown(report.console(), report.console(stderr=True), result)


@app.command()
@opens_a_store
def export(
    servers: Servers,
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

    settings = _settings(servers)
    if update:
        result = wait_for(keep.update_export(settings, output))
    else:
        quality = settings.min_quality if min_quality is None else min_quality
        options = Options(quality, *map(Choice, (duplicates, near_duplicates, contaminated)))
        result = wait_for(keep.export(settings, output, format_, options))
    if output is None:
        return
    if json:
        print_json(result)
    else:
        typer.echo(f"{result['rows']:,} rows in {result['path']}", err=True)


@app.command()
@opens_a_store
def replay(
    servers: Servers,
    consumer: Annotated[
        str, typer.Argument(metavar="CONSUMER", help="Which derived store: see `codelupe status`.")
    ],
    json: Json = False,
) -> None:
    """Make a derived store again from the journal."""
    from codelupe_daemon.app import keep
    from codelupe_daemon.observe import report

    result = wait_for(keep.replay(_settings(servers), consumer))
    print_json(result) if json else report.replayed(report.console(), result)


@app.command()
@opens_a_store
def migrate(
    servers: Servers,
    json: Json = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Drop the tables that an adoption has kept.")
    ] = False,
) -> None:
    """Make or upgrade the schema, and adopt a database of the first CodeLupe."""
    from codelupe_daemon.app import migrating
    from codelupe_daemon.observe import progress, report

    with progress.counting("rows", is_alone=True) as seen:
        result = wait_for(migrating.migrate(_settings(servers), seen, drop_old=drop_old))
    print_json(result) if json else report.migrated(report.console(), result)


@app.command()
def copy(
    from_: Annotated[
        str | None, typer.Option("--from", metavar="STORE", help="Without it, the usual store.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="STORE", help="Without it, the usual store.")
    ] = None,
    json: Json = False,
) -> None:
    """Copy a whole store into a new one of any kind; run again, it goes on where it stopped."""
    from codelupe_daemon.app import copying
    from codelupe_daemon.observe import progress, report

    if from_ is None and to is None:
        raise UsageError("name the other store with --from or --to")
    with progress.counting("rows", is_alone=True) as seen:
        rows = 0

        def copied(_: str, more: int) -> None:
            nonlocal rows
            rows += more
            seen(rows)

        work = copying.copy(_settings({"store": from_}), _settings({"store": to}), copied)
        result = wait_for(work)
    print_json(result) if json else report.copied(report.console(), result)


@app.command("dead-letters")
@opens_a_store
def dead_letters(
    servers: Servers,
    consumer: Annotated[
        str | None, typer.Argument(metavar="CONSUMER", help="Only those of this derived store.")
    ] = None,
    json: Json = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try to take them again.")] = False,
) -> None:
    """Journal rows that a derived store could not take, and why."""
    from codelupe_daemon.app import letters
    from codelupe_daemon.observe import report

    left = wait_for(letters.dead_letters(_settings(servers), consumer, retry=retry))
    print_json(left) if json else report.letters(report.console(), left)
    if retry and left:
        raise typer.Exit(1)


@app.command()
@opens_a_store
def forget(
    servers: Servers,
    target: Annotated[
        str | None, typer.Argument(metavar="REPO[/PATH]", help="A repository, a file, a pattern.")
    ] = None,
    content: Annotated[
        str | None, typer.Option(metavar="ID", help="The text with this hash, wherever it stands.")
    ] = None,
    json: Json = False,
) -> None:
    """Take down a repository, paths or a text, for good."""
    from codelupe_daemon.app import keep
    from codelupe_daemon.observe import report

    if (target is None) == (content is None):
        raise UsageError("give either REPO[/PATH] or --content ID")
    result = wait_for(keep.forget(_settings(servers), target, content))
    print_json(result) if json else report.forgotten(report.console(), result)


@app.command()
@opens_a_store
def reexamine(servers: Servers, json: Json = False) -> None:
    """Judge again what an older examiner or other settings judged."""
    from codelupe_daemon.app.ingest import reexamine as run_reexamine
    from codelupe_daemon.observe import progress, report
    from codelupe_daemon.tally import Tally

    settings, tally = _settings(servers), Tally()

    async def work() -> dict[str, int]:
        async with progress.shown(tally):
            return await run_reexamine(settings, tally)

    result = wait_for(work())
    if json:
        print_json(result)
    report.reexamined(report.console(stderr=json), result, tally)
    if tally.failed:
        raise typer.Exit(1)


@app.command()
@opens_a_store
def verify(
    servers: Servers,
    json: Json = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare what every derived store holds.")
    ] = False,
) -> None:
    """Check the store: hashes, places, occurrences, watermarks."""
    from codelupe_daemon.app import look
    from codelupe_daemon.observe import report

    result = wait_for(look.verify(_settings(servers), deep=deep))
    print_json(result) if json else report.verified(report.console(), result)
    if not result["ok"]:
        raise typer.Exit(1)


def main() -> None:
    """The entry point."""
    run(app, "codelupe")


def _settings(servers: Servers, **options: Any) -> Settings:
    from codelupe_daemon import config

    return config.load(**servers, **options)
