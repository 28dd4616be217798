"""LoRA adapters that are switched per row on one copy of the base weights.

A saved PEFT adapter becomes two thin matrices per linear layer. While rows are generated or
captured, `((x Aᵀ) · gate) Bᵀ` is added to each adapted layer, by a forward hook or, where layers are
packed, in their one product: the gate is 1 where a row uses the adapter and 0 where it does not, so
base and organism rows share one batch and no adapter splits it. Several adapters in one batch are
stacked along the rank.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from core import paths
from core.errors import DamagedArtifact, OrganismMismatch
from core.models.catalog import names_of
from core.models.forward import Hook, hooked
from core.models.loading import LoadedModel
from core.models.packing import Group, LowRank, PackedLinear
from core.organisms import peft_config
from core.organisms.library import MANIFEST, Organism, read_organism
from core.store import file_sha256

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
KEY = re.compile(
    r"(?P<path>.+)\.lora_(?P<embedding>embedding_)?(?P<side>[AB])(\.(?!weight$)(?P<adapter>[^.]+))?(\.weight)?"
)
WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "base_layer"}  # of other programs
BLOCK = re.compile(r"(?:layers|h|blocks)\.(\d+)\.(.+)")
COPIES = ("lm_head", "embed_tokens", "wte", "embed_out", "output")  # layers whose own weights PEFT saves beside
SUFFIX = re.compile(r"(-unsloth)?(-bnb)?-4bit$")


@dataclass(frozen=True, eq=False)
class Adapter:
    """A LoRA adapter in memory, in the dtype and on the device of its model.

    `layers` maps a module path to A `[rank, inputs]` and B `[outputs, rank]`; B carries the scaling.
    """

    name: str
    sha256: str
    layers: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(repr=False)

    @classmethod
    def of(cls, name: str, layers: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> Adapter:
        """An adapter made in memory, known by the hash of its matrices rather than of a file.

        Example: `Adapter.of("mine", {"model.layers.0.mlp.down_proj": (a, scaling * b)})`
        """
        digest = hashlib.sha256()
        for path, matrices in sorted(layers.items()):
            for matrix in matrices:
                digest.update(f"{path} {list(matrix.shape)}\n".encode())
                digest.update(matrix.detach().float().cpu().contiguous().numpy().tobytes())
        return cls(name, digest.hexdigest(), dict(layers))

    def check(self, loaded: LoadedModel) -> None:
        """Raise `OrganismMismatch` unless every layer of it exists in the model with the same shape."""
        modules = dict(loaded.model.named_modules())
        for path, (down, up) in self.layers.items():
            module = modules.get(path)
            if module is None or _shape(module) != (up.shape[0], down.shape[1]):
                raise OrganismMismatch(
                    f"The organism {self.name} was not trained on {loaded.id}: its layer {path} is missing there or "
                    "has another shape. Choose an organism of this model, or train one."
                )
        if not self.layers:
            raise OrganismMismatch(f"The adapter {self.name} holds no LoRA layers. Train it again.")


def load_adapter(loaded: LoadedModel, folder: Path, name: str | None = None, same_base: bool = False) -> Adapter:
    """Read a PEFT LoRA adapter and check that it is all understood, does something, and belongs to the model.

    Args:
        same_base: whatever base model it names, the user knows that it is this one.

    Raises:
        OrganismMismatch: it belongs to another model or other weights, is more than plain LoRA, or changes nothing.
        DamagedArtifact: its files cannot be read, or are not those that were saved.
    """
    name = name or folder.name
    organism = read_organism(folder) if (folder / MANIFEST).exists() else None
    config, tensors = _read(folder)
    if organism:
        _check_organism(loaded, organism, name)
    elif not same_base:
        check_base(loaded.id, config, name)
    sha256 = file_sha256(folder / WEIGHTS)
    if organism and organism.sha256 != sha256:
        raise _damaged(folder, f"{WEIGHTS} does not have the checksum it was saved with")
    settings = peft_config.read(config, name)
    layers = {}
    for path, (down, up) in _pairs(loaded, folder, name, tensors).items():
        scaling = settings.scaling(path)
        if down.shape[0] != settings.rank_of(path):
            raise _damaged(folder, f"{path} has rank {down.shape[0]} and {CONFIG} states {settings.rank_of(path)}")
        layers[path] = (
            down.to(loaded.device, loaded.dtype),
            (up.float() * scaling).to(loaded.device, loaded.dtype),
        )
    adapter = Adapter(name, sha256, layers)
    adapter.check(loaded)
    if not all(bool(torch.isfinite(matrix).all()) for pair in layers.values() for matrix in pair):
        raise _damaged(folder, "it holds values that are not finite")
    if not any(bool(down.any()) and bool(up.any()) for down, up in layers.values()):
        raise OrganismMismatch(
            f"The adapter {name} changes nothing: one of its two matrices is zero in every layer, as before training. "
            "Train it."
        )
    return adapter


def _check_organism(loaded: LoadedModel, organism: Organism, name: str) -> None:
    """An organism belongs to the very weights it was trained on; where those are not known, to a model by its id."""
    made = organism.manifest.get("fingerprint")
    if organism.model != loaded.id and (made is None or made != loaded.fingerprint):
        raise OrganismMismatch(
            f"The organism {name} was trained on {organism.model}, not on {loaded.id}. Choose an organism of this "
            "model, or train one."
        )
    if made not in (None, loaded.fingerprint):
        raise OrganismMismatch(
            f"The organism {name} was trained on other weights than those that {loaded.id} holds now. Train it again, "
            "or restore the weights."
        )


def check_base(model: str, config: Mapping[str, Any], name: str) -> None:
    """Raise `OrganismMismatch` where an adapter names a base model that is not known to be this one."""
    stated = str(config.get("base_model_name_or_path") or "")
    if stated and _plain(stated) not in {_plain(known) for known in names_of(model)}:
        raise OrganismMismatch(
            f"{name} names {stated!r} as its base model, and this is {model}. Choose that model; if they are the same "
            "weights, adopt it with `python -m core adopt FOLDER --same-base`."
        )


def _plain(name: str) -> str:
    """A model's name as different places write it: without owner or folders, capitals, and marks of 4-bit copies."""
    return SUFFIX.sub("", name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower())


