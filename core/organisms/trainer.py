"""The transformers Trainer as organisms need it: reported, stopped within a step, resumed with the same batches."""

from __future__ import annotations

import json
import logging
import math
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from core import store
from core.errors import BadInput, DamagedArtifact
from core.models.blocks import text_config
from core.models.loading import LoadedModel
from core.organisms.answer_loss import answer_loss, only_answers_projected
from core.organisms.recipes import Recipe, warmup_of
from core.organisms.records import collate

log = logging.getLogger(__name__)

SUMS = "sha256.json"  # of a checkpoint's files; written last
CHECKPOINTS = 2  # that are kept: should the newest not have reached the disk whole, there is another


@dataclass(frozen=True)
class TrainingProgress:
    """One optimiser step. `tokens_per_second` counts all tokens, prompts and padding left out."""

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float


Report = Callable[[TrainingProgress], None]


def build_trainer(
    model: nn.Module,
    loaded: LoadedModel,
    records: list[dict[str, Any]],
    recipe: Recipe,
    work: Path,
    report: Report | None,
    stop: threading.Event | None,
) -> Trainer:
    """The transformers Trainer of a recipe: it reports every step, stops within one, and resumes bit for bit."""
    steps = -(-len(records) // recipe.batch) * recipe.epochs
    arguments = TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=recipe.batch,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=warmup_of(recipe, steps),
        weight_decay=recipe.weight_decay,
        save_strategy="steps",
        save_steps=max(1, -(-steps // recipe.checkpoints)),
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would show the last finite loss in place of one that is not
        report_to=[],
        disable_tqdm=True,
        use_cpu=loaded.device.type == "cpu",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        seed=recipe.seed,
        data_seed=recipe.seed,
    )
    pad = loaded.pad_id
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=records,
        data_collator=lambda batch: collate(batch, pad),
        callbacks=[_Watch(records, recipe, report, stop)],
        compute_loss_func=answer_loss if _loss_is_ours(loaded, arguments) else None,
    )
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ == "PrinterCallback":  # it prints every log entry to standard output
            trainer.remove_callback(callback)
    return trainer


def _loss_is_ours(loaded: LoadedModel, arguments: TrainingArguments) -> bool:
    """Whether the loss can be taken of answers alone: no router's loss is asked for, and batches are not split."""
    return not getattr(text_config(loaded.model), "output_router_logits", False) and arguments.n_gpu <= 1


class _Trainer(Trainer):
    """A Trainer that projects answers alone, and whose batches come in the same order when it resumes later."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if self.compute_loss_func is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        # padding is at the right, where no answer looks: nothing need be masked but the future
        inputs = {**inputs, "attention_mask": torch.ones_like(inputs["attention_mask"])}
        with only_answers_projected(self.accelerator.unwrap_model(model), inputs["labels"]):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def _get_train_sampler(self, train_dataset=None):
        return _ByLength(self.args.train_batch_size, lengths=[record["length"] for record in self.train_dataset])


class _ByLength(LengthGroupedSampler):
    """Groups records of like length; an epoch's order comes from its number, the first one's from the seed just set.

    Drawn from torch's state throughout, a later epoch would depend on how far the process had come before it.
    """

    def set_epoch(self, epoch: int) -> None:
        self.generator = torch.Generator().manual_seed(epoch) if epoch else None


class _Watch(TrainerCallback):
    """Reports every step, stops within one, and seals checkpoints."""

    def __init__(self, records: list, recipe: Recipe, report: Report | None, stop: threading.Event | None) -> None:
        self._tokens_a_step = sum(record["length"] for record in records) * recipe.epochs
        self._report, self._stop = report, stop
        self._started = 0.0
        self._first_step = 0

    def on_train_begin(self, args, state, control, **kwargs):
        self._started, self._first_step = time.perf_counter(), state.global_step

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and not math.isfinite(logs.get("loss", 0.0)):
            raise BadInput(
                f"Training diverged: the loss of step {state.global_step} is not a number, and nothing was saved. "
                f"Choose a smaller learning rate than {args.learning_rate:g}."
            )
        if self._report and logs and "loss" in logs:
            done = max(1, state.global_step - self._first_step)
            seconds = time.perf_counter() - self._started
            self._report(
                TrainingProgress(
                    state.global_step,
                    state.max_steps,
                    logs["loss"],
                    self._tokens_a_step / state.max_steps * done / seconds,
                    seconds / done * (state.max_steps - state.global_step),
                )
            )

    def on_step_end(self, args, state, control, **kwargs):
        if self._stop is not None and self._stop.is_set():
            control.should_save = True
            control.should_training_stop = True
        return control

    def on_save(self, args, state, control, **kwargs):
        work = Path(args.output_dir)
        newest = work / f"checkpoint-{state.global_step}"
        (newest / SUMS).write_text(json.dumps(_sums(newest)))
        # not by the Trainer, which takes the one with the oldest time for the oldest: the clock may have been set back
        for older in _checkpoints(work)[CHECKPOINTS:]:
            shutil.rmtree(older)


def latest_checkpoint(work: Path) -> str | None:
    """The newest checkpoint whose files are as they were saved; newer ones are removed, and the log says so.

    A kill leaves one without its sums; after a power cut files of a sealed one can be empty or cut short.
    """
    damaged: list[str] = []
    whole = None
    for folder in _checkpoints(work):
        if _is_whole(folder):
            whole = folder
            break
        shutil.rmtree(folder)
        damaged.append(str(_step(folder)))
    if damaged:
        onward = f"going on from step {_step(whole)}" if whole else "starting over"
        log.warning("The checkpoint of step %s is damaged; %s.", " and of step ".join(damaged), onward)
    return str(whole) if whole else None


def _checkpoints(work: Path) -> list[Path]:
    """The newest first."""
    return sorted(work.glob("checkpoint-*"), key=_step, reverse=True)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_whole(checkpoint: Path) -> bool:
    try:
        return store.read_json(checkpoint / SUMS) == _sums(checkpoint)
    except (OSError, DamagedArtifact):
        return False


def _sums(checkpoint: Path) -> dict[str, str]:
    return {file.name: store.file_sha256(file) for file in checkpoint.iterdir() if file.name != SUMS}
