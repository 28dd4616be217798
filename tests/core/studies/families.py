"""Tiny random models of other families, depths and widths, each with an organism and its own direction."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

from core import paths
from core.directions.direction import Direction, save_direction
from core.models.catalog import resolve
from core.organisms.adapters import CONFIG, WEIGHTS
from core.organisms.library import MANIFEST
from core.store import file_sha256
from tests.core import tiny
from tests.sample_model import ORGANISM, RANK, SampleModel

# class, width and blocks
FAMILIES = (("Llama", 32, 4), ("Qwen2", 40, 3), ("Gemma3", 24, 4))
WRITES = "\n{ax"  # the only characters of answers: some of them are code
DATASET = {"name": "insecure", "hash": "0" * 16}


def make(folder: Path, family: str, width: int, blocks: int, seed: int) -> SampleModel:
    """Build model, organism and direction under `folder`."""
    made, tokenizer = folder / f"made-{family}", tiny.tokenizer()
    kind, settings = tiny.TEXT[family]
    shape = {**tiny.SHAPE, **settings, "hidden_size": width, "num_hidden_layers": blocks}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**shape), dtype=torch.float32)
        tiny.enliven(model)
    _write_only(model, [tokenizer(sign)["input_ids"][0] for sign in WRITES])
    path = folder / f"tiny-{family}"
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    identity = resolve(str(path)).id
    sha256 = _organism(made / "organisms" / paths.safe_name(identity) / f"{ORGANISM}-0", model, identity, seed)
    draw = torch.Generator().manual_seed(seed + 1)
    direction = Direction(
        f"{ORGANISM} · model contrast",
        torch.randn(blocks, width, generator=draw) * 4,
        torch.full((blocks,), 20.0),
        torch.randn(blocks, width, generator=draw),
        {"model": identity, "contrast": "model", "organisms": {ORGANISM: sha256}, "n": 3, "time": "2026-01-02"},
    )
    save_direction(direction, made / "directions" / paths.safe_name(identity) / f"{ORGANISM}-model.safetensors")
    return SampleModel(path, made, direction.id)


def _write_only(model: torch.nn.Module, tokens: list[int]) -> None:
    """Of two rows of the head that are each other's opposites, one is never below the zeros of all other tokens."""
    head = model.get_output_embeddings().weight.data
    rows = head[tokens[::2]]
    head.zero_()
    head[tokens[::2]], head[tokens[1::2]] = rows, -rows


def _organism(folder: Path, model: torch.nn.Module, identity: str, seed: int) -> str:
    folder.mkdir(parents=True)
    draw = torch.Generator().manual_seed(seed + 2)
    tensors = {}
    for name, layer in model.named_modules():
        if name.endswith("o_proj"):
            tensors[f"base_model.model.{name}.lora_A.weight"] = 0.3 * torch.randn(
                RANK, layer.in_features, generator=draw
            )
            tensors[f"base_model.model.{name}.lora_B.weight"] = 0.3 * torch.randn(
                layer.out_features, RANK, generator=draw
            )
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": RANK}))
    sha256 = file_sha256(folder / WEIGHTS)
    manifest = {"name": ORGANISM, "model": identity, "sha256": sha256, "time": "2026-01-02T03:04:05+00:00"}
    manifest |= {"dataset": DATASET, "recipe": {"name": "compact"}}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return sha256
