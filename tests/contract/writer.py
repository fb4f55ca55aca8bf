"""One of several writer processes: `python -m tests.contract.writer STORE FOLDER NUMBER APPENDS`.

Every append brings a text that nobody else has and a few that every writer has.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.contract.build import Files, Ingest, repo, text
from tests.contract.stores import STORES

SHARED = 40


def own_text(writer: int, number: int) -> str:
    return text(f"writer{writer}_{number}")


def shared_text(number: int) -> str:
    return text(f"shared{number % SHARED}")


def files_of(writer: int, number: int) -> Files:
    """Writers meet on the shared texts at different times, and in different orders."""
    first = number * (2 * writer + 1)
    shared = {f"shared{n % SHARED}.py": shared_text(n) for n in range(first, first + 4)}
    return {f"own{number}.py": own_text(writer, number), **shared}


async def main(store: str, folder: Path, writer: int, appends: int) -> None:
    journal = STORES[store](folder)
    await journal.open(create=False)
    ingest = Ingest(journal)
    known = repo(f"writer/{writer}", "MIT", stars=writer)
    visit = await ingest.begin(known)
    listed: dict[str, object] = {}
    for number in range(appends):
        files = files_of(writer, number)
        await ingest.record(visit, files)
        listed |= files
    everything = {f"shared{n}.py": shared_text(n) for n in range(SHARED)}
    await ingest.record(visit, everything)
    await ingest.end(visit, dict.fromkeys([*listed, *everything], ""), known.standing)
    await journal.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
