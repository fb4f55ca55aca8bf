"""Visits as a run makes them: a real journal, real repositories, every odd moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon.app.ingest import _rejudge
from codelupe_daemon.errors import Fatal, Transient
from codelupe_daemon.examine import Examiner, ExamineSettings
from codelupe_daemon.fetch import FetchLimits, Tree, open_tree
from codelupe_daemon.frontier import Frontier
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.owner import this_process
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.model import Op, Part, Reason, Recorded, Repo
from codelupe_daemon.pipeline import Pipeline, PipelineLimits
from codelupe_daemon.quarantine import QuarantinedExaminer
from codelupe_daemon.queues.base import DatabaseQueues, Queues
from codelupe_daemon.tally import Tally
from tests import builders
from tests.builders import LENIENT

CODE = b"def area(width, height):\n    return width * height\n\n\n" * 2
OTHER = CODE.replace(b"area", b"perimeter")
SHARED = b"function area(width, height) {\n  return width * height;\n}\n" * 2
LINK = b"where/the/link/leads.py"
ANY = ExamineSettings(**LENIENT)  # type: ignore[arg-type]  # values of several types
STRICT = replace(ANY, min_file_chars=10_000)


@dataclass(slots=True)
class World:
    """A store, and runs on it."""

    journal: Journal
    scratch: Path

    def pipeline(
        self,
        tally: Tally,
        limits: PipelineLimits,
        opener: Callable[[Repo], AbstractContextManager[Tree]],
        settings: ExamineSettings = ANY,
        queues: Queues | None = None,
    ) -> Pipeline:
        pack = self.journal.pack
        frontier = Frontier(self.journal, this_process(), lease_s=60, wait_s=5)
        quarantined = QuarantinedExaminer(settings, pack, 60)
        examiner = Examiner(settings, pack)
        shared = queues or DatabaseQueues(self.journal)
        return Pipeline(
            self.journal, frontier, shared, opener, examiner, quarantined, limits, tally
        )

    async def visit(
        self,
        *folders: Path,
        max_depth: int = 256,
        chunk_files: int = 500,
        settings: ExamineSettings = ANY,
    ) -> list[tuple[str, str]]:
        """One run over these; what failed, and why."""
        tally, limits = Tally(), FetchLimits(max_depth=max_depth)
        at_once = PipelineLimits(chunk_files=chunk_files, record_rows=chunk_files)
        opener = partial(open_tree, limits=limits, scratch=self.scratch)
        pipeline = self.pipeline(tally, at_once, opener, settings)
        await pipeline.run([local(folder) for folder in folders])
        return tally.failed

    def serving(
        self, tally: Tally, queues: Queues | None = None, **limits: Any
    ) -> tuple[Pipeline, Coroutine[Any, Any, None]]:
        """A pipeline over whatever is due, and its run until nothing is."""
        opener = partial(open_tree, limits=FetchLimits(), scratch=self.scratch)
        pipeline = self.pipeline(tally, PipelineLimits(**limits), opener, queues=queues)
        shared = queues or DatabaseQueues(self.journal)

        async def is_over() -> bool:
            return not await self.journal.due(1)

        return pipeline, pipeline.serve(partial(shared.claim, this_process(), 60, 0), is_over)

    async def reason(self, repo: Path, path: str) -> Reason | None:
        row = await self.journal.find(str(repo), path)
        assert row is not None
        return row.occurrence.reason

    async def license(self, repo: Path, path: str) -> str | None:
        row = await self.journal.find(str(repo), path)
        assert row is not None
        return row.occurrence.license

    async def live(self) -> dict[str, str]:
        """repo/path -> language of each live content."""
        return {
            f"{Path(one.place.repo).name}/{one.place.path}": one.language
            for one in await self.journal.live(0, 1000)
        }


def local(folder: Path) -> Repo:
    return Repo(str(folder), str(folder), is_local=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    journal = SqliteJournal(tmp_path / "store.db")
    await journal.open(create=True)
    yield World(journal, tmp_path / "scratch")
    _, problems = await journal.verify()
    await journal.close()
    assert problems == []


async def test_what_could_not_be_read_is_tried_again(world: World, tmp_path: Path) -> None:
    repo = builders.missing_object(tmp_path / "r", {b"a.py": CODE, b"b.py": OTHER}, [b"b.py"])
    for _ in range(2):
        [(_, reason)] = await world.visit(repo)
        assert reason.startswith("incomplete: 1 files")
    builders.git(repo, "hash-object", "-w", "--stdin", stdin=OTHER)
    assert await world.visit(repo) == []
    assert await world.live() == {"r/a.py": "Python", "r/b.py": "Python"}


async def test_what_lies_too_deep_here_may_stand_elsewhere(world: World, tmp_path: Path) -> None:
    deep = builders.repo(tmp_path / "deep", {b"x/y/z/a.py": CODE})
    flat = builders.repo(tmp_path / "flat", {b"a.py": CODE})
    await world.visit(deep, max_depth=2)
    await world.visit(flat, max_depth=2)
    assert await world.reason(deep, "x/y/z/a.py") is Reason.TOO_DEEP
    assert await world.live() == {"flat/a.py": "Python"}


async def test_a_file_that_holds_what_a_link_holds_is_no_link(world: World, tmp_path: Path) -> None:
    link = builders.repo(tmp_path / "link", {b"a.py": LINK}, modes={b"a.py": builders.LINK})
    file = builders.repo(tmp_path / "file", {b"a.py": LINK})
    await world.visit(link)
    await world.visit(file)
    assert await world.reason(link, "a.py") is Reason.SYMLINK
    assert await world.reason(file, "a.py") is Reason.TOO_SMALL
    builders.commit(link, [(b"a.py", LINK)], {})
    await world.visit(link)
    assert await world.reason(link, "a.py") is Reason.TOO_SMALL


@pytest.mark.parametrize("chunk_files", [1, 500])
async def test_of_two_languages_that_of_the_best_place_counts(
    world: World, tmp_path: Path, chunk_files: int
) -> None:
    repo = builders.repo(tmp_path / "r", {b"a.js": SHARED, b"b.ts": SHARED})
    await world.visit(repo, chunk_files=chunk_files)
    assert await world.live() == {"r/a.js": "JavaScript"}


async def test_settings_that_return_bring_their_verdicts_back(world: World, tmp_path: Path) -> None:
    repo = builders.repo(tmp_path / "r", {b"a.py": CODE})
    await world.visit(repo)
    await _rejudge(world.journal, Examiner(STRICT, world.journal.pack))
    assert await world.reason(repo, "a.py") is Reason.TOO_SMALL
    await world.visit(repo)
    assert await world.live() == {"r/a.py": "Python"}


async def test_a_tree_that_lists_a_path_twice_is_refused(world: World, tmp_path: Path) -> None:
    repo = builders.empty_repo(tmp_path / "r")
    entries = b""
    for content in (CODE, OTHER):
        oid = builders.git(repo, "hash-object", "-w", "--stdin", stdin=content).decode().strip()
        entries += b"100644 a.py\0" + bytes.fromhex(oid)
    literally = ("hash-object", "-w", "-t", "tree", "--literally", "--stdin")
    builders._point_main(repo, builders.git(repo, *literally, stdin=entries).strip())
    [(_, reason)] = await world.visit(repo)
    assert reason == "a damaged tree: a.py is listed twice or out of order"
    assert await world.live() == {}


async def test_a_repository_that_shrinks_to_nothing(world: World, tmp_path: Path) -> None:
    repo = builders.repo(tmp_path / "r", {b"a.py": CODE, b"b/c.py": OTHER})
    await world.visit(repo)
    builders.commit(repo, [], {})
    assert await world.visit(repo) == []
    assert await world.live() == {}
    assert (await world.journal.counts()).listed == 0
    builders.commit(repo, [(b"d.py", CODE)], {})
    await world.visit(repo)
    assert await world.live() == {"r/d.py": "Python"}


async def test_rewritten_history_is_only_another_tree(world: World, tmp_path: Path) -> None:
    """`fast-import --force` starts anew each time: no commit is the parent of another."""
    repo = builders.repo(tmp_path / "r", {b"a.py": CODE, b"b.py": OTHER})
    await world.visit(repo)
    await world.journal.forget_places(str(repo), "b.py")
    builders.commit(repo, [(b"a/b.py", CODE), (b"b.py", SHARED)], {})
    await world.visit(repo)
    assert await world.live() == {"r/a/b.py": "Python"}
    assert await world.reason(repo, "b.py") is Reason.TAKEN_DOWN
    builders.git(repo, "gc", "-q", "--prune=now")
    builders.commit(repo, [(b"a.py", OTHER), (b"c.py", CODE)], {})
    await world.visit(repo)
    assert await world.live() == {"r/c.py": "Python"}


async def test_a_lease_that_is_lost_ends_the_visit_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {b"m%d.py" % n: CODE.replace(b"area", b"area%d" % n) for n in range(40)}
    lost, kept = builders.repo(tmp_path / "lost", files), builders.repo(tmp_path / "kept", files)
    append, calls = world.journal.append, 0

    async def take_over_once(parts: list[Part]) -> Recorded:
        nonlocal calls
        calls += 1
        if calls == 2:
            visit = next(part.visit for part in parts)
            await world.journal.release(visit, "due", None)
        return await append(parts)

    monkeypatch.setattr(world.journal, "append", take_over_once)
    failed = await world.visit(lost, kept, chunk_files=1)
    assert len(failed) == 1
    assert "took over" in failed[0][1]
    monkeypatch.undo()
    assert await world.visit(lost, kept) == []
    assert len(await world.live()) == 40


async def test_a_recorder_that_dies_ends_the_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {b"m%d.py" % n: CODE.replace(b"area", b"area%d" % n) for n in range(40)}
    repo = builders.repo(tmp_path / "r", files)

    async def full(_: list[Part]) -> Recorded:
        raise Fatal("no room left")

    monkeypatch.setattr(world.journal, "append", full)
    with pytest.RaisesGroup(Fatal, flatten_subgroups=True):
        await world.visit(repo, chunk_files=1)


async def test_who_stops_while_the_network_fails_has_a_source_that_is_due(world: World) -> None:
    tally = Tally()

    def opener(_: Repo) -> AbstractContextManager[Tree]:
        pipeline.stop()
        raise Transient("no route to host")

    pipeline = world.pipeline(tally, PipelineLimits(), opener)
    await pipeline.run([Repo("o/r", "https://host.example/o/r")])
    assert tally.failed == []
    [row] = await world.journal.repositories(due_only=True)
    assert (row.state, row.reason) == ("due", "interrupted")


# -- whatever is due ------------------------------------------------------------------------------


class Told(DatabaseQueues):
    """Remembers what it is told, and says that everything is known."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.paths: list[str] = []
        self.files = 0
        self.visits: list[tuple[int, bool]] = []

    async def known(self, hashes: Sequence[bytes]) -> list[bool]:
        return [True] * len(hashes)

    async def listed(self, repo: str, paths: Sequence[str]) -> None:
        self.paths += (f"{Path(repo).name}/{path}" for path in paths)

    async def recorded(self, files: int) -> None:
        self.files += files

    async def visited(self, repo_id: int, *, is_done: bool) -> None:
        self.visits.append((repo_id, is_done))


