"""Random lives of a few repositories, against a model that fits on a page.

The model keeps what each repository lists, its standing and what was taken down; the right state
is then simply the best place of each text. Only visits that did not complete make it less exact.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from codelupe_daemon.model import Op, Reason, Standing, place_key
from tests.builders import FULL
from tests.contract.build import DEAD, LEASE_S, Files, Ingest, hash_of, repo, text
from tests.contract.stores import STORES, Places

EXAMPLES = 1000 if FULL else 40
TEXTS = [text(word) for word in "abcd"]
NAMES = ["o/one", "o/two", "p/three"]
PATHS = ["a.py", "b.py", "lib/a.py", "lib/c.py"]
STANDINGS = [Standing(), Standing("MIT", 1), Standing("MIT", 2), Standing("GPL-3.0-only", 9)]

names = st.sampled_from(NAMES)
standings = st.sampled_from(STANDINGS)
sources = st.sampled_from([*TEXTS, Reason.MINIFIED])
listings = st.dictionaries(st.sampled_from(PATHS), sources, max_size=4)


class Model:
    """The right state, computed from scratch whenever it is asked for."""

    def __init__(self) -> None:
        self.listed: dict[str, dict[str, str]] = {}
        self.standing: dict[str, Standing] = {}
        self.closed: set[tuple[str, str]] = set()
        self.gone: set[str] = set()
        self.incomplete: set[str] = set()

    def record(self, name: str, files: Files) -> None:
        listed = self.listed.setdefault(name, {})
        for path, what in files.items():
            listed.pop(path, None)
            if isinstance(what, Reason) or what in self.gone or (name, path) in self.closed:
                continue
            listed[path] = what

    def retire(self, name: str, files: Files) -> None:
        listed = self.listed.setdefault(name, {})
        self.listed[name] = {path: what for path, what in listed.items() if path in files}

    def live(self) -> dict[str, str]:
        """text -> repo/path of its best place."""
        places = [
            (place_key(self.standing[name], name, path), what, f"{name}/{path}")
            for name, listed in self.listed.items()
            for path, what in listed.items()
        ]
        return {what: at for _, what, at in sorted(places, reverse=True)}


class JournalMachine(RuleBasedStateMachine):
    """Every rule is one thing that ingest or a person does; the model does the same."""

    store: str
    new_place: Places

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.place = type(self).new_place()
        self.journal = STORES[self.store](self.place.__enter__())
        self.loop.run(self.journal.open(create=True))
        self.ingest = Ingest(self.journal)
        self.model = Model()

    def teardown(self) -> None:
        for name in sorted(self.model.incomplete):
            self.complete(name, dict(self.model.listed[name]), self.model.standing[name])
        self.state_is_right()
        self.loop.run(self.journal.close())
        self.loop.close()
        self.place.__exit__(None, None, None)

    @rule(name=names, files=listings, standing=standings)
    def complete(self, name: str, files: Files, standing: Standing) -> None:
        known = repo(name, standing.license, standing.stars)
        self.loop.run(self.ingest.complete(known, files))
        self.model.record(name, files)
        self.model.retire(name, files)
        self.model.standing[name] = standing
        self.model.incomplete.discard(name)

    @rule(name=names, files=listings, unreadable=st.sampled_from(PATHS))
    def partial(self, name: str, files: Files, unreadable: str) -> None:
        """One file could not be read; whatever it held is still held to be there."""
        read = {path: what for path, what in files.items() if path != unreadable}
        self.begin_model(name)
        self.loop.run(self.ingest.partial(name, {**read, unreadable: Reason.UNREADABLE}))
        self.model.record(name, read)

    @rule(name=names, files=listings)
    def crash(self, name: str, files: Files) -> None:
        """The process ends between an append and the end of the visit."""

        async def until_killed() -> None:
            repo_id = await self.journal.register(repo(name))
            visit = await self.journal.claim(repo_id, DEAD, LEASE_S)
            assert visit is not None
            await self.ingest.record(visit, files)

        self.begin_model(name)
        self.loop.run(until_killed())
        self.model.record(name, files)

    def begin_model(self, name: str) -> None:
        self.model.standing.setdefault(name, Standing())
        self.model.listed.setdefault(name, {})
        self.model.incomplete.add(name)

    @precondition(lambda self: not self.model.incomplete)
    @rule(name=names, path=st.sampled_from(PATHS))
    def forget_path(self, name: str, path: str) -> None:
        before = self.model.live()
        held = self.places_ever(name, path)
        self.loop.run(self.journal.forget_places(name, path))
        self.model.closed.add((name, path))
        held |= set(filter(None, [self.model.listed.get(name, {}).pop(path, None)]))
        self.model.gone |= {what for what in held if what not in self.model.live()}
        assert self.model.live().keys() <= before.keys()

    def places_ever(self, name: str, path: str) -> set[str]:
        """Texts that the journal ever placed there: a takedown of the place speaks of them too."""
        rows = self.loop.run(self.journal.read(0, 10**6))
        texts = {hash_of(source): source for source in TEXTS}
        return {
            texts[row.content_hash]
            for row in rows
            if (row.place.repo, row.place.path) == (name, path)
        }

    @rule(source=st.sampled_from(TEXTS))
    def forget_content(self, source: str) -> None:
        self.loop.run(self.journal.forget_content(hash_of(source)))
        self.model.gone.add(source)
        for listed in self.model.listed.values():
            for path in [path for path, what in listed.items() if what == source]:
                del listed[path]

    @invariant()
    def state_is_right(self) -> None:
        live = self.loop.run(self.ingest.live())
        expected = self.model.live()
        if self.model.incomplete:
            assert live.keys() >= expected.keys()
        else:
            assert live == expected
        assert not live.keys() & self.model.gone
        assert self.loop.run(self.replayed()) == live

    @invariant()
    def verify_is_clean(self) -> None:
        assert self.loop.run(self.journal.verify())[1] == []

    async def replayed(self) -> dict[str, str]:
        """What a consumer that read every op from 0 holds to be live, and where."""
        texts = {hash_of(source): source for source in TEXTS}
        held: dict[str, str] = {}
        for row in await self.journal.read(0, 10**6):
            source = texts[row.content_hash]
            assert (source in held) == (row.op is not Op.ADD)
            if row.op is Op.REMOVE:
                del held[source]
            else:
                held[source] = f"{row.place.repo}/{row.place.path}"
        return held


@pytest.mark.timeout(600)
def test_random_lives_end_in_the_right_state(store: str, new_place: Places) -> None:
    made = {"store": store, "new_place": staticmethod(new_place)}
    machine = type(f"Machine_{store}", (JournalMachine,), made)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )
