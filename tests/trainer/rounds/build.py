"""A journal that grows, a tiny model, and a trainer over them in this process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from codelupe_daemon.config import Settings
from codelupe_daemon.journal.base import Journal
from codelupe_daemon.journal.clusters import ClusterStore
from codelupe_daemon.journal.sqlite import SqliteJournal
from codelupe_daemon.journal.sqlite_clusters import SqliteClusters
from codelupe_daemon.observe.events import Events
from tests.contract.build import Ingest, text
from tests.trainer import tiny
from tests.trainer.finetune.train import DEVICE
from trainer.intake.opening import source
from trainer.observe.state import State, Stop
from trainer.profile import Profile
from trainer.registry.opening import registry
from trainer.round import Parts

QUICK: Mapping[str, dict[str, Any]] = {
    "model": {"max_length": 64},
    "training": {"target_tokens": 512, "epochs": None, "min_epochs": 0.01},
    "evaluation": {"validation_rows_max": 64},
    "data": {"min_new_rows": 1, "min_quality": 0, "min_holdout_repos": 8, "recent_files": 4},
}
"""A few steps, however many rows."""


def profile(model: Path, /, **sections: dict[str, Any]) -> Profile:
    merged = {name: QUICK.get(name, {}) | sections.get(name, {}) for name in {*QUICK, *sections}}
    return tiny.profile(model, **merged)


def words(*names: str) -> dict[str, str]:
    """Files of a repository, each of another text."""
    return {f"{name}.py": text(name) for name in names}


class Place:
    """A store to write to, and trainers over it."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(store=str(folder / "store.db"), models_dir=folder / "models")
        self.journal: Journal = SqliteJournal(self.settings.store_path)
        self.clusters: ClusterStore = SqliteClusters(self.settings.store_path)
        self.ingest = Ingest(self.journal)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Place]:
        await self.journal.open(create=True)
        await self.clusters.open()
        try:
            yield self
        finally:
            await self.clusters.close()
            await self.journal.close()

    async def write(self, repo: str, *names: str) -> None:
        """A complete visit, and near-duplicates that have caught up with it."""
        await self.ingest.complete(repo, words(*names))
        await self.caught_up()

    async def caught_up(self) -> None:
        holder = await self.clusters.claim("near_duplicates", "test:boot:1:1", 60)
        assert holder is not None
        assert await self.clusters.advance(holder, await self.journal.last_id())
        assert await self.clusters.release(holder)

    @contextlib.asynccontextmanager
    async def trainer(self, of: Profile) -> AsyncIterator[Parts]:
        async with source(self.settings, "journal") as rows, registry(self.settings) as kept:
            state = State(of.name)
            models_dir = self.settings.models_dir.absolute()
            events = Events(is_quiet=True)
            yield Parts(of, DEVICE, rows, kept, models_dir, state, events, Stop(state))
