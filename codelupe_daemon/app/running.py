"""What `ingest` and `daemon` run alike: the pipeline of these settings, stopped by signals."""

from __future__ import annotations

import asyncio
import contextlib

from codelupe_daemon.app.parts import contamination, examiner, part_of
from codelupe_daemon.config import Settings
from codelupe_daemon.examine import Examiner, ExamineSettings
from codelupe_daemon.fetch import FetchLimits, Tree, open_tree, sweep
from codelupe_daemon.frontier import Frontier
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.model import Repo
from codelupe_daemon.pipeline import Pipeline, PipelineLimits
from codelupe_daemon.quarantine import QuarantinedExaminer
from codelupe_daemon.queues.base import Queues
from codelupe_daemon.tally import Tally


async def ready_pipeline(
    settings: Settings, store: Journal, shared: Queues, tally: Tally
) -> Pipeline:
    """A pipeline that can start at once. Raises `UsageError` where a benchmark cannot be read."""
    made = _pipeline(settings, store, shared, tally)
    sweep(settings.scratch_path)
    await asyncio.to_thread(Examiner.warm)  # loads compiled code: a fifth of a second
    tally.start()
    return made


def _pipeline(settings: Settings, store: Journal, shared: Queues, tally: Tally) -> Pipeline:
    frontier = Frontier(store, this_process(), lease_s=settings.lease_s, wait_s=settings.wait_s)
    quarantined = QuarantinedExaminer(
        part_of(settings, ExamineSettings),
        store.pack,
        settings.examine_timeout_s,
        contamination(settings),
    )
    fetching, limits = part_of(settings, FetchLimits), part_of(settings, PipelineLimits)

    def opened(repo: Repo) -> contextlib.AbstractContextManager[Tree]:
        return open_tree(repo, fetching, settings.scratch_path, made.is_stopping)

    judges = examiner(settings, store.pack)
    made = Pipeline(store, frontier, shared, opened, judges, quarantined, limits, tally)
    return made
