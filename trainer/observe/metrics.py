"""The state as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trainer.observe.state import Doing, Gpu, Hardware, State

PREFIX = "codelupe_trainer_"
GAUGES: dict[str, tuple[str, Callable[[State], float | None]]] = {
    "loss": ("Training loss of the latest step.", lambda it: it.progress.loss),
    "learning_rate": ("Of the latest step.", lambda it: it.progress.learning_rate),
    "gradient_norm": ("Before clipping, of the latest step.", lambda it: it.progress.grad_norm),
    "step": ("Optimizer steps of the round so far.", lambda it: it.progress.step),
    "steps_planned": ("Optimizer steps of the whole round.", lambda it: it.progress.steps),
    "tokens_per_second": ("Supervised tokens a second.", lambda it: it.progress.tokens_per_s),
    "speed_of_light_ratio": (
        "Share of the card's peak that the necessary matrix products take.",
        lambda it: it.progress.speed_of_light,
    ),
    "packing_fill_ratio": ("Of a batch that is no padding.", lambda it: it.progress.packing_fill),
    "watermark": ("Up to which row all were considered.", lambda it: it.watermark),
    "watermark_lag_rows": ("Rows not considered yet.", lambda it: max(0, it.head - it.watermark)),
    "pending_rows": ("New rows that may be trained on.", lambda it: it.pending),
    "last_run_timestamp_seconds": ("When the last round ended.", lambda it: it.last_run),
    "model_loaded": ("Whether a model is in memory.", lambda it: it.is_model_loaded),
}
COUNTERS: dict[str, tuple[str, Callable[[State], float]]] = {
    "steps": ("Optimizer steps of this process.", lambda it: it.steps_total),
    "tokens": ("Supervised tokens of this process.", lambda it: it.tokens_total),
    "samples_trained": ("Rows of all rounds.", lambda it: it.samples_trained),
    "runs": ("Rounds that ended, of all processes.", lambda it: it.runs),
}
OF_MACHINE: dict[str, tuple[str, Callable[[Hardware], float]]] = {
    "cpu_utilization_ratio": ("Of all cores.", lambda it: it.cpu),
    "memory_used_bytes": ("RAM.", lambda it: it.memory_used_bytes),
    "memory_size_bytes": ("RAM.", lambda it: it.memory_total_bytes),
}
OF_GPU: dict[str, tuple[str, Callable[[Gpu], float | None]]] = {
    "utilization_ratio": ("Share of the time it was busy.", lambda it: it.utilization),
    "memory_used_bytes": ("Of the card.", lambda it: it.memory_used_bytes),
    "memory_size_bytes": ("Of the card.", lambda it: it.memory_total_bytes),
    "temperature_celsius": ("Of the card.", lambda it: it.temperature_c),
    "power_watts": ("What it draws.", lambda it: it.power_w),
    "clock_hertz": ("Of its multiprocessors.", lambda it: it.clock_hz),
}


class Figures(Collector):
    """Figures that are not known are left out."""

    def __init__(self, state: State) -> None:
        self.state = state

    def collect(self) -> Iterator[Metric]:
        for name, (meaning, of) in GAUGES.items():
            if (value := of(self.state)) is not None:
                yield GaugeMetricFamily(PREFIX + name, meaning, value)
        for name, (meaning, count) in COUNTERS.items():
            yield CounterMetricFamily(PREFIX + name, meaning, count(self.state))
        yield from self._labelled()
        if machine := self.state.machine():
            for name, (meaning, tell) in OF_MACHINE.items():
                yield GaugeMetricFamily(PREFIX + name, meaning, tell(machine))
            yield from _of_gpus(machine)

    def _labelled(self) -> Iterator[Metric]:
        state = self.state
        losses = GaugeMetricFamily(PREFIX + "eval_loss", "The latest, by set.", labels=["set"])
        for name, loss in state.losses.items():
            losses.add_metric([name], loss)
        rounds = CounterMetricFamily(
            PREFIX + "rounds", "Rounds that this process ended, by outcome.", labels=["outcome"]
        )
        for outcome, count in dict(state.rounds).items():
            rounds.add_metric([outcome], count)
        doing = GaugeMetricFamily(PREFIX + "state", "1 for what it is at.", labels=["state"])
        for it in Doing:
            doing.add_metric([it], it is state.doing)
        info = GaugeMetricFamily(
            PREFIX + "info", "The profile and its active version.", labels=["profile", "version"]
        )
        info.add_metric([state.profile, state.active_version or ""], 1)
        yield from (losses, rounds, doing, info)


def _of_gpus(machine: Hardware) -> Iterator[Metric]:
    for name, (meaning, of) in OF_GPU.items():
        family = GaugeMetricFamily(f"{PREFIX}gpu_{name}", meaning, labels=["gpu", "name"])
        for gpu in machine.gpus:
            if (value := of(gpu)) is not None:
                family.add_metric([str(gpu.index), gpu.name], value)
        yield family


def registry_of(state: State) -> CollectorRegistry:
    """A registry of its own: a library's figures in the global one are not ours."""
    registry = CollectorRegistry()
    registry.register(Figures(state))
    ProcessCollector(registry=registry)
    return registry
