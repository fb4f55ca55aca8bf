"""The registry in tables, whatever database holds them: a store only runs the statements."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from codelupe_daemon.journal.sql import queries
from trainer.registry import columns, manifests, steps
from trainer.registry.base import Holder, Registry, Session, Totals, Version
from trainer.registry.steps import Steps, ask, each
from trainer.types import Manifest, Progress, SessionStatus, Side, Taken

T = TypeVar("T")
PACKAGE: Final = "trainer.registry.sql"


def statements(store: str) -> dict[str, str]:
    """Every statement by its name."""
    return queries(".", package=PACKAGE) | queries(store, package=PACKAGE)


class TableRegistry(Registry):
    """See `Registry`."""

    @abstractmethod
    async def _read(self, work: Steps[T]) -> T: ...

    @abstractmethod
    async def _write(self, work: Steps[T]) -> T:
        """Run the statements in one transaction of their own."""

    # -- who trains ---------------------------------------------------------------------------

    async def claim(self, profile: str, owner: str, lease_s: float) -> Holder | None:
        return await self._write(steps.claim(profile, owner, lease_s))

    async def renew(self, holder: Holder, lease_s: float) -> None:
        await self._write(steps.renew(holder, lease_s))

    async def release(self, holder: Holder) -> None:
        await self._write(steps.release(holder))

    # -- rounds -------------------------------------------------------------------------------

    async def watermark(self, profile: str, source: str) -> int:
        return await self._read(steps.watermark(profile, source))

    async def last_taken(self, profile: str, source: str) -> tuple[int, bytes] | None:
        found = await self._read(ask("last_taken", profile, source))
        return (found[0][0], bytes.fromhex(found[0][1])) if found else None

    async def begin(self, holder: Holder, manifest: Manifest, sides: Mapping[str, Side]) -> Session:
        digest = await asyncio.to_thread(manifests.digest, manifest)
        return await self._write(steps.begin(holder, manifest, digest, sides))

    async def open_session(self, profile: str) -> Session | None:
        return await self._read(steps.open_session(profile))

    async def manifest(self, session_id: str) -> Manifest:
        head, digest, examples = await self._read(steps.written(session_id))
        return await asyncio.to_thread(manifests.whole, head, examples, digest)

    async def mark(
        self, holder: Holder, session_id: str, status: SessionStatus, detail: Mapping[str, Any]
    ) -> None:
        await self._write(steps.mark(holder, session_id, status, detail))

    async def finish(
        self,
        holder: Holder,
        session_id: str,
        status: SessionStatus,
        *,
        reason: str | None = None,
        version: Version | None = None,
    ) -> None:
        await self._write(steps.finish(holder, session_id, status, reason, version))

    async def sessions(self, profile: str | None, limit: int) -> list[Session]:
        return list(map(columns.session, await self._read(ask("sessions", profile, limit))))

    async def totals(self, profile: str) -> Totals:
        [row] = await self._read(ask("totals", profile))
        return columns.totals(row)

    # -- what was seen ------------------------------------------------------------------------

    async def trained(self, profile: str, hashes: Sequence[bytes]) -> set[bytes]:
        named = [one.hex() for one in hashes]
        return {bytes.fromhex(one) for (one,) in await self._read(ask("trained", profile, named))}

    async def replay(self, profile: str, limit: int) -> list[Taken]:
        return await self._read(steps.seen(profile, Side.TRAIN, limit, rounds="ended_trained"))

    async def measured(self, profile: str, side: Side, limit: int) -> list[Taken]:
        return await self._read(steps.seen(profile, side, limit, rounds="ended"))

    async def sides(self, profile: str, keys: Sequence[str]) -> dict[str, Side]:
        return await self._read(steps.sides(profile, keys))

    async def all_sides(self, profile: str) -> dict[str, Side]:
        found = await self._read(ask("repository_sides", profile))
        return {key: Side(side) for key, side in found}

    # -- versions -----------------------------------------------------------------------------

    async def versions(self, profile: str | None = None) -> list[Version]:
        return list(map(columns.version, await self._read(ask("versions", profile))))

    async def activate(self, profile: str, version: str) -> None:
        await self._write(steps.activate(profile, version))

    # -- figures ------------------------------------------------------------------------------

    async def add_progress(self, session_id: str, rows: Sequence[Progress]) -> None:
        await self._write(
            each("add_progress", [columns.of_progress(session_id, one) for one in rows])
        )

    async def add_results(
        self, session_id: str, version: str | None, results: Mapping[str, float]
    ) -> None:
        bounds = [
            (f"{session_id}:{name}", session_id, version, name, columns.finite(value))
            for name, value in results.items()
        ]
        await self._write(each("add_result", bounds))
