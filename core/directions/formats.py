"""Read and write vectors as other steering programs keep them; no model is needed for that.

All of these are keyed by block, but they count differently:

* GGUF control vector (llama.cpp, repeng): `direction.N` is added to what leaves block N, 0-based. llama.cpp refuses
  N = 0, so block 0 cannot be expressed. `controlvector.layer_count` is the number of direction tensors, as repeng
  and llama.cpp's generator write it; loaders ignore it, so ours carries the model's blocks as `tiller.blocks`.
* persona_vectors: row L of one tensor is `hidden_states[L]`, so it belongs to block L − 1, and row 0 to the embeddings.
  A tensor with as many rows as the model has blocks has none for the embeddings: row L is block L.
* steering-vectors and repeng in Python: a dict from the 0-based block to its vector, under many names (`layouts`).
* One vector alone: its block is asked for, or stated by the file's name or a record beside it.

What is read comes from strangers: nothing unpickles, and lengths are checked before memory is taken for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from safetensors import SafetensorError

from core import paths, scratch, store
from core.directions import containers
from core.directions.containers import MAX_WIDTH, Held, first_line, is_vector
from core.directions.direction import Direction, is_own, load_direction
from core.directions.gguf_header import MAX_BLOCKS, MAX_HEADER, check_header
from core.directions.layouts import Hint, block_of, hint_beside, hint_of_name, unwrapped
from core.directions.start import in_words
from core.errors import BadInput

ARCHITECTURE = "controlvector"
MAX_BYTES = 2_000_000_000

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
BY_ROW = "Row i is read as block i: the file has as many rows as the model has blocks, so none for the embeddings."
ENTERING = "Where that program means what enters the layer, as refusal_direction does, give the block before it."


@dataclass(frozen=True, eq=False)
class Foreign:
    """Vectors from another program's file, checked: at least one that is not zero, finite, of one width.

    Attributes:
        format: `gguf`, `persona_vectors`, `by row`, `by block`, `one vector` or `tiller`.
        vectors: 0-based block to `[width]`, float32.
        model_hint: what the file says of the model it is for, in words of its own; None where it says nothing.
        notes: what was left out or should be known, a sentence each.
        blocks: how many blocks the model has, where the file tells.
        model, fingerprint, name: id and hash of the weights and the direction's name, where Tiller wrote the file.
        direction: the whole direction, where the file is Tiller's own format; then nothing has to be measured.
        file, sha256: name and hash of the file; None for what was handed over in Python.
        row_0: of `persona_vectors`: the first row, which is block 0 where the model has a block for each row.
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
    row_0: np.ndarray | None = field(default=None, repr=False)

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
        if not any(vector.any() for vector in (*self.vectors.values(), *([] if self.row_0 is None else [self.row_0]))):
            raise BadInput("All vectors are zero, so they steer nothing. Choose another file, or make them again.")

    @property
    def width(self) -> int:
        return int(next(iter(self.vectors.values())).size)

    def for_blocks(self, count: int) -> Foreign:
        """These vectors for a model of `count` blocks: a matrix of as many rows has one for each block."""
        if self.row_0 is None or self.blocks != count - 1:
            return self
        vectors = {0: self.row_0, **{block + 1: vector for block, vector in self.vectors.items()}}
        return replace(self, format="by row", vectors=vectors, notes=(BY_ROW,), blocks=count, row_0=None)


def by_block(direction: Direction) -> dict[int, np.ndarray]:
    """0-based block to `[width]` float32, as repeng's `ControlVector.directions` wants it.

    Example: `steering_vectors.SteeringVector({i: torch.from_numpy(v) for i, v in by_block(direction).items()})`.
    """
    return {block: direction.vectors[block].numpy().copy() for block in range(direction.blocks)}


def from_blocks(vectors: Mapping[Any, Any], format: str = "by block", **about: Any) -> Foreign:
    """Arrays or tensors by block, such as `SteeringVector.layer_activations`, checked; `about` as in `Foreign`.

    Raises:
        BadInput: a key that names no block (13, "13", "layer_13", "model.layers.13"), or a value that is no vector.
    """
    found: dict[int, np.ndarray] = {}
    for key, value in vectors.items():
        block = block_of(key)
        if block is None:
            raise BadInput(f"{str(key)[:80]!r} is not a block number. Name each vector by its block, from 0.")
        if block in found:
            raise BadInput(f"Block {block} is named twice. Keep one vector for each block.")
        found[block] = _vector(value, block)
    return Foreign(format, found, **about)


def gguf_bytes(direction: Direction, model_hint: str) -> bytes:
    """A GGUF control vector of every block but block 0; equal directions of one name give equal bytes.

    Args:
        model_hint: the model's `config.model_type`, which repeng compares; llama.cpp ignores it.
    """
    if direction.blocks < 2:
        raise BadInput(f"{direction.name} has only block 0, and a GGUF control vector starts at 1. Use .safetensors.")
    if not direction.vectors[1:].any():
        raise BadInput(
            f"{direction.name} is zero from block 1 on, and a GGUF control vector starts there. Use .safetensors."
        )
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


def read_foreign(path: Path, block: int | None = None) -> Foreign:
    """Vectors from a `.gguf`, `.pt`, `.pth`, `.safetensors`, `.npy` or `.npz` file.

    Args:
        block: of a file that holds one vector, where that belongs; by default what the file, a record beside it or its
            name states.

    Raises:
        BadInput: no such file, another kind, too large, not what its name says, or one vector of no known block.
        DamagedArtifact: a Tiller direction that changed since it was saved.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"{path.name} is of no known kind. Choose a .gguf, .pt, .safetensors, .npy or .npz file.")
    if block is not None and not 0 <= block < MAX_BLOCKS:
        raise BadInput(f"There is no block {block}. Give the number of a block of the model, from 0.")
    if not path.is_file():
        raise BadInput(f"There is no file {paths.shown(path)}. Check the path.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path.name} is larger than {MAX_BYTES / 1e9:g} GB. Choose a file of vectors, not a model.")
        found = reader(path)
        if not isinstance(found, Foreign):
            found = _laid_out(path, found, block)
        elif block is not None:
            found = _at_block(found, block, path)
        return replace(found, file=path.name, sha256=store.file_sha256(path))
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read ({error.strerror}). Choose another file.") from error


def _laid_out(path: Path, held: Held, block: int | None) -> Foreign:
    """What a file holds, as vectors by block: a dict of them, a matrix with a row for each, or one vector."""
    value, inside = unwrapped(held.value)
    beside = hint_beside(path)
    model = held.hint.model or inside.model or beside.model
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, alone),) = value.items()
        if isinstance(key, str) and block_of(key) is None:
            value = alone
    if isinstance(value, Mapping):
        found = from_blocks(value, model_hint=model)
        return found if block is None else _at_block(found, block, path)
    shape = list(getattr(value, "shape", ()))
    if len(shape) == 1 or (len(shape) == 2 and shape[0] == 1):
        place, note = _block_of_one(path, block, [inside, held.hint, beside, hint_of_name(path)])
        vector = _vector(value if len(shape) == 1 else value[0], place)
        return Foreign("one vector", {place: vector}, model_hint=model, notes=note)
    if len(shape) != 2 or not 2 <= shape[0] <= MAX_BLOCKS + 1:
        raise BadInput(
            f"{path.name} holds neither a dict from block to vector, nor one vector, nor a tensor of a row for the "
            "embeddings and one for each block. Choose another file."
        )
    rows = {row - 1: _vector(value[row], row - 1) for row in range(1, shape[0])}
    found = Foreign(
        "persona_vectors", rows, model, (EMBEDDINGS, FINAL_NORM), blocks=len(rows), row_0=_vector(value[0], 0)
    )
    return found if block is None else _at_block(found, block, path)


def _block_of_one(path: Path, asked: int | None, hints: Sequence[Hint]) -> tuple[int, tuple[str, ...]]:
    """The block of a file's only vector and the note on it: as asked, else what all that state one agree on."""
    if asked is not None:
        return asked, (f"Its one vector is read as block {asked}, as asked.",)
    stated = [hint for hint in hints if hint.block is not None]
    if len({hint.block for hint in stated}) != 1:
        said = ", and ".join(f"{hint.by} says {hint.block}" for hint in stated) or "nothing says of which block"
        raise BadInput(f"{path.name} holds one vector, and {said}. Name its block, as in --block 13 on a command line.")
    place = stated[0].block
    assert place is not None
    return place, (f"Its one vector is read as block {place}, as {stated[0].by} says. {ENTERING}",)


def _at_block(found: Foreign, block: int, path: Path) -> Foreign:
    """A file's only vector at the block asked for, whatever the file calls it."""
    if len(found.vectors) > 1 or found.row_0 is not None or found.direction is not None:
        raise BadInput(
            f"{path.name} names its blocks itself ({in_words(tuple(found.vectors))}), and a block is given for one "
            "vector only. Leave it out."
        )
    ((named, vector),) = found.vectors.items()
    said = "" if named == block else f"; the file says {named}"
    note = f"Its one vector is read as block {block}, as asked{said}."
    return replace(found, vectors={block: vector}, notes=(note,), blocks=None)


def _vector(value: Any, block: int) -> np.ndarray:
    """`[width]` float32. The shape is looked at first: a small file can describe a tensor of any size."""
    shape = list(getattr(value, "shape", ()))
    if not is_vector(shape):
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


def _read_gguf(path: Path) -> Foreign:
    try:
        with path.open("rb") as stream:
            check_header(stream.read(MAX_HEADER))
        reader = GGUFReader(path)
        fields = {name: value.contents() for name, value in reader.fields.items()}
        layer_count = reader.fields.get(f"{ARCHITECTURE}.layer_count")
    except Exception as error:  # the gguf package raises whatever its parsing runs into
        raise BadInput(
            f"{path.name} cannot be read as GGUF ({first_line(error)}). Export it again, or choose another file."
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


def _read_safetensors(path: Path) -> Foreign | Held:
    with contextlib.suppress(SafetensorError):  # the next reader says what is wrong
        if is_own(path):
            return _read_own(path)
    return containers.read_safetensors(path)


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
        raise BadInput(f"{path.name} is no whole Tiller direction ({first_line(error)}). Export it again.") from error
    return from_blocks(
        by_block(direction),
        "tiller",
        blocks=direction.blocks,
        model=record.get("model"),
        fingerprint=record.get("fingerprint"),
        name=direction.name,
        direction=direction,
    )


_READERS: dict[str, Callable[[Path], Foreign | Held]] = {
    ".gguf": _read_gguf,
    ".pt": lambda path: containers.read_pt(path, MAX_BYTES),
    ".pth": lambda path: containers.read_pt(path, MAX_BYTES),
    ".safetensors": _read_safetensors,
    ".npy": containers.read_npy,
    ".npz": lambda path: containers.read_npz(path, MAX_BYTES),
}
