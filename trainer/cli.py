"""The `codelupe-trainer` command: options in, one call of `app`, a table or JSON out."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codelupe_daemon.command import Json, print_json, takes, wait_for
from codelupe_daemon.command import run as run_command

if TYPE_CHECKING:
    from codelupe_daemon.config import Settings

app = typer.Typer(
    help="CodeLupe's trainer: from what was recorded to a code model of your own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Given = dict[str, str | None]
"""What of the options below was given."""
opens = takes(
    {
        "store": typer.Option(metavar="STORE", help="A path or postgresql://HOST/DATABASE."),
        "elasticsearch": typer.Option(metavar="URL", help="For --source elasticsearch."),
        "source": typer.Option(
            metavar="SOURCE", help="journal, elasticsearch, processed_files, or a JSONL file."
        ),
        "profile": typer.Option(metavar="NAME", help="One that comes along, or a path."),
        "models_dir": typer.Option(metavar="FOLDER", help="Where versions are published."),
        "device": typer.Option(metavar="KIND", help="auto, cuda, mps or cpu."),
    },
    "given",
)
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change the profile; repeatable."),
]


@app.command()
@opens
def run(
    given: Given,
    set_: Set = None,
    port: Annotated[int | None, typer.Option(help="Where figures are served; 0: any.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell only what is wrong.")] = False,
) -> None:
    """Poll, train and publish for ever, until a signal comes."""
    from codelupe_daemon.observe.events import Events
    from trainer import app as work

    settings = _settings(given, trainer_port=port)
    wait_for(work.run(settings, set_ or [], Events(is_quiet=quiet)))


@app.command()
@opens
def once(
    given: Given,
    set_: Set = None,
    json: Json = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Give up a round that is open; its rows come again.")
    ] = False,
) -> None:
    """One round now, however few rows there are."""
    from codelupe_daemon.observe.events import Events
    from trainer import app as work
    from trainer.observe import report

    told = wait_for(work.once(_settings(given), set_ or [], Events(), anew=anew))
    if told:  # of several processes only the first has something to tell
        print_json(told) if json else report.once(told)
    if told.get("is_stopped"):
        raise typer.Exit(130)
    if told.get("session") and told["session"]["status"] == "diverged":
        raise typer.Exit(1)


@app.command()
@opens
def plan(
    given: Given,
    set_: Set = None,
    json: Json = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Build the shapes and compare three steps.")
    ] = False,
) -> None:
    """What a round would do and need, without starting it."""
    from trainer import app as work
    from trainer.observe import report

    told = wait_for(work.plan(_settings(given), set_ or [], measure=measure))
    print_json(told) if json else report.plan(told)


@app.command()
@opens
def status(given: Given, json: Json = False) -> None:
    """How far training is, and what waits."""
    from trainer import app as work
    from trainer.observe import report

    told = wait_for(work.status(_settings(given)))
    print_json(told) if json else report.status(told)


@app.command()
@opens
def versions(
    given: Given,
    json: Json = False,
    activate: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Make it the active one.")
    ] = None,
) -> None:
    """What was published, newest first."""
    from trainer import app as work
    from trainer.observe import report

    told = wait_for(work.versions(_settings(given), activate))
    print_json(told) if json else report.versions(told)


@app.command()
@opens
def samples(
    given: Given,
    set_: Set = None,
    json: Json = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many.")] = 3,
) -> None:
    """What the model would see next; what it learns to write is green."""
    from trainer import app as work
    from trainer.observe import report

    told = wait_for(work.samples(_settings(given), set_ or [], limit))
    print_json(told) if json else report.samples(told)


@app.command()
@opens
def migrate(given: Given, json: Json = False) -> None:
    """Make or upgrade the trainer's tables, as the others do."""
    from trainer import app as work
    from trainer.observe import report

    told = wait_for(work.migrate(_settings(given)))
    print_json(told) if json else report.migrate(told)


def main() -> None:
    """The entry point."""
    # peft 0.21 asks transformers 5 by a name that goes in version 6.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # else it tells of kernels it lacks
    run_command(app, "codelupe-trainer")


def _settings(given: Given, **options: Any) -> Settings:
    from codelupe_daemon import config

    named = {"training_source" if name == "source" else name: it for name, it in given.items()}
    return config.load(**named, **options)
