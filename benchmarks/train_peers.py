"""One epoch of the same documents by each contestant, timed from its first step to its last."""

from __future__ import annotations

import importlib.util
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from benchmarks.train_data import Documents, Scale, documents_of, profile_of, rows_of
from trainer.finetune.collate import IGNORED


class Job(NamedTuple):
    folder: Path
    scale: Scale
    is_lora: bool
    device: str | None
    micro_batch: int
    """Rows of a forward pass."""


class Outcome(NamedTuple):
    """`loss`: the mean of the steps' losses; `speed_of_light`: where the card's peak is known."""

    supervised: int
    seconds: float
    cpu_s: float
    loss: float
    peak_mb: float
    speed_of_light: float | None = None

    @property
    def tokens_s(self) -> float:
        return self.supervised / self.seconds


def ours(job: Job) -> Outcome:
    from tests.trainer.finetune.rows import Rows
    from trainer.finetune import finetune, recipe
    from trainer.finetune.engine import Engine
    from trainer.memory import Batches
    from trainer.types import Progress, Trained

    loaded, clock = _loaded(job), _clock()
    plan = Batches(job.micro_batch, job.scale.batch // job.micro_batch)
    told: list[float | None] = []

    def clocked(*arguments: Any, **named: Any) -> Engine:
        engine = Engine(*arguments, **named)
        engine.add_callback(clock)
        return engine

    def tell(progress: Progress) -> None:
        told.append(progress.speed_of_light)

    with tempfile.TemporaryDirectory() as work, patch.object(recipe, "Engine", clocked):
        trained = finetune(
            profile_of(job.scale, job.folder / "model", is_lora=job.is_lora), loaded,
            Rows(rows_of(job.folder, job.scale.rows)), {}, Path(work),
            plan=plan, stop=threading.Event(), told=tell,
        )  # fmt: skip
    assert isinstance(trained, Trained)
    shares = [share for share in told if share is not None]
    light = statistics.median(shares) if shares else None
    loss = trained.train_loss
    return Outcome(trained.tokens, clock.wall_s, clock.cpu_s, loss, _peak_mb(), light)


def padding(job: Job) -> Outcome:
    """`transformers.Trainer`: batches of documents, each padded to its longest. A forward pass has
    as many documents as ours has in its rows, on average."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    loaded, documents = _loaded(job), _documents(job)
    size = round(len(documents.input_ids) / job.scale.rows * job.micro_batch)
    with tempfile.TemporaryDirectory() as work:
        trainer = Trainer(
            loaded.model,
            TrainingArguments(work, **_arguments(job, loaded, size)),
            data_collator=DataCollatorForSeq2Seq(loaded.tokenizer, padding="longest"),
            train_dataset=Dataset.from_dict(documents._asdict()),
        )
        return _timed(trainer)


def trl(job: Job) -> Outcome:
    """Its packing; no document is longer than a row, so that nothing is cut. It makes one sequence
    of a forward pass's rows: without Flash Attention it is fastest with a row at a time."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    loaded, documents = _loaded(job), _documents(job)
    if loaded.device.attention == "sdpa":
        job = job._replace(micro_batch=1)
    with tempfile.TemporaryDirectory() as work:
        config = SFTConfig(
            work,
            **_arguments(job, loaded, job.micro_batch),
            packing=True,
            packing_strategy="bfd",
            max_length=job.scale.length,
        )
        trainer = SFTTrainer(
            loaded.model,
            config,
            processing_class=loaded.tokenizer,
            train_dataset=Dataset.from_dict(documents._asdict()),
        )
        return _timed(trainer)


PEERS: dict[str, Callable[[Job], Outcome]] = {"ours": ours, "padding": padding, "trl": trl}


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _loaded(job: Job) -> Any:
    from trainer.devices import device
    from trainer.models.load import load

    profile = profile_of(job.scale, job.folder / "model", is_lora=job.is_lora)
    return load(profile, device(job.device, profile), adapter=None, scratch=None)


def _documents(job: Job) -> Documents:
    return documents_of(rows_of(job.folder, job.scale.rows))


def _arguments(job: Job, loaded: Any, size: int) -> dict[str, Any]:
    """As the recipe sets them."""
    return {
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": job.scale.batch // job.micro_batch,
        "num_train_epochs": 1,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "optim": "adamw_torch_fused",
        "bf16": loaded.device.precision == "bf16",
        "tf32": True if loaded.device.kind == "cuda" else None,
        "use_cpu": loaded.device.kind == "cpu",
        "activation_checkpointing": False,
        "seed": 42,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _timed(trainer: Any) -> Outcome:
    """Train, and count what is learned in the batches as they are made."""
    from transformers import PrinterCallback

    counted = 0
    collate = trainer.data_collator

    def count(examples: Any) -> Any:
        nonlocal counted
        batch = collate(examples)
        counted += int((batch["labels"] != IGNORED).sum())
        return batch

    clock = _clock()
    trainer.data_collator = count
    trainer.add_callback(clock)
    trainer.remove_callback(PrinterCallback)
    done = trainer.train()
    return Outcome(counted, clock.wall_s, clock.cpu_s, done.training_loss, _peak_mb())


def _clock() -> Any:
    """Sums what steps take, with their batches; not what is measured or saved between them."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        wall_s = cpu_s = 0.0
        began = (0.0, 0.0)

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter(), time.process_time()

        on_evaluate = on_save = on_train_begin

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.wall_s += time.perf_counter() - self.began[0]
            self.cpu_s += time.process_time() - self.began[1]
            self.on_train_begin()

    return Clock()


def _peak_mb() -> float:
    """Of the card where there is one, else of the process."""
    import torch

    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 1e6
        torch.cuda.empty_cache()
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
