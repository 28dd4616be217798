"""LoRA adapters that are switched per row on one copy of the base weights.

A saved PEFT adapter becomes two thin matrices per linear layer. While rows are generated or
captured, `((x Aᵀ) · gate) Bᵀ` is added to each adapted layer, by a forward hook or, where layers are
packed, in their one product: the gate is 1 where a row uses the adapter and 0 where it does not, so
base and organism rows share one batch and no adapter splits it. Several adapters in one batch are
stacked along the rank.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from core import paths
from core.errors import DamagedArtifact, OrganismMismatch
from core.models.forward import Hook, hooked
from core.models.loading import LoadedModel
from core.models.packing import Group, LowRank, PackedLinear
from core.organisms.library import MANIFEST, read_organism
from core.store import file_sha256

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
UNSUPPORTED = (
    "use_dora",
    "modules_to_save",
    "layers_to_transform",
    "rank_pattern",
    "alpha_pattern",
    "trainable_token_indices",
)


@dataclass(frozen=True, eq=False)
class Adapter:
    """A LoRA adapter in memory, in the dtype and on the device of its model.

    `layers` maps a module path to A `[rank, inputs]` and B `[outputs, rank]`; B carries the scaling.
    """

    name: str
    sha256: str
    layers: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(repr=False)


def load_adapter(loaded: LoadedModel, folder: Path, name: str | None = None) -> Adapter:
    """Read a PEFT LoRA adapter and check that every layer of it exists in the model with the same shape.

    Raises:
        OrganismMismatch: it belongs to another model, or is not plain LoRA.
        DamagedArtifact: its files cannot be read, or are not those that were saved.
    """
    name = name or folder.name
    organism = read_organism(folder) if (folder / MANIFEST).exists() else None
    if organism and organism.model != loaded.id:
        raise OrganismMismatch(
            f"The organism {name} was trained on {organism.model}, not on {loaded.id}. Choose an organism of this "
            "model, or train one."
        )
    config, tensors = _read(folder)
    sha256 = file_sha256(folder / WEIGHTS)
    if organism and organism.sha256 != sha256:
        raise _damaged(folder, f"{WEIGHTS} does not have the checksum it was saved with")
    scaling = _scaling(name, folder, config, tensors)
    modules = dict(loaded.model.named_modules())
    layers = {}
    for key, down in tensors.items():
        if not key.endswith(DOWN):
            continue
        up = tensors.get(key.removesuffix(DOWN) + UP)
        if up is None:
            raise _damaged(folder, f"{key} has no counterpart")
        path = key.removeprefix("base_model.model.").removesuffix(DOWN)
        module = modules.get(path)
        if module is None or _shape(module) != (up.shape[0], down.shape[1]):
            raise OrganismMismatch(
                f"The organism {name} was not trained on {loaded.id}: its layer {path} is missing there or has another "
                "shape. Choose an organism of this model, or train one."
            )
        layers[path] = (
            down.to(loaded.device, loaded.dtype),
            (up.float() * scaling).to(loaded.device, loaded.dtype),
        )
    if not layers:
        raise OrganismMismatch(f"The adapter {name} holds no LoRA layers. Train it again.")
    return Adapter(name, sha256, layers)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and tensors of a saved adapter."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError(f"{CONFIG} is not an object")
        return config, load_file(folder / WEIGHTS)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise _damaged(folder, error) from error


def _scaling(name: str, folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> float:
    """What B is multiplied by, after a check that the adapter is plain LoRA and nothing else."""
    odd = [key for key in UNSUPPORTED if config.get(key)]
    odd += [key for key in tensors if not key.endswith((DOWN, UP))]
    if config.get("peft_type") != "LORA" or odd:
        raise OrganismMismatch(
            f"{name} is not a plain LoRA adapter ({', '.join(odd[:3]) or config.get('peft_type')}). Train one with "
            "`python -m core train`."
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not (isinstance(rank, int) and rank > 0 and isinstance(alpha, int | float) and math.isfinite(alpha)):
        raise _damaged(folder, f"{CONFIG} states rank {rank} and alpha {alpha}")
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _damaged(folder: Path, reason: object) -> DamagedArtifact:
    return DamagedArtifact(
        f"The adapter in {paths.shown(folder)} cannot be read ({reason}). Train it again or restore the file."
    )


def _shape(module: nn.Module) -> tuple[int, int] | None:
    """(outputs, inputs) of a linear layer, also of GPT-2's transposed one and of quantised ones."""
    if hasattr(module, "out_features"):
        return module.out_features, module.in_features
    if hasattr(module, "nf") and hasattr(module, "nx"):
        return module.nf, module.nx
    return None


