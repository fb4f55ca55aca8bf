"""The trainer over HTTP: figures for Prometheus, JSON for scripts, and whether it lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from codelupe_daemon.errors import Fatal
from trainer.observe.metrics import registry_of
from trainer.observe.state import Doing, State

HOST = "127.0.0.1"
SHUTDOWN_S = 2.0
UNREADY = {Doing.STARTING, Doing.AWAY, Doing.STOPPING}


@asynccontextmanager
async def serving(state: State, port: int) -> AsyncIterator[int]:
    """Serve while the body runs; yields the port (0 asks for a free one).

    Raises `Fatal` where the address cannot be had.
    """
    runner = web.AppRunner(_app(state), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await _listen(runner, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        raise Fatal(
            f"cannot serve figures on {HOST}:{port} ({error.strerror}): name another port with"
            " --port, or 0 for any that is free"
        ) from error


def _app(state: State) -> web.Application:
    served = _Served(state, registry_of(state))
    app = web.Application()
    app.add_routes([
        web.get("/metrics", served.metrics), web.get("/status", served.status),
        web.get("/health", served.health), web.get("/healthz", served.healthz),
        web.get("/readyz", served.readyz),
    ])  # fmt: skip
    return app


class _Served:
    def __init__(self, state: State, registry: CollectorRegistry) -> None:
        self._state, self._registry = state, registry

    async def metrics(self, request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": kind})

    async def status(self, _: web.Request) -> web.Response:
        return _json(self._state.status())

    async def health(self, _: web.Request) -> web.Response:
        """Keys that scripts rely on: status, model_loaded, last_trained_id."""
        state = self._state
        said = "unhealthy" if state.is_stuck() else "healthy"
        return _json(
            {
                "status": said, "model_loaded": state.is_model_loaded,
                "last_trained_id": state.watermark, "state": state.doing,
                "active_version": state.active_version, "problem": state.problem,
            },
            is_well=not state.is_stuck(),
        )  # fmt: skip

    async def healthz(self, _: web.Request) -> web.Response:
        """That it is answered says that the loop lives; 503: training hangs."""
        is_well = not self._state.is_stuck()
        return _json({"alive": is_well}, is_well=is_well)

    async def readyz(self, _: web.Request) -> web.Response:
        """503 while it cannot take work: it starts, stops, or its database is away."""
        is_ready = self._state.doing not in UNREADY
        return _json({"ready": is_ready, "state": self._state.doing}, is_well=is_ready)


def _json(content: dict[str, Any], *, is_well: bool = True) -> web.Response:
    """What is infinite or no number is null."""
    return web.Response(
        body=orjson.dumps(content), content_type="application/json", status=200 if is_well else 503
    )
