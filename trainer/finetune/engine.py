"""`transformers.Trainer` with packed rows, one exact loss, and a way out at every micro-batch."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import DistributedType, PartialState
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from trainer import distributed
from trainer.checkpoints import Sealing, is_sealed, path_of, size_bytes, telling_of_room
from trainer.errors import Diverged, OutOfMemory
from trainer.finetune.collate import Collator, Reader, Share, Stream, batches
from trainer.finetune.course import Course, learning_rate
from trainer.finetune.loss import causal_of
from trainer.finetune.speed import work_of
from trainer.models.load import Loaded
from trainer.profile import Profile
from trainer.types import Progress


class Halted(Exception):
    """Training leaves Trainer's loop: asked to, or out of memory (`is_of_memory`)."""

    def __init__(self, *, is_of_memory: bool) -> None:
        super().__init__()
        self.is_of_memory = is_of_memory


class Over(Exception):
    """A training was gone on with that had ended before."""


def refuse_among_others(error: torch.OutOfMemoryError) -> None:
    """The other processes of a training wait for this one and cannot be told: all must end."""
    if distributed.world_size() > 1:
        raise OutOfMemory(
            f"process {distributed.rank()} is out of memory: lower training.micro_batch"
        ) from error


class Engine(Trainer):  # type: ignore[misc]  # transformers is not typed
    """One training, from its start or from a checkpoint. `stop` is seen before every micro-batch;
    several processes agree on it."""

    lr_scheduler: Any
    control: Any

    def __init__(
        self,
        profile: Profile,
        loaded: Loaded,
        arguments: TrainingArguments,
        collator: Collator,
        rows: Reader,
        sets: Mapping[str, Reader],
        course: Course,
        *,
        stop: threading.Event,
        told: Callable[[Progress], None],
    ) -> None:
        self.profile, self.collator, self.rows, self.sets = profile, collator, rows, sets
        self.course, self.stop, self.told = course, stop, told
        self.stream: Stream | None = None
        self.restore_random = random_state()
        self.items: Any = 0
        self.work = work_of(loaded.model, causal_of(loaded.model))
        self.device = loaded.device
        self.trained_dtypes = {
            name: p.dtype for name, p in loaded.model.named_parameters() if p.requires_grad
        }
        sealing = Sealing(profile.model_saving.keep_checkpoints)
        super().__init__(loaded.model, arguments, callbacks=[Flow(self), sealing])
        self.remove_callback(PrinterCallback)

    # -- what Trainer asks for -----------------------------------------------------------------

    def create_accelerator_and_postprocess(self) -> None:
        """accelerate shards among GPUs alone, though torch does so among CPUs as well."""
        if self.args.fsdp:
            PartialState().distributed_type = DistributedType.MULTI_GPU
        super().create_accelerator_and_postprocess()

    def compute_loss_context_manager(self) -> torch.autocast:
        """With FSDP: its own mixed precision rounds losses to 8 bits and makes adapters fp32."""
        device = self.device
        is_mixed = bool(self.args.fsdp) and device.precision == "bf16"
        return torch.autocast(device.kind, torch.bfloat16, is_mixed)

    def get_train_dataloader(self) -> Any:
        course = self.course
        self.stream = Stream(
            self.rows,
            self.profile.training.seed,
            begin=course.step * course.step_rows,
            epoch_rows=course.epoch_rows,
            rank=distributed.rank(),
            world=distributed.world_size(),
        )
        return batches(self.stream, course.micro_batch, self.collator)

    def create_scheduler(self, *_: Any, optimizer: Any = None, **__: Any) -> Any:
        if self.lr_scheduler is None:
            factor = learning_rate(self.profile, self.course.steps)
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Raises `Halted`; what the step had accumulated is then lost, and nothing else."""
        self.leave_if_asked()
        self.items = num_items_in_batch
        try:
            return super().training_step(model, inputs, num_items_in_batch)
        except torch.OutOfMemoryError as error:
            refuse_among_others(error)
            raise Halted(is_of_memory=True) from error

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure `validation`, or the training loss since the last time, and judge by it."""
        course, step = self.course, self.state.global_step
        loss = self.mean_losses(["validation"]).get("validation")
        if loss is None:
            loss = course.train_loss(course.measured_step)
        if not math.isfinite(loss):
            raise Diverged(step)
        course.judge(step, loss, self.profile.evaluation.early_stopping_patience)
        self.state.best_global_step = course.best_step
        losses = {"eval_loss": loss}
        self.log(losses)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, losses
        )
        self.control.should_training_stop |= course.is_over(step)
        return losses

    def _save_checkpoint(self, model: Any, trial: Any = None) -> None:
        checkpoint = path_of(Path(self.args.output_dir), self.state.global_step)
        is_adapter = hasattr(self.model, "peft_config")
        needed_bytes = size_bytes(self.model, self.optimizer, is_adapter=is_adapter)
        with telling_of_room(checkpoint, needed_bytes):
            super()._save_checkpoint(model, trial)
            if distributed.is_main():
                self.course.write(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """PEFT makes adapters fp32 as it loads them."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        for name, parameter in self.model.named_parameters():
            if dtype := self.trained_dtypes.get(name):
                parameter.data = parameter.data.to(dtype)

    # -- what the recipe asks for --------------------------------------------------------------

    def leave_if_asked(self) -> None:
        if distributed.agree(is_wanted=self.stop.is_set()):
            raise Halted(is_of_memory=False)

    def mean_losses(self, names: list[str]) -> dict[str, float]:
        """By set, the mean over its supervised tokens; sets without any are left out."""
        found = {name: self._mean_loss(self.sets[name]) for name in names if name in self.sets}
        return {name: loss for name, loss in found.items() if loss is not None}

    @torch.no_grad()
    def _mean_loss(self, reader: Reader) -> float | None:
        rank, world = distributed.rank(), distributed.world_size()
        share = Share(reader, self.profile.evaluation.validation_rows_max, rank=rank, world=world)
        collator = Collator(
            self.collator.pad_id, self.collator.length, is_flat=self.collator.is_flat
        )
        loss = tokens = 0.0
        self.model.eval()
        for batch in batches(share, self.course.micro_batch, collator):
            self.leave_if_asked()
            inputs = self._prepare_inputs(batch)
            try:
                with self.compute_loss_context_manager():
                    loss += self.model(**inputs, num_items_in_batch=1).loss.item()
            except torch.OutOfMemoryError as error:
                refuse_among_others(error)
                raise Halted(is_of_memory=True) from error
            tokens += (batch["labels"] != -100).sum().item()
        both = torch.tensor([loss, tokens], device=self.args.device)
        loss, tokens = self.accelerator.reduce(both, "sum").tolist()
        return loss / tokens if tokens else None

    def load_weights(self, checkpoint: Path) -> None:
        self._load_from_checkpoint(str(checkpoint))

    def leave(self) -> None:
        """Whatever way it ended: reports are written out, and the model is as it came."""
        if self.is_in_train:
            self.callback_handler.on_train_end(self.args, self.state, self.control)
        self.accelerator.unwrap_model(self.model_wrapped, keep_fp32_wrapper=False)

    def save_now(self) -> None:
        """A checkpoint of the last whole step; one that is there stays."""
        self.restore_random()
        if not is_sealed(path_of(Path(self.args.output_dir), self.state.global_step)):
            self._save_checkpoint(self.model_wrapped)
            self.callback_handler.on_save(self.args, self.state, self.control)


class Flow(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """What happens between steps: measured before the first, then evaluated and saved when it is
    due, told, and ended with the rows. It is called before the checkpoint is sealed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.began = 0.0

    def on_train_begin(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        engine, course = self.engine, self.engine.course
        engine.restore_random = random_state()
        if course.before is None:
            course.before = engine.mean_losses(list(engine.sets))
            engine.save_now()
        elif course.is_due(state.global_step) and course.measured_step < state.global_step:
            engine.evaluate()  # the checkpoint was written in the middle of it
        if state.global_step == 0:  # FSDP saves the optimizer's state after a step of its own
            engine.optimizer.state.clear()
        self.began = time.perf_counter()
        if course.is_over(state.global_step):
            raise Over

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        course, stream = self.engine.course, self.engine.stream
        assert stream, "a step has read rows"
        # An epoch's last row is one process's: the others learn from it that there are no more.
        course.epoch_rows = distributed.largest(stream.epoch_rows or 0) or None
        course.step = state.global_step
        self.engine.restore_random = random_state()
        control.should_evaluate = control.should_save = course.is_due(state.global_step)
        control.should_training_stop = course.is_over(state.global_step)

    def on_log(self, args: Any, state: Any, *_: Any, logs: Any, **__: Any) -> None:
        """Of a step, it comes after the step and before anything is measured or saved."""
        if "loss" not in logs:
            return
        is_scaled = args.fp16  # gradients that overflow are skipped, and the scale is lowered
        norm = logs.get("grad_norm", 0.0)
        if not math.isfinite(logs["loss"]) or not (math.isfinite(norm) or is_scaled):
            raise Diverged(state.global_step)
        engine, course = self.engine, self.engine.course
        now = time.perf_counter()
        seconds, supervised = now - self.began, int(engine.items)
        self.began = now
        course.tokens += supervised
        course.seconds += seconds
        names = ("loss", "learning_rate", "grad_norm")
        course.history.append(
            {"step": state.global_step} | {n: logs[n] for n in names if n in logs}
        )
        engine.told(self._progress(state.global_step, logs, supervised, seconds))

    def on_evaluate(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    on_save = on_evaluate

    def _progress(self, step: int, logs: Any, supervised: int, seconds: float) -> Progress:
        engine, course = self.engine, self.engine.course
        tally, world = engine.collator.take_tally(), distributed.world_size()
        flops_s = engine.work.flops(tally, supervised // world) / seconds
        measured = (at["eval_loss"] for at in reversed(course.history) if "eval_loss" in at)
        return Progress(
            step=step,
            steps=max(step, course.last_step()),
            epoch=step * course.step_rows / (course.epoch_rows or course.steps * course.step_rows),
            loss=logs["loss"],
            eval_loss=next(measured, None),
            learning_rate=logs["learning_rate"],
            grad_norm=logs.get("grad_norm"),
            tokens=course.tokens,
            tokens_per_s=supervised / seconds,
            seconds=course.seconds,
            packing_fill=tally.tokens / tally.places,
            speed_of_light=flops_s / engine.device.peak_flops if engine.device.peak_flops else None,
        )


def random_state() -> Callable[[], None]:
    """What brings all random generators back to where they are now."""
    restores = [
        partial(random.setstate, random.getstate()),
        partial(np.random.set_state, np.random.get_state()),  # noqa: NPY002 - Trainer saves this one
        partial(torch.set_rng_state, torch.get_rng_state()),
    ]
    if torch.cuda.is_available():
        restores.append(partial(torch.cuda.set_rng_state, torch.cuda.get_rng_state()))

    def restore() -> None:
        for one in restores:
            one()

    return restore
