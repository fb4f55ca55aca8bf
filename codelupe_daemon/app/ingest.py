"""The main job: sources in, recorded and searchable code out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from codelupe_daemon.app.consuming import consuming
from codelupe_daemon.app.parts import examiner
from codelupe_daemon.app.running import ready_pipeline
from codelupe_daemon.app.stores import elasticsearch, journal, queues
from codelupe_daemon.command import stopped_by_signals
from codelupe_daemon.config import Settings
from codelupe_daemon.discover.named import named
from codelupe_daemon.errors import Rejected
from codelupe_daemon.examine import Examiner
from codelupe_daemon.journal.base import Journal, Judged, Rejudged
from codelupe_daemon.model import Content, Occurrence, Recorded, Repo
from codelupe_daemon.pipeline import as_repo
from codelupe_daemon.tally import Tally

REEXAMINE_PAGE = 200
INDEX = "elasticsearch:"


async def ingest(
    settings: Settings, sources: Sequence[str], tally: Tally, *, due: bool, consumers: bool
) -> bool:
    """Visit the sources, and with `due` whatever is due; whether it was interrupted.

    What fails is in the tally. Raises `Fatal` and `UsageError`.
    """
    repos = await _discover(settings, sources, tally)
    async with journal(settings, create=True) as store:
        if due:
            repos = [*map(as_repo, await store.repositories(due_only=True)), *repos]
        once = {repo.full_name: repo for repo in repos}  # what was named now outdoes what was due
        tally.sources += len(once)
        return await _run(settings, store, [*once.values()], tally, consumers=consumers)


async def register(settings: Settings, sources: Sequence[str], tally: Tally) -> bool:
    """Only make the sources known and due. What fails is in the tally; never interrupted."""
    repos = await _discover(settings, sources, tally)
    async with journal(settings, create=True) as store:
        for repo in repos:
            tally.sources += 1
            await store.register(repo)
    return False


async def reexamine(settings: Settings, tally: Tally) -> dict[str, int]:
    """Judge again what other rules or settings judged; how much of what there was to do.

    Recorded texts come from the journal; files that were left out are read again, local ones now.
    """
    async with journal(settings) as store:
        judges = examiner(settings, store.pack)
        judged, recorded = await _rejudge(store, judges)
        marked = await store.mark_due(judges.version)
        local = [as_repo(row) for row in marked if row.is_local]
        waiting = [files for row, files in marked.items() if not row.is_local]
        tally.sources = len(local)
        await _run(settings, store, local, tally, consumers=True)
    return {
        "texts": judged,
        **{str(op): rows for op, rows in recorded.ops.items()},
        "left out files": sum(marked.values()),
        "repositories visited": len(local),
        "repositories due": len(waiting),
        "files due": sum(waiting),
    }


async def _discover(settings: Settings, sources: Sequence[str], tally: Tally) -> list[Repo]:
    repos: list[Repo] = []
    for source in sources:
        try:
            if source.startswith(INDEX):
                repos += await _indexed(settings, source.removeprefix(INDEX), tally)
            else:
                repos += named(source)
        except Rejected as rejected:
            tally.sources += 1
            tally.source_failed(source, rejected.reason)
    return repos


async def _indexed(settings: Settings, index: str, tally: Tally) -> list[Repo]:
    """The repositories that a crawler put into an index of Elasticsearch."""
    from codelupe_daemon.discover.elasticsearch import Refused, repositories

    repos: list[Repo] = []
    async with elasticsearch(settings) as es:
        async for found in repositories(es, index):
            if isinstance(found, Refused):
                tally.sources += 1
                tally.source_failed(found.document, found.reason)
            else:
                repos.append(found)
    return repos


async def _run(
    settings: Settings, store: Journal, repos: Sequence[Repo], tally: Tally, *, consumers: bool
) -> bool:
    async with queues(settings, store) as shared:
        pipeline = await ready_pipeline(settings, store, shared, tally)
        with stopped_by_signals(pipeline.stop) as is_interrupted:
            async with consuming(settings, store, are_wanted=consumers) as going:
                pipeline.on_recorded = going.wake
                with tally.timed("journal"):
                    await pipeline.run(repos)
                await going.caught_up(settings.wait_s)
            return is_interrupted()


# -- new verdicts on recorded texts -------------------------------------------------------------


async def _rejudge(store: Journal, examiner: Examiner) -> tuple[int, Recorded]:
    after, texts, recorded = b"", 0, Recorded()
    while page := await store.judged_by_others(examiner.version, after, REEXAMINE_PAGE):
        after = page[-1].content.content_hash
        rejudged = await asyncio.to_thread(lambda: [_new_verdicts(one, examiner) for one in page])
        recorded += await store.rejudge(rejudged, examiner.version, examiner.accepts)
        texts += len(page)
    return texts, recorded


def _new_verdicts(judged: Judged, examiner: Examiner) -> Rejudged:
    """One verdict for each class of paths under which the text stands."""
    text = (judged.content.content or "").encode()
    kept: dict[str, Content] = {}
    left_out: dict[str, Occurrence] = {}
    for path_class, path in judged.path_classes.items():
        verdict, content = examiner.examine_text(path, text, path_class)
        if content is not None:
            kept[path_class] = content
        else:
            left_out[path_class] = Occurrence(
                path, None, path_class, verdict.language, None, verdict.reason, verdict.measured
            )
    return Rejudged(judged.content.content_hash, kept, left_out)
