"""discover -> fetch -> examine -> record: the whole flow on one page.

Repository workers list and read, file workers examine on threads, one recorder appends. Every
queue between them is bounded, so that the slowest stage sets the pace and memory stays flat.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from array import array
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from codelupe_daemon.errors import Rejected, StaleVisit, Transient
from codelupe_daemon.examine import Examined, Examiner, Surroundings, Within
from codelupe_daemon.examine.surroundings import FILES, MAX_BYTES, MAX_FILES, is_surrounding
from codelupe_daemon.fetch import Blobs, Tree
from codelupe_daemon.frontier import Frontier
from codelupe_daemon.journal.base import Journal, RepositoryRow
from codelupe_daemon.model import (
    PASSING_REASONS,
    Content,
    ContentKey,
    Listed,
    Occurrence,
    Part,
    Repo,
    Standing,
    Verdict,
    Visit,
    Wanted,
)
from codelupe_daemon.plan import Plan, inherit, licensed, plan_page
from codelupe_daemon.queues.base import Queues
from codelupe_daemon.recorder import Recorder, Sending
from codelupe_daemon.retry import retried
from codelupe_daemon.tally import Tally

T = TypeVar("T")
RETIRE_PAGE = 2000


class Judges(Protocol):
    """Whoever turns bytes into verdicts."""

    def examine(
        self,
        wanted: Sequence[Wanted],
        buffer: memoryview,
        offsets: NDArray[np.int64],
        sizes: NDArray[np.int64],
    ) -> list[Examined]: ...


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """How much runs at once."""

    repo_workers: int = 4
    file_workers: int = 8
    chunk_files: int = 1000
    record_rows: int = 3000
    patience_s: float = 15.0
    """How long a source that fails is tried again."""
    journal_patience_s: float = 600.0
    """How long a journal that fails is tried again: another process may be vacuuming it."""
    attempts: int = 3
    """Visits that may end with the process before the repository is examined in a child."""
    retry_s: float = 3600.0
    """When a repository is due again whose visit failed or was incomplete."""
    revisit_s: float = 7 * 86400.0
    """When one is due again whose visit was complete."""


@dataclass(slots=True)
class _InVisit(Sending):
    """A visit under way."""

    commit: bytes | None = None
    within: Within | None = None
    """None until a file is listed."""
    is_listed_whole: bool = False
    path_hashes: array[int] = field(default_factory=lambda: array("Q"))
    gone: list[str] = field(default_factory=list)
    files_sent: int = 0
    passing: int = 0


class _Chunk(NamedTuple):
    """Blobs that were read, on their way to an examining thread."""

    of: _InVisit
    within: Within
    wanted: Sequence[Wanted]
    blobs: Blobs


def _path_hash(path: str) -> int:
    return xxhash.xxh3_64_intdigest(path.encode())


def _slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class Interrupted(Rejected):
    """The person asked to stop: what was read so far is recorded, the rest waits."""

    def __init__(self) -> None:
        super().__init__("interrupted")


class Incomplete(Rejected):
    """Some files could not be read this time: nothing is removed, and the visit is due again."""

    def __init__(self, files: int) -> None:
        super().__init__(f"incomplete: {files} files could not be read, see `codelupe why`")


def as_repo(row: RepositoryRow) -> Repo:
    """A repository as the journal knows it, to be visited again."""
    return Repo(row.full_name, row.location, row.standing, is_local=row.is_local)


def _state_after(failure: Rejected | Transient) -> str:
    match failure:
        case Interrupted() | Transient():  # nothing is wrong with the source
            return "due"
        case Incomplete():
            return "incomplete"
        case _:
            return "failed"


class Pipeline:
    """One run over repositories: those of a list, or whatever is due."""

    def __init__(
        self,
        journal: Journal,
        frontier: Frontier,
        queues: Queues,
        open_tree: Callable[[Repo], AbstractContextManager[Tree]],
        examiner: Examiner,
        quarantined: Judges,
        limits: PipelineLimits,
        tally: Tally,
    ) -> None:
        self._journal = journal
        self._frontier = frontier
        self._queues = queues
        self._open_tree = open_tree
        self._examiner = examiner
        self._quarantined = quarantined
        self._limits = limits
        self._tally = tally
        cores = os.cpu_count() or 1
        self._fetching = ThreadPoolExecutor(limits.repo_workers, "fetch")
        self._examining = ThreadPoolExecutor(min(limits.file_workers, cores), "examine")
        self._to_examine: asyncio.Queue[_Chunk | None] = asyncio.Queue(cores)
        self._recorder = Recorder(
            journal, queues, tally, rows=limits.record_rows, queued=cores * 2,
            patience_s=limits.journal_patience_s,
            on_recorded=lambda: self.on_recorded(),  # noqa: PLW0108 - it is set later
            is_stopping=self.is_stopping,
        )  # fmt: skip
        self._visiting = 0
        self._stopped = asyncio.Event()
        self.on_recorded: Callable[[], None] = lambda: None
        """Called after every append: the journal may have grown."""

    def stop(self) -> None:
        """Read nothing more; what was read is examined and recorded."""
        self._stopped.set()

    def is_stopping(self) -> bool:
        return self._stopped.is_set()

    async def run(self, repos: Sequence[Repo]) -> None:
        """Visit every repository once. Failures of a source end up in the tally."""
        await self._flow(self._named({repo.full_name: repo for repo in repos}.values()))

    async def serve(
        self,
        next_due: Callable[[], Awaitable[tuple[RepositoryRow, Visit] | None]],
        is_over: Callable[[], Awaitable[bool]],
    ) -> None:
        """Visit whatever is due, until `stop`. While the journal is away this waits for it.

        `next_due` claims it, and waits a moment for it; while nothing is visited and nothing
        is due, `is_over` is asked whether to end.
        """
        self._recorder.patience_s = math.inf
        await self._flow(self._due(next_due, is_over))

    async def _flow(self, visits: AsyncIterator[Coroutine[Any, Any, None]]) -> None:
        """Make these visits, `repo_workers` of them at once; each is asked for when one is free."""
        async with asyncio.TaskGroup() as stages:
            recorder = stages.create_task(self._recorder.run())
            judges = [stages.create_task(self._examine()) for _ in range(self._limits.file_workers)]
            await self._make(visits)
            for _ in judges:
                await self._to_examine.put(None)
            await asyncio.gather(*judges)
            await self._recorder.end()
            await recorder

    async def _make(self, visits: AsyncIterator[Coroutine[Any, Any, None]]) -> None:
        free = asyncio.Semaphore(self._limits.repo_workers)
        async with asyncio.TaskGroup() as visiting:
            while not self.is_stopping():
                await free.acquire()
                visit = await anext(visits, None)
                if visit is None:
                    break
                self._visiting += 1
                visiting.create_task(visit).add_done_callback(lambda _: free.release())

    # -- a repository ---------------------------------------------------------------------------

    async def _named(self, repos: Iterable[Repo]) -> AsyncIterator[Coroutine[Any, Any, None]]:
        for repo in repos:
            if self.is_stopping():
                return
            yield self._told(repo, partial(self._visit_named, repo))

    async def _due(
        self,
        next_due: Callable[[], Awaitable[tuple[RepositoryRow, Visit] | None]],
        is_over: Callable[[], Awaitable[bool]],
    ) -> AsyncIterator[Coroutine[Any, Any, None]]:
        while not self.is_stopping():
            try:
                claimed = await self._ask(next_due, math.inf)
                if claimed is None and not self._visiting and await is_over():
                    return
            except Transient:
                continue
            if claimed is not None:
                row, visit = claimed
                repo = as_repo(row)
                yield self._told(repo, partial(self._visit, repo, visit))

    async def _told(self, repo: Repo, visit: Callable[[], Awaitable[None]]) -> None:
        """Make a visit; how it ended is in the tally."""
        try:
            await visit()
        except Interrupted:
            pass
        except (Rejected, Transient) as failure:
            self._tally.source_failed(repo.full_name, str(failure))
        else:
            self._tally.source_done(repo.full_name)
        finally:
            self._visiting -= 1

    async def _visit_named(self, repo: Repo) -> None:
        waiting = self._tally.waiting_for
        visit = await self._ask(lambda: self._frontier.claim(repo, waiting, self.is_stopping))
        if visit is None:
            raise Interrupted
        self._tally.waits_no_more(repo.full_name)
        await self._visit(repo, visit)

    async def _visit(self, repo: Repo, visit: Visit) -> None:
        state = _InVisit(visit)
        async with self._frontier.held(visit):
            try:
                async with self._opened(repo) as tree:
                    state.commit = tree.commit
                    await self._read(state, tree)
                await self._finish(state, repo)
            except (Rejected, Transient) as failure:
                await self._drained(state)  # what was read is kept, so it need not be read again
                await self._give_up(state, failure)
                raise
        await self._ended(state, is_done=True)

    async def _give_up(self, state: _InVisit, failure: Rejected | Transient) -> None:
        await self._queues.recorded(state.unrecorded)
        if isinstance(failure, StaleVisit):
            return  # it is another's
        end = (state.visit, _state_after(failure), str(failure))
        await self._ask(lambda: self._journal.release(*end, due_in_s=self._limits.retry_s))
        await self._ended(state, is_done=False)

    async def _ended(self, state: _InVisit, *, is_done: bool) -> None:
        """Into the summary goes what is recorded, not what was on its way."""
        visit = state.visit
        await self._queues.visited(visit.repo_id, is_done=is_done)
        counts = await self._ask(lambda: self._journal.reason_counts(visit.repo_id))
        self._tally.visited(visit.full_name, counts, state.files_sent)

    @contextlib.asynccontextmanager
    async def _opened(self, repo: Repo) -> AsyncIterator[Tree]:
        """The source's tree. A network that fails for longer than `patience_s` rejects it."""
        if self.is_stopping():
            raise Interrupted

        async def open_once() -> tuple[AbstractContextManager[Tree], Tree]:
            opened = self._open_tree(repo)
            return opened, await self._fetch(opened.__enter__)

        with self._tally.timed("fetch"):
            try:
                opened, tree = await retried(open_once, self._limits.patience_s, self.is_stopping)
            except (Rejected, Transient) as error:
                raise (Interrupted() if self.is_stopping() else Rejected(str(error))) from error
        try:
            yield tree
        finally:
            await self._fetch(lambda: opened.__exit__(None, None, None))

    async def _read(self, state: _InVisit, tree: Tree) -> None:
        """List, sort out, read: everything listed is on its way to the journal afterwards."""
        waiting: list[Wanted] = []
        async for page in self._listing(state, tree):
            if state.within is None:
                state.within = self._examiner.within(await self._surroundings(tree))
            waiting += await self._sort_out(state, state.within, page)
            while len(waiting) >= self._limits.chunk_files:
                await self._read_chunk(state, tree, waiting[: self._limits.chunk_files])
                del waiting[: self._limits.chunk_files]
        if waiting:
            await self._read_chunk(state, tree, waiting)
        await self._drained(state)
        if state.error is not None:
            raise state.error

    async def _drained(self, state: _InVisit) -> None:
        if state.on_the_way:
            await state.drained.wait()

    async def _listing(self, state: _InVisit, tree: Tree) -> AsyncIterator[list[Listed]]:
        """What may have changed: the difference to the last complete visit, or everything."""
        since, changes = state.visit.last_commit, None
        if since is not None and state.visit.last_version == self._examiner.version:
            changes = await self._fetch(partial(tree.changes, since))
        async for change in self._each("list", changes or iter(())):
            if any(map(is_surrounding, [*change.gone, *(one.path for one in change.listed)])):
                changes = None  # what decides about other files has changed
                break
            state.gone += change.gone
            if change.listed:
                yield change.listed
        if changes is not None:
            return
        state.is_listed_whole = True
        async for page in self._each("list", tree.pages()):
            if not state.visit.is_first:
                state.path_hashes.extend(_path_hash(listed.path) for listed in page)
            yield page

    async def _surroundings(self, tree: Tree) -> Surroundings:
        """Read what the repository says about its files, as far as there is a sensible amount."""
        found: list[Wanted] = []
        async for page in self._each("list", tree.named(FILES)):
            found += (
                Wanted(listed.oid, "", None, [listed.path])
                for listed in page
                if listed.oid is not None and is_surrounding(listed.path)
            )
            if len(found) > MAX_FILES:
                break
        files: list[tuple[str, bytes]] = []
        async for wanted, blobs in self._each("read", tree.read(found[:MAX_FILES])):
            for one, at, size in zip(wanted, blobs.offsets, blobs.sizes, strict=True):
                if 0 <= size <= MAX_BYTES:
                    files.append((one.paths[0], bytes(blobs.buffer[at : at + size])))
        return await self._start(self._examining, partial(Surroundings.of, files))

    async def _sort_out(self, state: _InVisit, within: Within, page: list[Listed]) -> list[Wanted]:
        """Send on what needs no reading; what does is returned."""
        paths = [listed.path for listed in page]
        repo_id, version = state.visit.repo_id, self._examiner.version
        with self._tally.timed("plan"):
            known = {}
            if not state.visit.is_first:
                known = await self._ask(lambda: self._journal.known_paths(repo_id, paths))
            plan = await self._fetch(lambda: plan_page(page, known, within, version))
            oids = [oid for oid, _ in plan.wanted]
            verdicts = await self._ask(lambda: self._journal.known_oids(oids, version))
            plan = inherit(plan, verdicts, within)
        self._tally.files_found += len(page)
        await self._tell_listed(state, plan)
        await self._send_decided(state, plan.decided)
        return list(plan.wanted.values())

    async def _tell_listed(self, state: _InVisit, plan: Plan) -> None:
        paths = [decided.path for decided in plan.decided]
        for wanted in plan.wanted.values():
            paths += wanted.paths
        state.unrecorded += len(paths)
        await self._queues.listed(state.visit.full_name, paths)

    async def _send_decided(self, state: _InVisit, decided: Sequence[Occurrence]) -> None:
        for piece in _slices(decided, self._limits.record_rows):
            self._recorder.expect(state)
            await self._send(state, self._part(state, piece, {}))

    async def _read_chunk(self, state: _InVisit, tree: Tree, chunk: list[Wanted]) -> None:
        assert state.within is not None
        async for wanted, blobs in self._each("read", tree.read(chunk)):
            if self.is_stopping():
                raise Interrupted
            if state.error is not None:
                raise state.error
            self._recorder.expect(state)
            await self._to_examine.put(_Chunk(state, state.within, wanted, blobs))

    async def _finish(self, state: _InVisit, repo: Repo) -> None:
        visit = state.visit
        if state.passing:
            raise Incomplete(state.passing)
        ended = (visit, state.commit, self._standing(state, repo), self._examiner.version)
        with self._tally.timed("finish"):
            await self._retire_gone(state)
            self._tally.recorded(
                await self._ask(
                    lambda: self._journal.finish(*ended, due_in_s=self._limits.revisit_s)
                )
            )
        self.on_recorded()

    def _standing(self, state: _InVisit, repo: Repo) -> Standing:
        """As discovery knows it; where that knows no licence, the one that the files name."""
        root = state.within.around.licenses.root if state.within else state.visit.last_license
        return replace(repo.standing, license=repo.standing.license or root)

    async def _retire_gone(self, state: _InVisit) -> None:
        repo_id, after = state.visit.repo_id, ""
        for paths in _slices(state.gone, RETIRE_PAGE):
            await self._retire(state, paths)
        if not state.is_listed_whole or state.visit.is_first:
            return
        listed = np.unique(np.frombuffer(state.path_hashes, np.uint64))
        counts = await self._ask(lambda: self._journal.reason_counts(repo_id))
        if sum(counts.values()) == len(listed):
            return  # every listed path has an occurrence by now, so no other has
        while page := await self._ask(partial(self._journal.paths, repo_id, after, RETIRE_PAGE)):
            after = page[-1]
            hashes = np.array([_path_hash(path) for path in page], np.uint64)
            gone = np.flatnonzero(~np.isin(hashes, listed)).tolist()
            await self._retire(state, [page[i] for i in gone])

    async def _retire(self, state: _InVisit, paths: Sequence[str]) -> None:
        await self._ask(lambda: self._journal.retire(state.visit, paths))

    # -- files ----------------------------------------------------------------------------------

    async def _examine(self) -> None:
        while (chunk := await self._to_examine.get()) is not None:
            state = chunk.of
            self._tally.read_bytes += int(chunk.blobs.sizes.clip(min=0).sum())
            with self._tally.timed("examine"):
                judging = self._start(self._examining, partial(self._judge, chunk))
                del chunk  # so that the thread frees its buffer, and at once
                part = await judging
            await self._send(state, part)

    async def _send(self, state: _InVisit, part: Part) -> None:
        state.files_sent += len(part.occurrences)
        state.passing += sum(o.reason in PASSING_REASONS for o in part.occurrences)
        self._tally.files_judged += len(part.occurrences)
        await self._recorder.put(state, part)

    def _judge(self, chunk: _Chunk) -> Part:
        """On a thread: the verdicts, spread over all places that asked for them."""
        is_feared = chunk.of.visit.attempts > self._limits.attempts
        judge: Judges = self._quarantined if is_feared else self._examiner
        blobs, contents = chunk.blobs, dict[ContentKey, Content]()
        occurrences: list[Occurrence] = []
        verdicts = judge.examine(chunk.wanted, blobs.buffer, blobs.offsets, blobs.sizes)
        for i, (wanted, examined) in enumerate(zip(chunk.wanted, verdicts, strict=True)):
            verdict, content = examined
            if i in blobs.problems:
                reason, measured = blobs.problems[i]
                verdict = Verdict(reason, measured, wanted.language)
            content_hash = content and content.content_hash
            if content is not None:
                contents.setdefault(content.key, content)
            occurrences += (
                licensed(
                    Occurrence(
                        path, wanted.oid, wanted.path_class, verdict.language,
                        content_hash, verdict.reason, verdict.measured,
                    ),
                    content and content.license,
                    chunk.within,
                )
                for path in wanted.paths
            )  # fmt: skip
        return self._part(chunk.of, occurrences, contents)

    def _part(
        self,
        state: _InVisit,
        occurrences: Sequence[Occurrence],
        contents: dict[ContentKey, Content],
    ) -> Part:
        return Part(state.visit, state.commit, self._examiner.version, occurrences, contents)

    async def _ask(self, work: Callable[[], Awaitable[T]], patience_s: float | None = None) -> T:
        """What the journal answers; while it is away, tried again."""
        patience_s = patience_s or self._limits.journal_patience_s
        told = self._tally.journal_away
        return await retried(work, patience_s, self.is_stopping, told)

    # -- threads --------------------------------------------------------------------------------

    async def _fetch(self, work: Callable[[], T]) -> T:
        return await self._start(self._fetching, work)

    def _start(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(pool, work)

    async def _each(self, stage: str, items: Iterator[T]) -> AsyncIterator[T]:
        """The items of a blocking iterator, each fetched on a thread."""
        while True:
            with self._tally.timed(stage):
                item = await self._fetch(lambda: next(items, None))
            if item is None:
                return
            yield item
