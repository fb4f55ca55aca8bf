"""What the commands `codelupe` and `codelupe-trainer` have in common: how they start and end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import gc
import inspect
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import typer

from codelupe_daemon.errors import CodeLupeError, Rejected, UsageError

T = TypeVar("T")
M_ARENA_MAX = -8  # malloc.h

Servers = dict[str, str | None]
"""What of --store, --redis, --elasticsearch and --mongo was given."""
SERVERS: dict[str, Any] = {
    "store": typer.Option(
        metavar="STORE", help="The store: a path, sqlite:///FILE or postgresql://HOST/DATABASE."
    ),
    "redis": typer.Option(metavar="URL", help="redis://HOST/NUMBER."),
    "elasticsearch": typer.Option(metavar="URL", help="http://HOST:9200."),
    "mongo": typer.Option(metavar="URL", help="mongodb://HOST/DATABASE."),
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON; text for people goes to stderr.")]


Command = Callable[..., None]


def takes(options: Mapping[str, Any], name: str) -> Callable[[Command], Command]:
    """Gives a command these options, each text or None; it gets them as its parameter `name`."""

    def decorated(command: Command) -> Command:
        @functools.wraps(command)
        def called(**given: Any) -> None:
            command(**{name: {one: given.pop(one) for one in options}}, **given)

        own = inspect.signature(command, eval_str=True)
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [one.replace(kind=kind) for one in own.parameters.values() if one.name != name]
        parameters += [
            inspect.Parameter(one, kind, default=None, annotation=Annotated[str | None, option])
            for one, option in options.items()
        ]
        called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # inspect reads it
        return called

    return decorated


opens_a_store = takes(SERVERS, "servers")


def run(app: typer.Typer, name: str) -> None:
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
        typer.echo(f"{name}: {_message(error)}", err=True)
        code = 2 if isinstance(error, UsageError) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C or SIGTERM calls `stop`; a second one ends the process as usual.

    What the body is given says whether there was one.
    """
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()

    def heard() -> None:
        interrupted.set()
        # Before it is said that the first was heard: the second would be lost between them.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard)
    try:
        yield interrupted.is_set
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


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


def wait_for(work: Coroutine[Any, Any, T]) -> T:
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


def print_json(value: Any) -> None:
    import orjson

    typer.echo(orjson.dumps(value).decode())
