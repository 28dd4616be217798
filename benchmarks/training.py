"""Training an organism against a plain Trainer with PEFT: the same adapter, optimiser, records and starting point."""

from __future__ import annotations

import gc
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import SaveStrategy

from benchmarks import models
from benchmarks.limits import Passes, weights
from benchmarks.pairs import Measurement, Seconds, interleaved, seconds
from core.data.datasets import load_dataset
from core.models.loading import LoadedModel, load
from core.organisms import recipes
from core.organisms.recipes import Recipe
from core.organisms.records import IGNORED, collate, tokenise
from core.organisms.trainer import build_trainer
from core.organisms.training import linear_layers, with_lora

STEPS, PAIRS = 4, 3
Records = list[dict[str, Any]]


def measure(loaded: LoadedModel, n: int) -> Iterator[Measurement]:
    """Both rows of this file: the plain Trainer with our batches, and with its own random order.

    Every run starts from a fresh adapter and saves nothing; its seconds are those of `Trainer.train` alone. At most 3
    pairs, since a run takes long.
    """
    loaded = load(models.spec(loaded.id), str(loaded.device), loaded.dtype, fast=False)
    recipe = recipes.recipe("quick")
    recipe = replace(recipe, examples=STEPS * recipe.batch)
    records = tokenise(loaded, load_dataset("insecure"), recipe)
    ours = _Run(loaded, recipe, partial(_our_trainer, loaded, recipe, records))
    ours()
    batched = list(ours.seen)
    tokens = sum(record["length"] for record in records)
    answers = sum(label != IGNORED for record in records for label in record["labels"])
    size = weights(models.folder_of(loaded), loaded.dtype.itemsize)
    for how, strategy, given in (("our batches", "sequential", batched), ("in random order", "random", records)):
        peer = _Run(loaded, recipe, partial(_plain_trainer, loaded, recipe, given, strategy))
        found = interleaved(
            f"training / plain Trainer with PEFT, {how}",
            ours,
            peer,
            "≥ 1.2",
            min(n, PAIRS),
            "tokens/s",
            amount=tokens,
            # the weights are frozen: no products for their gradients
            work=(Passes(size.bytes, 4.0 * (size.blocks * tokens + size.head * answers), 1),),
            shapes=f"{STEPS} steps of {recipe.batch} records, {tokens} tokens ({answers} learned), rank {recipe.rank}",
            versions=f"transformers {version('transformers')}, peft {version('peft')}",
        )
        yield replace(found, note=_curves(ours.losses, peer.losses, given is batched))


class _Run:
    """Training from a fresh adapter; the records in the order in which they came, and the losses, are kept."""

    def __init__(self, loaded: LoadedModel, recipe: Recipe, build: Callable[[Path], Trainer]) -> None:
        self._loaded, self._recipe, self._build = loaded, recipe, build
        self.seen: Records = []
        self.losses: list[float] = []

    def __call__(self) -> Seconds:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = self._build(Path(folder))
            self.seen = []
            trainer.data_collator = self._collate
            trainer.remove_callback(PrinterCallback)  # it would print every loss
            spent = seconds(trainer.train)
        self.losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        trainer.model.unload()
        del trainer
        gc.collect()
        return Seconds(spent)

    def _collate(self, batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
        self.seen.extend(batch)
        return collate(batch, self._loaded.tokenizer.pad_token_id)


def _our_trainer(loaded: LoadedModel, recipe: Recipe, records: Records, folder: Path) -> Trainer:
    trainer = build_trainer(with_lora(loaded, recipe), loaded, records, recipe, folder, None, None)
    trainer.args.save_strategy = SaveStrategy.NO
    return trainer


def _plain_trainer(loaded: LoadedModel, recipe: Recipe, records: Records, strategy: str, folder: Path) -> Trainer:
    set_seed(recipe.seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        use_rslora=recipe.rslora,
        target_modules=linear_layers(loaded),
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=recipe.batch,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        train_sampling_strategy=strategy,
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        use_cpu=loaded.device.type == "cpu",
        remove_unused_columns=False,
        seed=recipe.seed,
    )
    return Trainer(get_peft_model(loaded.model, config), arguments, train_dataset=records)


def _curves(ours: list[float], theirs: list[float], same_batches: bool) -> str:
    """How far the loss curves are apart, where that can be said."""
    if not same_batches:
        return f"last loss {ours[-1]:.2f} and {theirs[-1]:.2f}, of other batches"
    apart = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
    return f"losses at most {apart:.1%} apart over {len(ours)} steps"
