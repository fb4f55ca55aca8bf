"""What the trainer serves, asked over HTTP as Prometheus, a load balancer and a script do."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from typing import Any

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from codelupe_daemon.errors import Fatal
from tests.servers.fixtures import not_had
from tests.trainer.observe.states import progress, training
from trainer.observe.http import serving
from trainer.observe.state import STALL_S, Doing, State

STATUS_KEYS = (
    "watermark", "pending", "state", "session", "runs", "samples_trained", "last_run",
    "active_version",
)  # fmt: skip


async def get(state: State, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, content type and body of an answer."""
    async with serving(state, port=0) as port, aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{port}{path}"
        async with client.get(url, headers=headers) as answer:
            return answer.status, answer.headers["Content-Type"], await answer.text()


async def json_of(state: State, path: str) -> tuple[int, Any]:
    status, kind, text = await get(state, path)
    assert kind == "application/json"
    return status, json.loads(text)


def figures(text: str) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels."""
    return {
        (sample.name.removeprefix("codelupe_trainer_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_figure() -> None:
    status, kind, text = await get(training(), "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = figures(text)
    expected = {
        ("loss",): 2.4, ("eval_loss", "validation"): 2.25, ("learning_rate",): 1e-4,
        ("gradient_norm",): 0.5, ("tokens_per_second",): 1250, ("tokens_total",): 10_000,
        ("steps_total",): 10, ("step",): 10, ("steps_planned",): 40,
        ("speed_of_light_ratio",): 0.6, ("packing_fill_ratio",): 0.99,
        ("watermark",): 1000, ("watermark_lag_rows",): 500, ("pending_rows",): 350,
        ("rounds_total", "completed"): 2, ("rounds_total", "not_promoted"): 1,
        ("runs_total",): 3, ("samples_trained_total",): 2400,
        ("last_run_timestamp_seconds",): 1_760_000_000, ("model_loaded",): 1,
        ("info", "tiny", "v0003"): 1, ("cpu_utilization_ratio",): 0.25,
        ("memory_used_bytes",): 3 << 30, ("memory_size_bytes",): 8 << 30,
        ("gpu_utilization_ratio", "0", "Card 5090"): 0.97,
        ("gpu_memory_used_bytes", "0", "Card 5090"): 21 << 30,
        ("gpu_memory_size_bytes", "0", "Card 5090"): 32 << 30,
        ("gpu_temperature_celsius", "0", "Card 5090"): 61,
        ("gpu_power_watts", "0", "Card 5090"): 430.5,
        ("gpu_clock_hertz", "0", "Card 5090"): 2.4e9,
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected
    ours = {name for name in found if not name[0].startswith("process_")}
    assert ours - expected.keys() == {("state", doing) for doing in Doing}
    assert [name[1] for name in found if name[0] == "state" and found[name] == 1] == ["training"]
    assert found["process_resident_memory_bytes",] > 0


async def test_what_is_not_known_is_left_out() -> None:
    state = State("tiny")
    state.enter(Doing.TRAINING, "r1")
    state.told(progress(1, eval_loss=None, speed_of_light=None, grad_norm=float("inf")))
    _, _, text = await get(state, "/metrics")
    found = figures(text)
    assert found["gradient_norm",] == float("inf")
    absent = ("eval_loss", "speed_of_light_ratio", "last_run_timestamp_seconds", "gpu_power_watts")
    assert [name for name in found if name[0].startswith(absent)] == []


async def test_open_metrics_for_who_asks() -> None:
    _, kind, text = await get(training(), "/metrics", Accept="application/openmetrics-text")
    assert kind.startswith("application/openmetrics-text")
    families = open_metrics(text)  # type: ignore[no-untyped-call]  # this parser has no types
    assert "codelupe_trainer_tokens" in {family.name for family in families}


async def test_promtool_finds_nothing_to_mend() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        not_had("promtool is missing: Debian has it in the package prometheus")
    _, _, text = await get(training(), "/metrics")
    ours = "".join(it for it in text.splitlines(keepends=True) if "process_" not in it)
    checked = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=ours, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


async def test_health_has_the_keys_that_scripts_read() -> None:
    status, health = await json_of(training(), "/health")
    assert status == 200
    assert (health["status"], health["model_loaded"], health["last_trained_id"]) == (
        "healthy", True, 1000,
    )  # fmt: skip


async def test_status() -> None:
    status, told = await json_of(training(), "/status")
    assert status == 200
    assert tuple(told)[: len(STATUS_KEYS)] == STATUS_KEYS
    assert [told[key] for key in STATUS_KEYS] == [
        1000, 350, "training", "r4", 3, 2400, 1_760_000_000, "v0003",
    ]  # fmt: skip
    assert (told["progress"]["step"], told["progress"]["left_s"]) == (10, 60.0)
    assert told["hardware"]["gpus"][0]["name"] == "Card 5090"


async def test_status_with_figures_that_json_has_no_word_for() -> None:
    state = training()
    state.told(progress(11, loss=float("nan"), grad_norm=float("inf")))
    _, told = await json_of(state, "/status")
    assert (told["progress"]["loss"], told["progress"]["grad_norm"]) == (None, None)


@pytest.mark.parametrize("doing", list(Doing))
async def test_whether_it_is_ready(doing: Doing) -> None:
    state = State("tiny", doing)
    status, told = await json_of(state, "/readyz")
    is_ready = doing not in {Doing.STARTING, Doing.AWAY, Doing.STOPPING}
    assert (status, told) == (200 if is_ready else 503, {"ready": is_ready, "state": doing})
    assert (await json_of(state, "/healthz"))[0] == 200


async def test_training_that_hangs_is_not_healthy() -> None:
    state = training()
    state.moved_at_s = time.monotonic() - STALL_S - 1
    assert await json_of(state, "/healthz") == (503, {"alive": False})
    status, health = await json_of(state, "/health")
    assert (status, health["status"]) == (503, "unhealthy")


async def test_what_is_not_served() -> None:
    assert (await get(training(), "/"))[0] == 404


async def test_a_port_that_is_taken() -> None:
    async with serving(State("tiny"), port=0) as port:
        with pytest.raises(Fatal, match=rf"127\.0\.0\.1:{port} .*in use.*--port"):
            async with serving(State("tiny"), port=port):
                pass
