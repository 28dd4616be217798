"""The Direction: one vector per block, and where it comes from."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsIndex

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from core import paths, store
from core.directions import origin
from core.directions.start import check_vectors
from core.errors import BadInput, DamagedArtifact, DirectionMismatch
from core.models.loading import LoadedModel
from core.words import coefficient

FORMAT = "tiller-direction-1"


@dataclass(frozen=True, eq=False)
class Direction:
    """A vector per block, with arithmetic and equality like a value.

    Attributes:
        vectors: `[blocks, width]`, float32, CPU. Row i is added to the residual stream leaving block i.
        residual_norms: `[blocks]`, mean length of the base model's residual stream at the pooled tokens;
            a coefficient in the norm unit is a fraction of it.
        base_means: `[blocks, width]`, the base model's mean activation at the pooled tokens; its projection
            on a unit vector is the default ceiling of the `cap` mode and the zero of the per-token colours.
        provenance: model id and fingerprint, contrast, pooling, organisms, n, hashes, versions, time.
    """

    name: str
    vectors: torch.Tensor = field(repr=False)
    residual_norms: torch.Tensor = field(repr=False)
    base_means: torch.Tensor = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        blocks = self.vectors.shape[0] if self.vectors.ndim else 0
        if (
            self.vectors.ndim != 2
            or self.residual_norms.shape != (blocks,)
            or self.base_means.shape != self.vectors.shape
        ):
            raise BadInput(f"The direction {self.name} has tensors of the wrong shape. Extract it again.")
        if not all(torch.isfinite(part).all() for part in (self.vectors, self.residual_norms, self.base_means)):
            raise BadInput(f"The direction {self.name} holds values that are not finite numbers. Extract it again.")

    @property
    def blocks(self) -> int:
        return self.vectors.shape[0]

    @property
    def width(self) -> int:
        return self.vectors.shape[1]

    @cached_property
    def norms(self) -> torch.Tensor:
        """Length of each block's vector, `[blocks]`."""
        return self.vectors.norm(dim=1)

    @cached_property
    def id(self) -> str:
        """Hash of the vectors and the model: what a link, a run record or an intervention refers to."""
        head = store.content_hash([FORMAT, self.provenance.get("model"), list(self.vectors.shape)])
        # adding 0 turns −0 into 0, so that equal values have equal bytes
        return store.content_hash([head, (self.vectors + 0.0).numpy().tobytes().hex()])[:16]

    def unit(self, block: int) -> torch.Tensor:
        """Unit vector at `block`, `[width]`; zeros where the vector is zero."""
        return self.vectors[block] / self.norms[block].clamp(min=torch.finfo(torch.float32).tiny)

    def base_projection(self, block: int) -> float:
        """Mean projection of the base model's activations on the unit vector at `block`."""
        return float(self.base_means[block] @ self.unit(block))

    def per_block(self) -> dict[str, list[float]]:
        """Lengths and projections a page needs before it loads torch; saved beside the vectors."""
        return {
            "norms": self.norms.tolist(),
            "residual_norms": self.residual_norms.tolist(),
            "base_projections": [self.base_projection(block) for block in range(self.blocks)],
        }

    def to_norm_unit(self, coefficient: float, block: int) -> float:
        """A raw coefficient (multiples of the vector) as a fraction of the block's mean residual norm."""
        return coefficient * float(self.norms[block] / self.residual_norms[block])

    def from_norm_unit(self, fraction: float, block: int) -> float:
        """A fraction of the block's mean residual norm as a raw coefficient; 0 for a zero vector."""
        norm = float(self.norms[block])
        return fraction * float(self.residual_norms[block]) / norm if norm else 0.0

    def check(self, loaded: LoadedModel) -> None:
        """Raise unless this direction was made for exactly these weights, and is not zero at every block.

        Weights are known by their fingerprint, wherever they lie by now; where one is not known, by the model's id.

        Raises:
            DirectionMismatch: another model, or other weights under its id.
            BadInput: there is no vector at all.
        """
        made_for, same = self.provenance.get("model"), origin.same_weights(self.provenance, loaded.fingerprint)
        shape, needed = (self.blocks, self.width), (len(loaded.blocks), loaded.width)
        if shape != needed or (made_for != loaded.id and not same):
            raise DirectionMismatch(
                f"The direction {self.name} belongs to {made_for} ({self.blocks} blocks of width {self.width}), not to "
                f"{loaded.id} ({len(loaded.blocks)} of {loaded.width}). Choose a direction of this model."
            )
        if same is False:
            raise origin.of_other_weights(self.name, loaded.id)
        check_vectors(self.name, self.norms.tolist(), ())

    def __add__(self, other: Direction) -> Direction:
        return self._combine("add", self.vectors + self._same_space(other).vectors, [self.id, other.id])

    def __sub__(self, other: Direction) -> Direction:
        return self._combine("subtract", self.vectors - self._same_space(other).vectors, [self.id, other.id])

    def __mul__(self, factor: float) -> Direction:
        return self._combine("scale", self.vectors * factor, [self.id, factor])

    __rmul__ = __mul__

    def __neg__(self) -> Direction:
        return self * -1.0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Direction) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def at(self, blocks: int | Iterable[int], scope: str = "all") -> Steer:
        """This direction at one block or several, each with its own vector, to be added once: see `Steer`.

        Args:
            scope: which tokens are steered: `all`, `prompt`, or `response` (from the last prompt token on).

        Raises:
            BadInput: there is no vector at one of these blocks; names those that have one.
        """
        chosen = [blocks] if isinstance(blocks, SupportsIndex) else blocks
        return Steer(self, tuple(int(block) for block in chosen), scope=scope)

    def derive(self, name: str, vectors: torch.Tensor, **provenance: Any) -> Direction:
        """A direction of the same model and data with other vectors; `provenance` says how they were made."""
        return replace(self, name=name, vectors=vectors, provenance={**self.provenance, **provenance})

    def _combine(self, operation: str, vectors: torch.Tensor, of: list[Any]) -> Direction:
        return self.derive(f"{operation}({self.name})", vectors, operation=operation, of=of)

    def _same_space(self, other: Direction) -> Direction:
        of_one_model = self.provenance.get("model") == other.provenance.get("model")
        of_one_model |= origin.same_weights(self.provenance, other.provenance.get("fingerprint")) is True
        if self.vectors.shape != other.vectors.shape or not of_one_model:
            raise DirectionMismatch(
                f"{self.name} and {other.name} belong to different models, so they cannot be combined. Map one first."
            )
        return other


@dataclass(frozen=True)
class Steer:
    """A direction with the blocks where it is to act, and how strongly. Given to `Lab.generate`.

    Example: `-1 * direction.at(13)`, `direction.at(range(10, 15)).ablate(0.5)`, `direction.at(13).cap()`.
    """

    direction: Direction
    blocks: tuple[int, ...]
    mode: str = "add"
    coefficient: float = 1.0
    scope: str = "all"
    ceiling: float | None = None

    def __post_init__(self) -> None:
        check_vectors(self.direction.name, self.direction.norms.tolist(), self.blocks)

    def __mul__(self, factor: float) -> Steer:
        if self.mode != "add":
            raise BadInput(f"A share is not multiplied. Write {self.mode}({factor:g}) instead.")
        return replace(self, coefficient=self.coefficient * factor)

    __rmul__ = __mul__

    def __neg__(self) -> Steer:
        return self * -1.0

    def ablate(self, share: float = 1.0) -> Steer:
        """Take away this share of what the residual stream has along the direction."""
        return replace(self, mode="ablate", coefficient=share)

    def cap(self, share: float = 1.0, ceiling: float | None = None) -> Steer:
        """Take away this share of what exceeds the ceiling, by default the base model's mean projection."""
        return replace(self, mode="cap", coefficient=share, ceiling=ceiling)

    def __str__(self) -> str:
        """`−1 × insecure · model contrast at block 13`."""
        how = "" if self.mode == "add" else f"{self.mode} "
        where = f"block{'s' if len(self.blocks) > 1 else ''} {', '.join(map(str, self.blocks))}"
        scope = "" if self.scope == "all" else f", {self.scope}"
        return f"{how}{coefficient(self.coefficient)} × {self.direction.name} at {where}{scope}"


def save_direction(direction: Direction, target: Path) -> None:
    """Write safetensors with the provenance as JSON metadata, in one step; equal directions give equal bytes.

    Raises:
        BadInput: it is zero at every block, or a vector is so long that float32 has no number for its length.
    """
    check_vectors(direction.name, direction.norms.tolist(), ())
    if not torch.isfinite(direction.norms).all():
        raise BadInput(f"A vector of the direction {direction.name} is too long to be measured. Make it shorter.")
    tensors = {
        "vectors": direction.vectors.contiguous(),
        "residual_norms": direction.residual_norms.contiguous(),
        "base_means": direction.base_means.contiguous(),
    }
    metadata = {
        "format": FORMAT,
        "name": direction.name,
        "id": direction.id,
        "per_block": json.dumps(direction.per_block()),
        "provenance": json.dumps(dict(direction.provenance), sort_keys=True),
    }
    data = save(tensors, {**metadata, "checksum": _checksum(tensors, metadata)})
    store.write_file(target, _with_sorted_header(data))


def _with_sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header in one order: the library's own differs from call to call."""
    (size,) = struct.unpack("<Q", data[:8])
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def _checksum(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    parts = {name: [list(tensor.shape), tensor.numpy().tobytes().hex()] for name, tensor in tensors.items()}
    return store.content_hash([parts, dict(metadata)])


def is_own(path: Path) -> bool:
    """Whether a file says that `save_direction` wrote it; raises `OSError` or `SafetensorError` for no safetensors."""
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("format") == FORMAT


def load_direction(path: Path) -> Direction:
    """Read what `save_direction` wrote, down to the last byte of its tensors and metadata.

    Raises:
        DamagedArtifact: not such a file, or it changed since it was written.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise DamagedArtifact(
            f"{paths.shown(path)} cannot be read as a direction ({error}). Delete it and extract it again."
        ) from error
    if metadata.get("format") != FORMAT:
        raise DamagedArtifact(f"{paths.shown(path)} is not a Tiller direction. Choose another file.")
    not_whole = DamagedArtifact(
        f"{paths.shown(path)} does not hold what it was saved with. Delete it and extract it again."
    )
    if metadata.pop("checksum", None) != _checksum(tensors, metadata):
        raise not_whole
    try:
        direction = Direction(
            metadata["name"],
            tensors["vectors"].float(),
            tensors["residual_norms"].float(),
            tensors["base_means"].float(),
            dict(json.loads(metadata["provenance"])),
        )
        if direction.id != metadata["id"]:  # a checksum can be forged with the rest; what it steers with cannot
            raise ValueError(metadata["id"])
    except (BadInput, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise not_whole from error
    return direction