async def test_queues_hear_of_every_file_and_never_decide(world: World, tmp_path: Path) -> None:
    whole = builders.repo(tmp_path / "whole", {b"a.py": CODE, b"sub/b.py": OTHER, b"c.md": CODE})
    broken = builders.missing_object(tmp_path / "broken", {b"d.py": CODE, b"e.py": b"#"}, [b"e.py"])
    ids = [await world.journal.register(local(one)) for one in (whole, broken)]
    queues, tally = Told(world.journal), Tally()
    await world.serving(tally, queues)[1]
    assert sorted(queues.paths) == [
        "broken/d.py", "broken/e.py", "whole/a.py", "whole/c.md", "whole/sub/b.py",
    ]  # fmt: skip
    assert queues.files == 5
    assert sorted(queues.visits) == [(ids[0], True), (ids[1], False)]
    assert len(await world.live()) == 2  # texts came, though all were said to be there


async def test_what_a_visit_that_fails_did_not_send_is_counted_out(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = builders.repo(tmp_path / "r", {b"m%d.py" % n: CODE + b"#%d\n" % n for n in range(9)})
    await world.journal.register(local(repo))
    queues, tally = Told(world.journal), Tally()
    pipeline, serving = world.serving(tally, queues, chunk_files=1)
    monkeypatch.setattr(queues, "listed", _then(queues.listed, pipeline.stop))
    await serving
    assert queues.files == len(queues.paths) == 9
    [row] = await world.journal.repositories(due_only=True)
    assert (row.state, row.reason, row.attempts) == ("due", "interrupted", 0)


def _then(work: Callable[..., Any], also: Callable[[], None]) -> Callable[..., Any]:
    async def both(*given: Any) -> Any:
        result = await work(*given)
        also()
        return result

    return both


class Away:
    """A method that fails so often before it works."""

    def __init__(self, method: Callable[..., Any], failures: int) -> None:
        self.method, self.failures, self.calls = method, failures, 0

    async def __call__(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls <= self.failures:
            raise Transient("the store is away")
        return await self.method(*given, **named)


@pytest.mark.parametrize("name", ["append", "finish", "known_oids", "reason_counts", "claim_next"])
async def test_an_outage_of_the_journal_is_waited_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    repo = builders.repo(tmp_path / "r", {b"a.py": CODE})
    await world.journal.register(local(repo))
    monkeypatch.setattr(world.journal, name, Away(getattr(world.journal, name), 2))
    tally = Tally()
    await world.serving(tally)[1]
    assert (tally.done, tally.failed, tally.away) == ([str(repo)], [], None)
    assert await world.live() == {"r/a.py": "Python"}


async def test_a_visit_that_the_journal_fails_is_due_at_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = builders.repo(tmp_path / "r", {b"a.py": CODE})
    await world.journal.register(local(repo))
    oids = Away(world.journal.known_oids, 1)
    monkeypatch.setattr(world.journal, "known_oids", oids)
    tally = Tally()
    await world.serving(tally, journal_patience_s=0.01)[1]
    assert tally.failed == [(str(repo), "the store is away")]
    assert tally.done == [str(repo)]  # by the next claim
    assert oids.calls == 2


async def test_who_stops_while_the_journal_is_away_does_not_wait_for_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = builders.repo(tmp_path / "r", {b"a.py": CODE})
    await world.journal.register(local(repo))
    tally = Tally()
    pipeline, serving = world.serving(tally)

    async def away(_: Sequence[Part]) -> Recorded:
        pipeline.stop()
        raise Transient("the store is away")

    monkeypatch.setattr(world.journal, "append", away)
    await serving
    assert tally.failed == [(str(repo), "the store is away")]
    [row] = await world.journal.repositories(due_only=True)
    assert (row.state, row.attempts) == ("due", 0)


def license_text(name: str) -> bytes:
    return f"SPDX-License-Identifier: {name}\n".encode()


ATTRIBUTES = b"""\
lib/** linguist-vendored
vendor/own/** -linguist-vendored
made.py linguist-generated
*.inc linguist-language=PHP
marked.py -linguist-generated
"""


async def test_attributes_decide_as_the_repository_says(world: World, tmp_path: Path) -> None:
    marked = b"# Code generated by hand. DO NOT EDIT.\n" + CODE
    files = {
        b".gitattributes": ATTRIBUTES,
        b"lib/a.py": CODE + b"# a\n",
        b"vendor/own/b.py": CODE + b"# b\n",
        b"vendor/c.py": CODE + b"# c\n",
        b"made.py": CODE + b"# d\n",
        b"page.inc": b"<?php\nfunction area($w, $h) {\n  return $w * $h;\n}\necho area(2, 3);\n",
        b"marked.py": marked,
        b"other.py": marked + b"# e\n",
    }
    repo = builders.repo(tmp_path / "r", files)
    for source in (repo, builders.folder(tmp_path / "folder", files)):
        await world.visit(source)
        assert await world.reason(source, "lib/a.py") is Reason.VENDORED
        assert await world.reason(source, "vendor/own/b.py") is None
        assert await world.reason(source, "vendor/c.py") is Reason.VENDORED
        assert await world.reason(source, "made.py") is Reason.GENERATED
        assert await world.reason(source, "marked.py") is None
        assert await world.reason(source, "other.py") is Reason.GENERATED
    assert (await world.live())["folder/page.inc"] == "PHP"


async def test_changed_attributes_reach_files_that_did_not_change(
    world: World, tmp_path: Path
) -> None:
    repo = builders.repo(tmp_path / "r", {b"lib/a.py": CODE})
    await world.visit(repo)
    said = (b".gitattributes", b"lib/* linguist-vendored\n")
    builders.commit(repo, [(b"lib/a.py", CODE), said], {})
    await world.visit(repo)
    assert await world.reason(repo, "lib/a.py") is Reason.VENDORED
    builders.commit(repo, [(b"lib/a.py", CODE)], {})
    await world.visit(repo)
    assert await world.live() == {"r/lib/a.py": "Python"}


async def test_a_file_has_the_license_of_its_header_or_its_folder(
    world: World, tmp_path: Path
) -> None:
    own = b"# SPDX-License-Identifier: ISC\n" + CODE
    files = {
        b"LICENSE": license_text("MIT"),
        b"a.py": CODE,
        b"own.py": own,
        b"sub/LICENSE.txt": license_text("Apache-2.0"),
        b"sub/deep/b.py": OTHER,
    }
    repo = builders.repo(tmp_path / "r", files)
    await world.visit(repo)
    licenses = {
        path: await world.license(repo, path) for path in ("a.py", "own.py", "sub/deep/b.py")
    }
    assert licenses == {"a.py": "MIT", "own.py": "ISC", "sub/deep/b.py": "Apache-2.0"}
    [row] = await world.journal.repositories()
    assert row.standing.license == "MIT"


async def test_a_changed_license_reaches_files_that_did_not_change(
    world: World, tmp_path: Path
) -> None:
    repo = builders.repo(tmp_path / "r", {b"LICENSE": license_text("MIT"), b"a.py": CODE})
    await world.visit(repo)
    changed = [(b"LICENSE", license_text("GPL-3.0-only")), (b"a.py", CODE)]
    builders.commit(repo, changed, {})
    await world.visit(repo)
    [live] = await world.journal.live(0, 10)
    assert str(live.license).startswith("GPL-3.0")
    assert (await world.journal.read(0, 10))[-1].op is Op.REVISE


async def test_only_accepted_licenses_are_recorded(world: World, tmp_path: Path) -> None:
    """And a file that was left out for its license comes in when that changes."""
    permissive = replace(ANY, licenses="permissive")
    repo = builders.repo(tmp_path / "r", {b"a.py": CODE, b"LICENSE": license_text("GPL-3.0-only")})
    await world.visit(repo, settings=permissive)
    assert await world.reason(repo, "a.py") is Reason.LICENSE
    builders.commit(repo, [(b"LICENSE", license_text("MIT")), (b"a.py", CODE)], {})
    await world.visit(repo, settings=permissive)
    assert await world.live() == {"r/a.py": "Python"}
    builders.commit(repo, [(b"a.py", CODE)], {})
    await world.visit(repo, settings=permissive)
    assert await world.live() == {}


async def test_what_is_known_elsewhere_keeps_its_own_license(world: World, tmp_path: Path) -> None:
    own = b"# SPDX-License-Identifier: ISC\n" + CODE
    first = builders.repo(tmp_path / "a", {b"a.py": own, b"b.py": CODE})
    second = builders.repo(
        tmp_path / "b", {b"a.py": own, b"b.py": CODE, b"LICENSE": license_text("MIT")}
    )
    await world.visit(first)
    await world.visit(second)
    assert await world.license(second, "a.py") == "ISC"
    assert await world.license(second, "b.py") == "MIT"
    assert await world.license(first, "b.py") is None
