"""Read and write vectors as other steering programs keep them; no model is needed for that.

All of these are keyed by block, but they count differently:

* GGUF control vector (llama.cpp, repeng): `direction.N` is added to what leaves block N, 0-based. llama.cpp refuses
  N = 0, so block 0 cannot be expressed. `controlvector.layer_count` is the number of direction tensors, as repeng
  and llama.cpp's generator write it; loaders ignore it, so ours carries the model's blocks as `tiller.blocks`.
* persona_vectors: row L of one tensor is `hidden_states[L]`, so it belongs to block L − 1, and row 0 to the embeddings.
* steering-vectors and repeng in Python: a dict from the 0-based block to its vector.

What is read comes from strangers: nothing unpickles, and lengths are checked before memory is taken for them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from safetensors import SafetensorError, safe_open

from core import paths, scratch, store
from core.directions.direction import FORMAT, Direction, load_direction
from core.directions.gguf_header import MAX_BLOCKS, MAX_HEADER, check_header
from core.errors import BadInput

ARCHITECTURE = "controlvector"
MAX_BYTES = 2_000_000_000
MAX_WIDTH = 65_536

NO_BLOCK_0 = "Block 0 is left out: a GGUF control vector starts at block 1."
EMBEDDINGS = "Row 0 of the file, the embeddings before block 0, is left out."
FINAL_NORM = (
    "The last block's vector comes from hidden_states[-1], which most models hand out after their final norm; here "
    "it is added before that norm."
)
GENERATOR = (
    "direction.N is read as block N, where llama.cpp adds it; llama.cpp's own generator measures it at block N − 1."
)
BLOCK_0_READ = "The file has direction.0, which is read as block 0; llama.cpp would refuse it."


@dataclass(frozen=True, eq=False)
class Foreign:
    """Vectors from another program's file, checked: at least one, finite, of one width.

    Attributes:
        format: `gguf`, `persona_vectors`, `by block` or `tiller`.
        vectors: 0-based block to `[width]`, float32.
        model_hint: what kind of model the file says it is for, such as `llama`; None where it does not say.
        notes: what was left out or should be known, a sentence each.
        blocks: how many blocks the model has, where the file tells.
        model, fingerprint, name: id and hash of the weights and the direction's name, where Tiller wrote the file.
        direction: the whole direction, where the file is Tiller's own format; then nothing has to be measured.
        file, sha256: name and hash of the file; None for what was handed over in Python.
    """

    format: str
    vectors: Mapping[int, np.ndarray] = field(repr=False)
    model_hint: str | None = None
    notes: tuple[str, ...] = ()
    blocks: int | None = None
    model: str | None = None
    fingerprint: str | None = None
    name: str | None = None
    direction: Direction | None = None
    file: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.vectors:
            raise BadInput("No vectors were found. Choose a file that holds at least one block's vector.")
        for block, vector in self.vectors.items():
            if not 0 <= block < MAX_BLOCKS or vector.shape != (self.width,) or not 0 < self.width <= MAX_WIDTH:
                raise BadInput(
                    f"Block {block} has a vector of shape {list(vector.shape)} where others have {self.width} numbers "
                    f"(at most {MAX_WIDTH:,} and {MAX_BLOCKS:,} blocks are read). Choose vectors of one model."
                )
            if not np.isfinite(vector).all():
                raise BadInput(f"The vector of block {block} holds values that are not finite numbers. Make it again.")

    @property
    def width(self) -> int:
        return int(next(iter(self.vectors.values())).size)


def by_block(direction: Direction) -> dict[int, np.ndarray]:
    """0-based block to `[width]` float32, as repeng's `ControlVector.directions` wants it.

    Example: `steering_vectors.SteeringVector({i: torch.from_numpy(v) for i, v in by_block(direction).items()})`.
    """
    return {block: direction.vectors[block].numpy().copy() for block in range(direction.blocks)}


def from_blocks(vectors: Mapping[Any, Any], format: str = "by block", **about: Any) -> Foreign:
    """Arrays or tensors by block, such as `SteeringVector.layer_activations`, checked; `about` as in `Foreign`.

    Raises:
        BadInput: a key that is not a block (an int, or a text of digits), or a value that is not a vector.
    """
    found: dict[int, np.ndarray] = {}
    for key, value in vectors.items():
        if not re.fullmatch(r"[0-9]{1,4}", str(key)):
            raise BadInput(f"{str(key)[:80]!r} is not a block number. Name each vector by its block, from 0.")
        if int(key) in found:
            raise BadInput(f"Block {int(key)} is named twice. Keep one vector for each block.")
        found[int(key)] = _vector(value, int(key))
    return Foreign(format, found, **about)


def gguf_bytes(direction: Direction, model_hint: str) -> bytes:
    """A GGUF control vector of every block but block 0; equal directions of one name give equal bytes.

    Args:
        model_hint: the model's `config.model_type`, which repeng compares; llama.cpp ignores it.
    """
    if direction.blocks < 2:
        raise BadInput(f"{direction.name} has only block 0, and a GGUF control vector starts at 1. Use .safetensors.")
    about = {
        "model": direction.provenance.get("model"),
        "fingerprint": direction.provenance.get("fingerprint"),
        "direction": direction.id,
        "name": direction.name,
    }
    with (
        store.disk_errors("the GGUF file"),
        scratch.folder_for(paths.cache() / "direction.gguf") as folder,
    ):
        target = folder / "direction.gguf"
        writer = GGUFWriter(target, ARCHITECTURE)
        try:
            writer.add_string(f"{ARCHITECTURE}.model_hint", model_hint)
            writer.add_uint32(f"{ARCHITECTURE}.layer_count", direction.blocks - 1)
            writer.add_uint32("tiller.blocks", direction.blocks)
            for key, value in about.items():
                if value:
                    writer.add_string(f"tiller.{key}", str(value))
            for block, vector in by_block(direction).items():
                if block > 0:
                    writer.add_tensor(f"direction.{block}", vector)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
        return target.read_bytes()


def export_gguf(direction: Direction, target: Path, model_hint: str) -> list[str]:
    """Write `gguf_bytes` in one step, and return notes on what the format cannot hold."""
    store.write_file(target, gguf_bytes(direction, model_hint))
    return [NO_BLOCK_0]


def read_foreign(path: Path) -> Foreign:
    """Vectors from a `.gguf`, `.pt` or `.safetensors` file.

    Raises:
        BadInput: no such file, another kind, too large, or not what its name says.
        DamagedArtifact: a Tiller direction that changed since it was saved.
    """
    readers = {".gguf": _read_gguf, ".pt": _read_pt, ".pth": _read_pt, ".safetensors": _read_safetensors}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"{path.name} is of no known kind. Choose a .gguf, .pt or .safetensors file.")
    if not path.is_file():
        raise BadInput(f"There is no file {paths.shown(path)}. Check the path.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path.name} is larger than {MAX_BYTES / 1e9:g} GB. Choose a file of vectors, not a model.")
        return replace(reader(path), file=path.name, sha256=store.file_sha256(path))
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read ({error.strerror}). Choose another file.") from error


def _vector(value: Any, block: int) -> np.ndarray:
    """`[width]` float32. The shape is looked at first: a small file can describe a tensor of any size."""
    shape = list(getattr(value, "shape", ()))
    if not _is_vector(shape):
        raise BadInput(
            f"Block {block} has no vector of 1 to {MAX_WIDTH:,} numbers (its shape is {shape}). Save one vector "
            "for each block."
        )
    dense = isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta
    if dense and value.is_floating_point():
        return value.detach().to("cpu", torch.float32).numpy().copy()
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        with np.errstate(over="ignore"):  # becomes inf, which is refused
            return np.array(value, dtype=np.float32)
    raise BadInput(f"The vector of block {block} does not hold real numbers. Save it as float32.")


def _is_vector(shape: Sequence[int]) -> bool:
    return len(shape) == 1 and 0 < shape[0] <= MAX_WIDTH


def _read_gguf(path: Path) -> Foreign:
    try:
        with path.open("rb") as stream:
            check_header(stream.read(MAX_HEADER))
        reader = GGUFReader(path)
        fields = {name: value.contents() for name, value in reader.fields.items()}
        layer_count = reader.fields.get(f"{ARCHITECTURE}.layer_count")
    except Exception as error:  # the gguf package raises whatever its parsing runs into
        raise BadInput(
            f"{path.name} cannot be read as GGUF ({_first_line(error)}). Export it again, or choose another file."
        ) from error
    said = {name: value for name, value in fields.items() if isinstance(value, str)}
    if said.get("general.architecture") != ARCHITECTURE:
        raise BadInput(
            f"{path.name} is a GGUF file but not a control vector (architecture "
            f"{said.get('general.architecture', 'unknown')[:40]!r}). Choose a control vector."
        )
    blocks = fields.get("tiller.blocks")
    vectors = {tensor.name.removeprefix("direction."): tensor.data for tensor in reader.tensors}
    notes = [BLOCK_0_READ] if "0" in vectors else []
    # the generator of llama.cpp writes this number with a sign, the others without
    if layer_count is not None and layer_count.types == [GGUFValueType.INT32]:
        notes.append(GENERATOR)
    return from_blocks(
        vectors,
        "gguf",
        model_hint=said.get(f"{ARCHITECTURE}.model_hint"),
        notes=tuple(notes),
        blocks=blocks if isinstance(blocks, int) else None,
        model=said.get("tiller.model"),
        fingerprint=said.get("tiller.fingerprint"),
        name=said.get("tiller.name"),
    )


def _read_pt(path: Path) -> Foreign:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_BYTES:
            raise ValueError("it unpacks to too much")
        if sum(member.file_size for member in members if member.filename.endswith(".pkl")) > MAX_HEADER:
            raise ValueError("its index is too long")
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile, torch and the restricted unpickler share no base
        raise BadInput(
            f"{path.name} is not a .pt file of plain tensors, and nothing else is opened because pickled objects can "
            "run code. Save the tensor, or a dict from block to tensor, with torch.save."
        ) from error
    if isinstance(value, Mapping):
        return from_blocks(value)
    if not isinstance(value, torch.Tensor) or value.ndim != 2 or not 2 <= value.shape[0] <= MAX_BLOCKS + 1:
        raise BadInput(
            f"{path.name} holds neither a dict from block to vector nor a tensor of a row for the embeddings and one "
            "for each block. Choose another file."
        )
    rows = {row - 1: value[row] for row in range(1, value.shape[0])}
    return from_blocks(rows, "persona_vectors", notes=(EMBEDDINGS, FINAL_NORM), blocks=len(rows))


def _read_safetensors(path: Path) -> Foreign:
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("format") == FORMAT:
                return _read_own(path)
            names = list(file.keys())
            if len(names) > MAX_BLOCKS:
                raise BadInput(f"{path.name} holds {len(names):,} tensors. Choose a file of vectors, not a model.")
            large = [name for name in names if not _is_vector(file.get_slice(name).get_shape())]
            tensors = {name: file.get_tensor(name) for name in names if not large}
    except SafetensorError as error:
        raise BadInput(
            f"{path.name} cannot be read as safetensors ({_first_line(error)}). Choose another file."
        ) from error
    if large:
        raise BadInput(f"The tensor {large[0][:80]!r} of {path.name} is not one block's vector. Choose another file.")
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        number = re.search(r"[0-9]+$", name)
        if number is None:
            raise BadInput(f"The tensor {name[:80]!r} does not end in a block number. Rename it, such as 'block.3'.")
        if number[0] in found:
            raise BadInput(f"{path.name} names block {number[0]} twice. Keep one vector for each block.")
        found[number[0]] = tensor
    return from_blocks(found)


def _read_own(path: Path) -> Foreign:
    """A Tiller direction. Its record is checked as far as the list of directions relies on it."""
    kinds = {"model": str, "fingerprint": str, "contrast": str, "time": str, "organisms": dict}
    try:
        direction = load_direction(path)
        record = direction.provenance
        if not all(isinstance(record.get(key, kind()), kind) for key, kind in kinds.items()):
            raise ValueError("its record is not one that Tiller writes")
        if any(part.dtype != torch.float32 for part in (direction.vectors, direction.residual_norms)):
            raise ValueError("its tensors are not float32")
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise BadInput(f"{path.name} is no whole Tiller direction ({_first_line(error)}). Export it again.") from error
    return from_blocks(
        by_block(direction),
        "tiller",
        blocks=direction.blocks,
        model=record.get("model"),
        fingerprint=record.get("fingerprint"),
        name=direction.name,
        direction=direction,
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
