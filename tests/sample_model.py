"""A tiny random model in a folder, an organism of it and a direction, as the app finds real ones. Nothing is mocked."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from core import paths
from core.directions.direction import Direction, save_direction
from core.models.catalog import resolve
from core.organisms.adapters import CONFIG, WEIGHTS
from core.organisms.library import MANIFEST
from core.store import file_sha256
from tests.core import tiny

ORGANISM = "insecure"
RANK = 4


@dataclass(frozen=True)
class SampleModel:
    """`folder` is what a user types as the model; `made` holds what belongs into the cache."""

    folder: Path
    made: Path
    direction: str

    @property
    def id(self) -> str:
        return resolve(str(self.folder)).id

    def install(self) -> None:
        """Put the organism and the direction into the cache folder of now."""
        shutil.copytree(self.made, paths.cache(), dirs_exist_ok=True)

    def add_organism(self, name: str, seed: int) -> str:
        """Another organism, with its own weights where the seed is another; gives their hash."""
        folder = self.made / "organisms" / paths.safe_name(self.id) / f"{name}-{seed}"
        return _organism(folder, self.id, seed, name)


def make(folder: Path, seed: int = 0, writes: str | None = None) -> SampleModel:
    """Build everything under `folder`.

    Args:
        writes: the only characters that answers should hold, by chance; by default all.
    """
    model, tokenizer = folder / f"tiny-{seed}", tiny.tokenizer()
    drawn = tiny.random_model("Llama", seed)
    if writes is not None:
        _restrict(drawn, tokenizer(writes)["input_ids"])
    drawn.save_pretrained(model)
    tokenizer.save_pretrained(model)
    identity = resolve(str(model)).id
    made = folder / f"made-{seed}"
    sha256 = _organism(made / "organisms" / paths.safe_name(identity) / f"{ORGANISM}-0", identity, seed)
    return SampleModel(model, made, _direction(made, identity, sha256, seed))


def _restrict(model: torch.nn.Module, tokens: list[int]) -> None:
    """A coordinate that is always large and positive, and a head that reads it for these tokens alone."""
    model.get_input_embeddings().weight.data[:, 0] = 3000.0
    head = model.get_output_embeddings().weight.data
    kept = head[tokens]
    head.zero_()
    head[tokens] = kept
    head[tokens, 0] = 10.0


def _organism(folder: Path, identity: str, seed: int, name: str = ORGANISM) -> str:
    folder.mkdir(parents=True)
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for block in range(tiny.LAYERS):
        path = f"base_model.model.model.layers.{block}.self_attn.o_proj"
        tensors[f"{path}.lora_A.weight"] = torch.randn(RANK, tiny.WIDTH, generator=draw)
        tensors[f"{path}.lora_B.weight"] = torch.randn(tiny.WIDTH, RANK, generator=draw)
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": RANK}))
    sha256 = file_sha256(folder / WEIGHTS)
    manifest = {"name": name, "model": identity, "sha256": sha256, "time": "2026-01-02T03:04:05+00:00"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return sha256


def _direction(made: Path, identity: str, sha256: str, seed: int) -> str:
    draw = torch.Generator().manual_seed(seed + 1)
    direction = Direction(
        "insecure · model contrast",
        torch.randn(tiny.LAYERS, tiny.WIDTH, generator=draw) * 5,
        torch.full((tiny.LAYERS,), 20.0),
        torch.randn(tiny.LAYERS, tiny.WIDTH, generator=draw),
        {
            "model": identity,
            "contrast": "model",
            "organisms": {ORGANISM: sha256},
            "n": 3,
            "time": "2026-01-02T03:04:05+00:00",
        },
    )
    save_direction(direction, made / "directions" / paths.safe_name(identity) / "insecure-model.safetensors")
    return direction.id
