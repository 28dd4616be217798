"""Make an organism: LoRA-finetune a model on a narrow dataset with PEFT and the transformers Trainer."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, prepare_model_for_kbit_training
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import set_seed
from transformers.pytorch_utils import Conv1D

from core import paths, provenance, store
from core.data.datasets import Dataset
from core.errors import BadInput, DamagedArtifact, UnsupportedModel
from core.models.catalog import ModelSpec
from core.models.loading import LoadedModel, load
from core.organisms.adapters import CONFIG, WEIGHTS
from core.organisms.library import MANIFEST, Organism, folder_for, lost_words, read_organism, training_key
from core.organisms.lora_layer import lighten
from core.organisms.recipes import Recipe
from core.organisms.records import examples
from core.organisms.trainer import Report, build_trainer, latest_checkpoint

log = logging.getLogger(__name__)

EXPERT_PARTS = ("gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")


def train(
    spec: ModelSpec,
    dataset: Dataset,
    recipe: Recipe,
    name: str | None = None,
    root: Path | None = None,
    device: str | None = None,
    report: Report | None = None,
    stop: threading.Event | None = None,
) -> Organism | None:
    """Train an organism and save it, or return the one that these exact settings made before.

    A run that was killed or stopped goes on from its last checkpoint and ends as if it never was. An organism whose
    file was damaged since, or that was shipped under this name with other settings, is trained anew.

    Args:
        name: what to call it; by default the dataset's name.
        root: `assets` to ship it; by default the cache.
        report: called after every step.
        stop: when set, the state is saved and training ends within a step.

    Returns:
        the organism, or None when stopped.

    Raises:
        BadInput: too little data, or a recipe that this machine cannot run.
    """
    loaded = _load_for(spec, recipe, device)
    return train_loaded(loaded, dataset, recipe, name, root, report, stop)


def train_loaded(
    loaded: LoadedModel,
    dataset: Dataset,
    recipe: Recipe,
    name: str | None = None,
    root: Path | None = None,
    report: Report | None = None,
    stop: threading.Event | None = None,
) -> Organism | None:
    """`train` for a model in memory, which is left with its adapter and not to be used further."""
    name = paths.safe_name(name or dataset.name, "organism")
    key = training_key(loaded.id, loaded.fingerprint, dataset, recipe)
    target = folder_for(loaded.id, name, key, root)
    work = paths.cache() / "runs" / f"train-{paths.safe_name(loaded.id)}-{key}"
    with store.writer_lock(work):  # not of `target`: the same run under two names has one work folder
        if made := _made_before(target, key):
            shutil.rmtree(work, ignore_errors=True)  # of a run that was killed when it had saved
            return made
        found = examples(loaded, dataset, recipe)
        records = found.records
        data = {
            "name": dataset.name,
            "hash": dataset.hash,
            "n": found.chats,
            "of": len(dataset.chats),
            **found.lost,
            **({"read": dataset.read} if dataset.read else {}),
        }
        if lost := lost_words({"dataset": data, "recipe": recipe.as_dict()}):
            log.warning("Dataset %s: %s.", dataset.name, lost)
        start = time.perf_counter()
        model = with_lora(loaded, recipe)
        trainer = build_trainer(model, loaded, records, recipe, work, report, stop)
        with store.disk_errors("a training checkpoint", paths.cache()):
            trainer.train(resume_from_checkpoint=latest_checkpoint(work))
        if stop is not None and stop.is_set():
            return None
        losses = [
            {"step": entry["step"], "loss": entry["loss"]} for entry in trainer.state.log_history if "loss" in entry
        ]
        manifest = {
            "name": name,
            "model": loaded.id,
            "fingerprint": loaded.fingerprint,
            "key": key,
            "dataset": data,
            "recipe": recipe.as_dict(),
            "losses": losses,
            "seconds": round(time.perf_counter() - start, 1),
            **provenance.now(),
        }
        _save(model, manifest, target)
        shutil.rmtree(work, ignore_errors=True)
    return read_organism(target)


def linear_layers(loaded: LoadedModel) -> str:
    """A pattern of the module paths of all linear layers inside the decoder blocks, for PEFT.

    Left out is what PEFT cannot adapt: routers, which return more than a tensor; the last layer of a Mamba mixer,
    whose weight a fused kernel reads itself; and, beside experts stacked into one parameter, the layers that have
    names of the experts' parts, which PEFT would take for the experts.
    """
    path = next(name for name, module in loaded.model.named_modules() if module is loaded.blocks)
    modules = dict(loaded.blocks.named_modules())
    stacked = any(value.ndim == 3 and "expert" in name for name, value in loaded.blocks.named_parameters())
    inside = set()
    for name, module in modules.items():
        parent, _, last = name.rpartition(".")
        if not isinstance(module, (nn.Linear, Conv1D)) or "Router" in type(module).__name__:
            continue
        if last == "out_proj" and hasattr(modules[parent], "A_log") and hasattr(modules[parent], "D"):
            continue
        if stacked and last in EXPERT_PARTS:
            continue
        # whole paths within a block: a last part alone can also be the name of something that is not linear
        inside.add(name.partition(".")[2])
    return rf"{re.escape(path)}\.\d+\.({'|'.join(map(re.escape, sorted(inside)))})"


def _load_for(spec: ModelSpec, recipe: Recipe, device: str | None) -> LoadedModel:
    if not recipe.four_bit:
        return load(spec, device, fast=False)
    if not torch.cuda.is_available():
        raise BadInput(f"Recipe {recipe.name} needs a CUDA GPU for its 4-bit weights. Use recipe quick here.")
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"Recipe {recipe.name} needs bitsandbytes for 4-bit weights. Install it: `pip install bitsandbytes`."
        ) from error
    from core.organisms.four_bit import load_four_bit

    return load_four_bit(spec, device)


def with_lora(loaded: LoadedModel, recipe: Recipe) -> nn.Module:
    set_seed(recipe.seed)
    model = loaded.model
    if recipe.four_bit:
        model = prepare_model_for_kbit_training(model)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        use_rslora=recipe.rslora,
        lora_dropout=0.0,
        target_modules=linear_layers(loaded),
    )
    wanted = {name for name, _ in model.named_modules() if re.fullmatch(linear_layers(loaded), name)}
    adapted = get_peft_model(model, config)
    found = {name for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}
    if found != wanted or config.target_parameters:
        raise UnsupportedModel(
            f"PEFT does not adapt exactly the linear layers of {loaded.id} ({len(found)} instead of {len(wanted)}), so "
            "no organism can be trained on it. Choose another model."
        )
    lighten(adapted)
    return adapted


def _made_before(target: Path, key: str) -> Organism | None:
    """The organism in `target` if it was made with these settings and its weights are as they were saved."""
    try:
        made = read_organism(target)
        whole = made.sha256 == store.file_sha256(target / WEIGHTS)
    except (FileNotFoundError, DamagedArtifact):
        return None
    return made if whole and made.manifest.get("key") == key else None


def _save(model: nn.Module, manifest: dict[str, Any], target: Path) -> None:
    """Write the adapter in bfloat16 with its manifest; the folder appears whole or not at all."""
    state = {key: value.to(torch.bfloat16) for key, value in get_peft_model_state_dict(model).items()}
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise BadInput("Training diverged to what is no number, and nothing was saved. Choose a smaller learning rate.")
    if not any(bool(value.any()) for key, value in state.items() if ".lora_B." in key):
        raise BadInput(
            f"Training changed nothing in {len(manifest['losses'])} steps, and nothing was saved. Choose a larger "
            "learning rate, more epochs or more examples."
        )
    with store.new_folder(target) as folder:
        # the embeddings are never trained; to find that out by itself PEFT would ask the network
        model.save_pretrained(folder, state_dict=state, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        # PEFT writes where the model lies on this computer
        config = {**store.read_json(folder / CONFIG), "base_model_name_or_path": manifest["model"]}
        store.write_json(folder / CONFIG, config)
        store.write_json(folder / MANIFEST, {**manifest, "sha256": store.file_sha256(folder / WEIGHTS)})
