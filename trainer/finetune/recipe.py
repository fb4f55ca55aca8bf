"""The recipe: what happens between a loaded model and its best weights on disk."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from bitsandbytes.optim import GlobalOptimManager
from transformers import TrainingArguments
from transformers.utils import is_liger_kernel_available

from codelupe_daemon.errors import Fatal, Rejected, Transient
from trainer import distributed
from trainer.checkpoints import newest, path_of
from trainer.devices import Device
from trainer.errors import OutOfMemory
from trainer.finetune.attention import attention_of
from trainer.finetune.collate import Collator, Reader
from trainer.finetune.course import Course, plan_course, read
from trainer.finetune.engine import Engine, Halted, Over, refuse_among_others
from trainer.finetune.loss import is_chunkable, losses_of
from trainer.finetune.proof import prove, trial_batch
from trainer.memory import Batches
from trainer.models.load import DTYPES, Loaded
from trainer.profile import Profile
from trainer.types import Progress, Stopped, Trained

STEPS_MAX = 1 << 31
"""The rows end a training long before."""
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*config.json")

log = logging.getLogger(__name__)


def finetune(
    profile: Profile,
    loaded: Loaded,
    rows: Reader,
    sets: Mapping[str, Reader],
    folder: Path,
    *,
    plan: Batches,
    stop: threading.Event,
    told: Callable[[Progress], None],
) -> Trained | Stopped:
    """Train `loaded.model`, from the newest whole checkpoint of `folder` where there is one.

    `sets` are measured before the first step and at the end, `validation` also in between. The
    weights of the best evaluation come to lie in `folder/best`, the last in `folder/final`, and
    checkpoints in `folder/checkpoints`. `stop` is seen at every micro-batch. Runs in any thread,
    in one process or in each of several. The model holds the best weights when it returns.

    Raises `Rejected` where there are no rows, `Fatal` where documents of a row would see each
    other, `Diverged`, what reading rows raises, and `OutOfMemory` where also half the micro-batch
    is too much.
    """
    if not rows.estimated_rows():
        raise Rejected("nothing of this round can be trained on")
    with attention_of(loaded.model, profile.model.max_length) as is_flat:
        return _finetune(
            profile, loaded, rows, sets, folder, plan=plan, stop=stop, told=told, is_flat=is_flat
        )


def _finetune(
    profile: Profile,
    loaded: Loaded,
    rows: Reader,
    sets: Mapping[str, Reader],
    folder: Path,
    *,
    plan: Batches,
    stop: threading.Event,
    told: Callable[[Progress], None],
    is_flat: bool,
) -> Trained | Stopped:
    # It keeps what it was told of an earlier training's parameters, by their numbers.
    GlobalOptimManager.get_instance().initialize()
    device = loaded.device
    collator = Collator(
        loaded.tokenizer.pad_token_id or 0, profile.model.max_length, is_flat=is_flat
    )
    with torch.autocast(device.kind, DTYPES[device.precision], device.precision != "fp32"):
        trial = trial_batch(loaded.model, collator)
        prove(loaded.model, trial)
        is_chunked = is_chunkable(loaded.model, trial)
    with losses_of(loaded.model, is_chunked=is_chunked):
        for batches in (plan, _halved(plan)):
            arguments = _arguments(profile, device, folder, batches)
            course, checkpoint = _course(profile, rows, folder, batches)
            engine = Engine(
                profile, loaded, arguments, collator, rows, sets, course, stop=stop, told=told
            )
            ended = _run(engine, checkpoint, folder)
            if ended:
                return ended
            del engine
            gc.collect()
            torch.cuda.empty_cache()
            log.warning("out of memory with a micro-batch of %d", batches.micro_batch)
    raise OutOfMemory(
        f"{device.name} has too little memory, also for a micro-batch of {batches.micro_batch}: "
        "lower model.max_length or lora.rank, or set model.use_4bit"
    )


def _run(engine: Engine, checkpoint: Path | None, folder: Path) -> Trained | Stopped | None:
    """Train to the end, or as long as it may; None where memory did not do."""
    try:
        try:
            engine.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except Over:
            log.info("this training had ended: only its result is missing")
        except Halted:
            engine.save_now()
            raise
        except Transient:  # rows did not come; other processes may be anywhere
            if distributed.world_size() == 1:
                engine.save_now()
            raise
        return _finish(engine, folder)
    except Halted as halted:
        return None if halted.is_of_memory else Stopped(engine.course.step)
    except torch.OutOfMemoryError as error:  # in the optimizer: the step is half done
        refuse_among_others(error)
        return None
    finally:
        engine.leave()


def _finish(engine: Engine, folder: Path) -> Trained:
    """Lay down the best and the final weights, and measure the best."""
    course = engine.course
    checkpoints = folder / "checkpoints"
    best = path_of(checkpoints, course.best_step)
    if distributed.is_main():
        _keep(best, folder / "best")
        _keep(path_of(checkpoints, course.step), folder / "final")
    distributed.barrier()
    if course.best_step != course.step:
        engine.load_weights(best)
    before = course.before or {}
    after = {"validation": course.best_loss} if "validation" in before else {}
    after |= engine.mean_losses([name for name in engine.sets if name not in after])
    return Trained(
        steps=course.step,
        epochs=course.step * course.step_rows / (course.epoch_rows or engine.rows.estimated_rows()),
        tokens=course.tokens,
        seconds=course.seconds,
        train_loss=course.train_loss(),
        before=before,
        after=after,
        best_step=course.best_step,
        is_early_stopped=course.is_early_stopped,
        history=course.history,
    )


def _keep(checkpoint: Path, folder: Path) -> None:
    """The weights of a checkpoint under a name that stays when it goes; no byte is copied."""
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for pattern in WEIGHTS:
        for path in checkpoint.glob(pattern):
            os.link(path, aside / path.name)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def _halved(batches: Batches) -> Batches:
    """The next smaller micro-batch with which a step takes as many rows."""
    size = batches.micro_batch
    smaller = next(half for half in range(max(1, size // 2), 0, -1) if size % half == 0)
    return Batches(smaller, batches.accumulation * size // smaller)


def _course(
    profile: Profile, rows: Reader, folder: Path, batches: Batches
) -> tuple[Course, Path | None]:
    """How far the training is, and from which checkpoint it goes on."""
    checkpoint = distributed.from_main(lambda: newest(folder / "checkpoints"))
    step_rows = batches.micro_batch * batches.accumulation * distributed.world_size()
    if checkpoint:
        course = read(checkpoint)
    else:
        course = plan_course(profile, rows.estimated_rows(), step_rows)
    if course.step_rows != step_rows:
        raise Fatal(
            f"this round began with {course.step_rows} rows a step and cannot go on with "
            f"{step_rows}: set training.effective_batch back, or start as many processes as then"
        )
    course.micro_batch = batches.micro_batch
    return course, checkpoint


def _arguments(
    profile: Profile, device: Device, folder: Path, batches: Batches
) -> TrainingArguments:
    training = profile.training
    is_cuda = device.kind == "cuda"
    is_8bit = training.optimizer == "adamw_8bit" and device.kind != "mps"  # it has no 8-bit one
    every = 2 if training.gradient_checkpointing == "selective" else 1
    among = distributed.arguments(training.distributed, device.kind, device.precision)
    return TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        per_device_train_batch_size=batches.micro_batch,
        gradient_accumulation_steps=batches.accumulation,
        max_steps=STEPS_MAX,
        learning_rate=training.base_learning_rate,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim="adamw_bnb_8bit" if is_8bit else "adamw_torch_fused",
        bf16=device.precision == "bf16" and "fsdp" not in among,  # see Engine
        fp16=device.precision == "fp16",
        tf32=True if is_cuda and (device.capability or (0,)) >= (8, 0) else None,
        use_cpu=device.kind == "cpu",
        activation_checkpointing=training.gradient_checkpointing != "none",
        activation_checkpointing_kwargs={"use_reentrant": False, "every_n_layers": every},
        use_liger_kernel=training.liger and is_cuda and is_liger_kernel_available(),
        liger_kernel_config={"fused_linear_cross_entropy": False, "cross_entropy": False},
        use_cache=True,  # as the model is written; training passes use_cache=False itself
        seed=training.seed,
        full_determinism=training.deterministic,
        eval_strategy="no",  # Flow says when to evaluate and save
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=list(training.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        ignore_data_skip=True,  # the stream itself begins where it stopped
        **among,
    )
