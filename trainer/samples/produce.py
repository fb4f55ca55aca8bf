"""Texts to packed rows on disk, ahead of training.

While some pages are encoded, the next are read: memory does not grow with the round. A round that
was interrupted goes on with the first block that is missing or damaged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from codelupe_daemon.errors import Fatal, Transient
from trainer.profile import Profile
from trainer.samples import blocks, plan
from trainer.samples.maker import Made, Maker
from trainer.samples.makers import PROCESSES, Make, makers
from trainer.types import Taken

Texts = Callable[[Sequence[bytes]], Awaitable[dict[bytes, str]]]

_LAYOUT = 2
"""Raised with anything that gives the same texts other blocks."""
_PAGES_AHEAD = 3 * PROCESSES

_STOPPED = Transient("the production of rows was stopped")

_log = logging.getLogger(__name__)


class Produced(NamedTuple):
    """`is_whole` is false where it was asked to stop before the last block."""

    is_whole: bool
    facts: blocks.Facts


async def produce(
    texts: Texts,
    taken: Sequence[Taken],
    profile: Profile,
    tokenizer: Any,
    folder: Path,
    *,
    seed: int,
    is_stopping: Callable[[], bool],
) -> Produced:
    """Write all blocks that are not there, and what there is to say of them.

    Start it before a `BlockReader` of the folder reads: what an earlier run ended with counts no
    more. Raises what `texts` raises, and `Fatal` where the folder's blocks were made from something
    else, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / blocks.ENDED).unlink(missing_ok=True)
    parts: list[Made] = []
    # One thread writes them all: what malloc keeps of a block, it keeps for each thread.
    writer = ThreadPoolExecutor(1)
    try:
        maker = await asyncio.to_thread(Maker, profile, tokenizer, seed)
        planned = await asyncio.to_thread(plan.blocks, taken, maker.mix, maker.max_chars)
        described = tokenizer.backend_tokenizer.to_str(), tokenizer.chat_template
        decides = _LAYOUT, seed, profile.data, profile.model.max_length, *described
        digest = await asyncio.to_thread(plan.digest, taken, *decides)
        _begin(folder, {"digest": digest, "chars": [block.chars for block in planned]})
        facts = await asyncio.to_thread(_whole_blocks, folder, len(planned))
        pages = plan.pages(planned, set(range(len(planned))) - set(facts), taken)
        loop = asyncio.get_running_loop()
        async with (
            makers(maker) as make,
            aclosing(_ahead(pages, _work(texts, taken, make), is_stopping)) as ready,
        ):
            async for page, made in ready:
                parts.append(made)
                if page.is_last:
                    done = loop.run_in_executor(writer, _write, folder, page, parts, maker)
                    facts[page.block] = await done
                    parts.clear()
        total = sum((facts[n] for n in sorted(facts)), blocks.NOTHING)
        is_whole = len(facts) == len(planned)
        if is_whole:
            blocks.write_json(folder / blocks.DONE, {"facts": asdict(total)})
        else:
            _end(folder, _STOPPED)
    except asyncio.CancelledError:
        _end(folder, _STOPPED)
        raise
    except Exception as error:
        _end(folder, error)
        raise
    finally:
        writer.shutdown(wait=False)
    return Produced(is_whole, total)


def _begin(folder: Path, said: Mapping[str, Any]) -> None:
    """Write down what the blocks are made from, or see that it is the same."""
    path = folder / blocks.PLAN
    if not path.exists():
        blocks.write_json(path, said)
    elif blocks.read_json(path) != said:
        raise Fatal(
            f"the rows in {folder} were made from another manifest, tokenizer or `data` section: "
            f"remove the folder, and they are made again"
        )


def _whole_blocks(folder: Path, count: int) -> dict[int, blocks.Facts]:
    """Those that are there already, each read and verified."""
    facts = {}
    for block in range(count):
        if blocks.path_of(folder, block).exists():
            try:
                blocks.load(folder, block)
                facts[block] = blocks.facts_of(folder, block)
            except Fatal as error:
                _log.warning("%s", error)
    if len(facts) < count:
        (folder / blocks.DONE).unlink(missing_ok=True)
    return facts


def _work(
    texts: Texts, taken: Sequence[Taken], make: Make
) -> Callable[[plan.Page], Awaitable[Made]]:
    async def work(page: plan.Page) -> Made:
        units = [[taken[row] for row in unit] for unit in page.units]
        hashes = [each.content_hash for unit in units for each in unit]
        return await make(units, await texts(hashes))

    return work


async def _ahead(
    pages: Iterator[plan.Page],
    work: Callable[[plan.Page], Awaitable[Made]],
    is_stopping: Callable[[], bool],
) -> AsyncGenerator[tuple[plan.Page, Made]]:
    """Pages in order, while the work on a few more goes on; ends early when asked to stop."""
    going: deque[tuple[plan.Page, asyncio.Future[Made]]] = deque()
    try:
        while not is_stopping():
            while len(going) < _PAGES_AHEAD and (page := next(pages, None)):
                going.append((page, asyncio.ensure_future(work(page))))
            if not going:
                return
            made = await going[0][1]
            yield going.popleft()[0], made
    finally:
        for _, waiting in going:
            waiting.cancel()
        await asyncio.gather(*(waiting for _, waiting in going), return_exceptions=True)


def _write(folder: Path, page: plan.Page, parts: Sequence[Made], maker: Maker) -> blocks.Facts:
    """The block that ends with this page."""
    counts: Counter[str] = Counter()
    for made in parts:
        counts.update(made.counts)
    encoded = [each for made in parts for each in made.encoded]
    missing = [name for made in parts for name in made.missing]
    rows = blocks.packed(encoded, maker.max_length)
    return blocks.save(folder, page.block, rows, maker.max_length, counts, missing)


def _end(folder: Path, error: Exception) -> None:
    """Tell whoever waits for a block that none comes."""
    said = {"is_transient": isinstance(error, Transient), "message": str(error)}
    try:
        blocks.write_json(folder / blocks.ENDED, said)
    except Fatal:  # no room for it either: the reader's wait has an end
        _log.exception("it cannot be told that no more rows come")