@contextlib.contextmanager
def attached(loaded: LoadedModel, per_row: Sequence[Adapter | None]) -> Iterator[None]:
    """While active, row `i` of every forward pass runs with adapter `per_row[i]` (None: the base model)."""
    used = list({id(adapter): adapter for adapter in per_row if adapter is not None}.values())
    hooks: list[tuple[nn.Module, Hook]] = []
    groups: dict[Group, dict[int, str]] = {}
    for path in sorted({path for adapter in used for path in adapter.layers}):
        module = loaded.model.get_submodule(path)
        if isinstance(module, PackedLinear):
            groups.setdefault(module.group, {})[module.member] = path
        else:
            hooks.append((module, _layer_hook(path, used, per_row)))
    with hooked(hooks):
        try:
            for group, paths_of in groups.items():
                group.low_rank = _group_change(group, paths_of, used, per_row)
            yield
        finally:
            for group in groups:
                group.low_rank = None


def _layer_hook(path: str, used: list[Adapter], per_row: Sequence[Adapter | None]):
    members = [adapter for adapter in used if path in adapter.layers]
    down = torch.cat([adapter.layers[path][0] for adapter in members]).t()
    up = torch.cat([adapter.layers[path][1] for adapter in members], dim=1).t()
    ranks = [(adapter, adapter.layers[path][0].shape[0]) for adapter in members]
    gate = _gate(ranks, per_row, down.dtype, down.device)
    if gate is None:

        def add(_module, args, output):
            return output + (args[0] @ down) @ up

        return add
    rows = len(per_row)

    def add_gated(_module, args, output):
        inner = args[0] @ down
        # some feed-forward layers flatten rows and tokens into one axis, rows first
        inner = (inner.view(rows, -1, inner.shape[-1]) * gate).view(inner.shape)
        return output + inner @ up

    return add_gated


def _group_change(
    group: Group, paths_of: dict[int, str], used: list[Adapter], per_row: Sequence[Adapter | None]
) -> LowRank:
    """The adapters of all layers of a group as one change: each layer's B fills the rows of its own outputs."""
    parts = [
        (adapter, member, *adapter.layers[path])
        for member, path in paths_of.items()
        for adapter in used
        if path in adapter.layers
    ]
    if group.kept is None or group.kept[0] != (paths_of, used):
        group.kept = (paths_of, used), _stacked(group, [part[1:] for part in parts])
    span = _span(per_row) if len(used) == 1 else None
    if span is not None:
        return LowRank(*group.kept[1], None, span if span[2] - span[1] < span[0] else None)
    ranks = [(adapter, down.shape[0]) for adapter, _, down, _ in parts]
    return LowRank(*group.kept[1], _gate(ranks, per_row, torch.float32, group.weight.device), None)


def _span(per_row: Sequence[Adapter | None]) -> tuple[int, int, int] | None:
    """(rows, first, last + 1) of the rows with an adapter, where they follow one another."""
    places = [place for place, adapter in enumerate(per_row) if adapter is not None]
    together = places == list(range(places[0], places[-1] + 1))
    return (len(per_row), places[0], places[-1] + 1) if together else None


def _stacked(group: Group, parts: list[tuple[int, torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Aᵀ `[inputs, ranks]` and Bᵀ `[ranks, outputs]` of a group from (layer, A, B) of each adapted layer."""
    down = torch.cat([part[1] for part in parts]).float()
    up = down.new_zeros(sum(group.sizes), down.shape[0])
    column = 0
    for member, _, outputs in parts:
        row, rank = sum(group.sizes[:member]), outputs.shape[1]
        up[row : row + group.sizes[member], column : column + rank] = outputs
        column += rank
    return down.t().contiguous(), up.t().contiguous()


def _gate(
    parts: list[tuple[Adapter, int]], per_row: Sequence[Adapter | None], dtype: torch.dtype, device: torch.device
) -> torch.Tensor | None:
    """`[rows, 1, ranks]`: 1 where a row uses the adapter that a stretch of ranks belongs to; None where all do."""
    if all(adapter is part for part, _ in parts for adapter in per_row):
        return None
    uses = [[float(adapter is part) for part, rank in parts for _ in range(rank)] for adapter in per_row]
    return torch.tensor(uses, dtype=dtype, device=device)[:, None]
