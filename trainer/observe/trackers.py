"""Where a training's figures go: into tables, and by transformers' own integrations to Weights &
Biases and TensorBoard."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from codelupe_daemon.errors import Transient, UsageError
from trainer.profile import Profile
from trainer.registry.base import Registry
from trainer.types import Progress

FLUSH_S = 2.0
PROGRESS_MAX = 1000
"""So many steps, the newest, are written down at once."""

INIT_S = 30.0
FINISH_S = 60.0
"""For what is not yet uploaded when a round ends; it can be sent later by `wandb sync`."""
TENSORBOARD = "TENSORBOARD_LOGGING_DIR"


def check(profile: Profile) -> None:
    """Raises `UsageError` where the profile reports to what is not installed."""
    for name in profile.training.report_to:
        if find_spec(name) is None:
            raise UsageError(
                f"training.report_to names {name}, which is not installed: `pip install {name}`,"
                " or take it out of the profile"
            )


@contextmanager
def tracking(
    profile: Profile, session_id: str, name: str, folder: Path, tell: Callable[[str], None]
) -> Iterator[None]:
    """Around a round's training, whose `TrainingArguments` get `training.report_to`. It waits for
    servers, so it is not for an event loop.

    Event files and W&B's run lie in `folder`, under the session's id; a round that is gone on with
    after a crash goes on in the same run. A server that is away costs no round: the run is
    recorded offline.
    """
    check(profile)
    before = os.environ.get(TENSORBOARD)
    os.environ[TENSORBOARD] = str(folder / "tensorboard" / session_id)
    run = None
    try:
        if "wandb" in profile.training.report_to:
            run = _wandb_run(profile, session_id, name, folder, tell)
        yield
    finally:
        if run is not None:
            run.finish()
        os.environ.pop(TENSORBOARD)
        if before is not None:
            os.environ[TENSORBOARD] = before


def _wandb_run(
    profile: Profile, session_id: str, name: str, folder: Path, tell: Callable[[str], None]
) -> Any:
    """The run that transformers then finds. Its console output and code are not recorded."""
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(
        console="off", silent=True, save_code=False, init_timeout=INIT_S, login_timeout=INIT_S,
        finish_timeout=FINISH_S,
    )  # fmt: skip
    run = {
        "project": os.environ.get("WANDB_PROJECT", "codelupe"), "group": profile.name,
        "id": session_id, "name": name, "dir": folder, "resume": "allow",
        "config": {"profile": profile.model_dump(mode="json")}, "settings": settings,
    }  # fmt: skip
    try:
        return wandb.init(**run)
    except wandb.errors.UsageError as error:
        raise UsageError(
            f"training.report_to names wandb, which says: {error} Or set WANDB_MODE=offline"
        ) from error
    except wandb.errors.Error as error:
        tell(f"wandb is away, this round is recorded offline in {folder}: {error}")
        wandb.teardown()
        return wandb.init(**run | {"mode": "offline", "resume": None})


@asynccontextmanager
async def recording(
    registry: Registry, session_id: str, told: Callable[[Progress], None]
) -> AsyncIterator[Callable[[Progress], None]]:
    """While the body runs, what it tells of its progress, from any thread, is handed on to `told`
    and written down."""
    loop = asyncio.get_running_loop()
    waiting: list[Progress] = []

    def tell(progress: Progress) -> None:
        told(progress)
        loop.call_soon_threadsafe(waiting.append, progress)

    async def flush() -> None:
        if count := len(waiting):
            with suppress(Transient):  # written down with the next
                await registry.add_progress(session_id, waiting[:count][-PROGRESS_MAX:])
                del waiting[:count]

    async def flush_again_and_again() -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await flush()

    flushing = asyncio.create_task(flush_again_and_again())
    try:
        yield tell
    finally:
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        await flush()
