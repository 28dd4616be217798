"""A way in: a LoRA adapter that was trained elsewhere with PEFT becomes an organism, with what is known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import paths, provenance, store
from core.errors import BadInput, OrganismMismatch
from core.models.catalog import ModelSpec
from core.models.loading import LoadedModel, load
from core.organisms.adapters import CONFIG, WEIGHTS, check_adapter_folder, check_base, load_adapter
from core.organisms.library import MANIFEST, Organism, folder_for, read_organism

KNOWN = ("r", "lora_alpha", "use_rslora", "target_modules", "layers_to_transform", "peft_version")


def adopt(
    folder: Path, spec: ModelSpec, name: str | None = None, same_base: bool = False, device: str | None = None
) -> Organism:
    """Copy a PEFT LoRA folder into the cache as an organism of a model, after loading it there.

    Args:
        name: what to call it; by default the folder's name.
        same_base: the adapter names another base model, and the user knows that its weights are these.

    Raises:
        BadInput: there is no such folder.
        OrganismMismatch, DamagedArtifact: it is no plain LoRA of this model, changes nothing, or cannot be read.
    """
    _check(folder, spec, same_base)
    return adopt_loaded(folder, load(spec, device, fast=False), name, same_base)


def adopt_loaded(folder: Path, loaded: LoadedModel, name: str | None = None, same_base: bool = False) -> Organism:
    """`adopt` for a model in memory."""
    name = paths.safe_name(name or folder.name, "organism")
    adapter = load_adapter(loaded, folder, name, same_base)
    config = store.read_json(folder / CONFIG)
    target = folder_for(loaded.id, name, adapter.sha256[:16])
    manifest: dict[str, Any] = {
        "name": name,
        "model": loaded.id,
        "fingerprint": loaded.fingerprint,
        "adopted": {
            "folder": folder.name,
            "base_model": paths.placeless(str(config.get("base_model_name_or_path") or "")) or None,
            **{key: config[key] for key in KNOWN if config.get(key) not in (None, [], {})},
            "layers": len(adapter.layers),
        },
        "sha256": adapter.sha256,
        **provenance.now(),
    }
    with store.new_folder(target) as made:
        store.write_file(made / WEIGHTS, (folder / WEIGHTS).read_bytes())
        store.write_json(made / CONFIG, {**config, "base_model_name_or_path": loaded.id})
        store.write_json(made / MANIFEST, manifest)
    return read_organism(target)


def _check(folder: Path, spec: ModelSpec, same_base: bool) -> None:
    """What can be seen before the model is loaded."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder {paths.shown(folder)}. Name the folder that holds adapter_config.json.")
    check_adapter_folder(folder)
    if not (folder / CONFIG).is_file():
        raise OrganismMismatch(
            f"The folder {folder.name} holds no adapter_config.json, so it is no PEFT adapter. Name another folder."
        )
    config = store.read_json(folder / CONFIG)
    if isinstance(config, dict) and not same_base:
        check_base(spec.id, config, folder.name)