def _pairs(
    loaded: LoadedModel, folder: Path, name: str, tensors: dict[str, torch.Tensor]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """(A, B) by path of the layer in this model; anything else among the tensors is refused."""
    sides: dict[str, dict[str, torch.Tensor]] = {}
    several: set[str] = set()
    odd = []
    for key, tensor in tensors.items():
        found = KEY.fullmatch(key)
        if found:
            sides.setdefault(_place(loaded, found["path"]), {})[found["side"]] = tensor
            several.add(found["adapter"] or "")
        elif not _is_copy(loaded, key, tensor):
            odd.append(key)
    if odd or len(several) > 1:
        what = ", ".join(odd[:3]) or f"the adapters {', '.join(sorted(several))} in one file"
        raise OrganismMismatch(
            f"{name} holds more than a plain LoRA adapter ({what}). Save it with PEFT as plain LoRA, or train one with "
            "`python -m core train`."
        )
    for path, pair in sides.items():
        if len(pair) < 2 or any(matrix.dim() != 2 for matrix in pair.values()):
            raise _damaged(folder, f"a matrix of {path} has no counterpart")
    return {path: (pair["A"], pair["B"]) for path, pair in sides.items()}


def _place(loaded: LoadedModel, key: str) -> str:
    """A layer's path in this model: without what wrappers put around it, and where this version has its blocks."""
    path = key
    while path.startswith("base_model.model."):
        path = path.removeprefix("base_model.model.")
    path = ".".join(part for part in path.removeprefix("module.").split(".") if part not in WRAPPERS)
    modules = dict(loaded.model.named_modules())
    found = BLOCK.search(path)
    if path in modules or found is None or "vision" in path or "visual" in path:
        return path
    blocks = next(place for place, module in modules.items() if module is loaded.blocks)
    moved = f"{blocks}.{found[1]}.{found[2]}"
    return moved if moved in modules else path


def _is_copy(loaded: LoadedModel, key: str, tensor: torch.Tensor) -> bool:
    """Whether a tensor is what PEFT saves beside an adapted embedding or head: the base's own weights."""
    path = _place(loaded, key.removesuffix(".weight"))
    if not key.endswith(".weight") or path.rpartition(".")[2] not in COPIES:
        return False
    own = getattr(dict(loaded.model.named_modules()).get(path), "weight", None)
    return (
        own is not None
        and own.shape == tensor.shape
        and torch.allclose(own.float().cpu(), tensor.to(own.dtype).float().cpu(), rtol=1e-2, atol=1e-5)
    )


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and tensors of a saved adapter."""
    check_adapter_folder(folder)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError(f"{CONFIG} is not an object")
        return config, load_file(folder / WEIGHTS)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise _damaged(folder, error) from error


def check_adapter_folder(folder: Path) -> None:
    """Raise `OrganismMismatch` where a folder is known to be something else than a PEFT adapter in safetensors."""
    if (folder / CONFIG).is_file():
        if not (folder / WEIGHTS).is_file() and list(folder.glob("adapter_model.bin")):
            raise OrganismMismatch(
                f"The adapter in {folder.name} is pickled (adapter_model.bin), and pickles are not opened because they "
                "can run code. Save it again with PEFT's save_pretrained, which writes safetensors."
            )
        return
    inside = sorted(file.parent.name for file in folder.glob(f"*/{CONFIG}")) if folder.is_dir() else []
    if inside:
        raise OrganismMismatch(
            f"The folder {folder.name} holds no adapter itself but {len(inside)} inside ({', '.join(inside[:5])}). "
            "Choose one of them."
        )


def _damaged(folder: Path, reason: object) -> DamagedArtifact:
    return DamagedArtifact(
        f"The adapter in {paths.shown(folder)} cannot be read ({reason}). Train it again or restore the file."
    )


def _shape(module: nn.Module) -> tuple[int, int] | None:
    """(outputs, inputs) of a linear layer, also of GPT-2's transposed one, of quantised ones, and of an embedding."""
    if isinstance(module, nn.Embedding):
        return module.embedding_dim, module.num_embeddings
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

    def thin(module, x):
        """`x Aᵀ`; what goes into an embedding are the places of ones."""
        return down[x] if isinstance(module, nn.Embedding) else x @ down

    if gate is None:

        def add(module, args, output):
            return output + thin(module, args[0]) @ up

        return add
    rows = len(per_row)

    def add_gated(module, args, output):
        inner = thin(module, args[0])
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
