"""Work that may take the process down is done in a child process, and the culprit is cornered."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_by_halves(
    function: Callable[[Sequence[Item]], list[Result]],
    items: Sequence[Item],
    crashed: Callable[[Item], Result],
    timeout_s: float,
) -> list[Result]:
    """`function(items)`, run in a spawned child; one result an item, in order.

    Where the child dies or takes longer than `timeout_s`, each half gets a child of its own, until
    the culprit is alone: `crashed(item)` is its result. One culprit costs about 2 log2(n) children.
    `function` and the items must pickle; what `function` raises is raised here.
    """
    results: list[Result] = []
    todo = [list(items)] if items else []
    while todo:
        part = todo.pop()
        part_results = _in_child(function, part, timeout_s)
        if part_results is not None:
            results += part_results
        elif len(part) == 1:
            results.append(crashed(part[0]))
        else:
            middle = len(part) // 2
            todo += [part[middle:], part[:middle]]
    return results


def _in_child(
    function: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], timeout_s: float
) -> list[Result] | None:
    """None where the child did not live, or not in time, to give its results."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender, function, items), daemon=True)
    child.start()
    sender.close()
    try:
        answer = receiver.recv() if receiver.poll(timeout_s) else None
    except (EOFError, ConnectionResetError):
        answer = None
    finally:
        child.kill()
        child.join()
        child.close()
        receiver.close()
    return _results(answer, len(items))


def _child(sender: Connection, function: Callable[[Any], Any], items: Any) -> None:
    try:
        answer: tuple[bool, Any] = (True, function(items))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        answer = (False, error)
    sender.send(answer)


def _results(answer: tuple[bool, Any] | None, expected: int) -> list[Any] | None:
    if answer is None:
        return None
    is_done, value = answer
    if not is_done:
        raise value
    if len(value) != expected:
        raise ValueError(f"{expected} items gave {len(value)} results")
    return list(value)
