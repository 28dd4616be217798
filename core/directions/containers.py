"""What a file of tensors holds, as its program wrote it: `.pt`, `.npy`, `.npz` and `.safetensors`. Nothing unpickles.

What is read comes from strangers: lengths are checked before memory is taken for them.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from core.directions.gguf_header import MAX_BLOCKS, MAX_HEADER
from core.directions.layouts import Hint, block_of, hint_of
from core.errors import BadInput

MAX_WIDTH = 65_536
NOTHING = Hint("its header")


@dataclass(frozen=True)
class Held:
    """A tensor, an array or a dict of them, not checked yet, and what the file's header says."""

    value: Any
    hint: Hint


def read_pt(path: Path, most: int) -> Held:
    """What `torch.save` wrote, as far as it is plain tensors, and unpacks to at most so many bytes."""
    try:
        _check_zip(path, most)
        return Held(torch.load(path, map_location="cpu", weights_only=True), NOTHING)
    except Exception as error:  # zipfile, torch and the restricted unpickler share no base
        raise BadInput(
            f"{path.name} is not a .pt file of plain tensors, and nothing else is opened because pickled objects can "
            "run code. Save the tensor, or a dict from block to tensor, with torch.save."
        ) from error


def read_npy(path: Path) -> Held:
    """The array that `numpy.save` wrote."""
    try:
        return Held(_array(path.read_bytes()), NOTHING)
    except Exception as error:  # what numpy runs into has no base of its own
        raise _no_arrays(path, error) from error


def read_npz(path: Path, most: int) -> Held:
    """The arrays that `numpy.savez` wrote, by name, of at most so many bytes."""
    try:
        _check_zip(path, most)
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            if len(names) > MAX_BLOCKS:
                raise ValueError(f"it holds {len(names):,} arrays")
            arrays = {name.removesuffix(".npy"): _array(archive.read(name)) for name in names}
    except Exception as error:  # nor has what zipfile runs into
        raise _no_arrays(path, error) from error
    return Held(arrays["arr_0"] if list(arrays) == ["arr_0"] else arrays, NOTHING)  # what savez calls the nameless


def read_safetensors(path: Path) -> Held:
    """Vectors by name, or one tensor alone, which may be a matrix."""
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            if len(names) > MAX_BLOCKS:
                raise BadInput(f"{path.name} holds {len(names):,} tensors. Choose a file of vectors, not a model.")
            alone = len(names) == 1 and block_of(names[0]) is None
            large = [name for name in names if not _fits(file.get_slice(name).get_shape(), alone)]
            tensors = {name: file.get_tensor(name) for name in names if not large}
            hint = hint_of(file.metadata() or {}, "its header")
    except SafetensorError as error:
        raise BadInput(
            f"{path.name} cannot be read as safetensors ({first_line(error)}). Choose another file."
        ) from error
    if large:
        raise BadInput(f"The tensor {large[0][:80]!r} of {path.name} is not one block's vector. Choose another file.")
    return Held(tensors, hint)


def is_vector(shape: Sequence[int]) -> bool:
    return len(shape) == 1 and 0 < shape[0] <= MAX_WIDTH


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _fits(shape: Sequence[int], matrix: bool) -> bool:
    return is_vector(shape) or (matrix and len(shape) == 2 and shape[0] <= MAX_BLOCKS + 1 and is_vector(shape[1:]))


def _check_zip(path: Path, most: int) -> None:
    """Raise `ValueError` for an archive that unpacks to more than is read."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if sum(member.file_size for member in members) > most:
        raise ValueError("it unpacks to too much")
    if sum(member.file_size for member in members if member.filename.endswith(".pkl")) > MAX_HEADER:
        raise ValueError("its index is too long")


def _array(data: bytes) -> np.ndarray:
    """The array of a `.npy` file, as long as its header says; nothing that would have to be unpickled."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, kind = read(stream)
    except ValueError as error:
        raise ValueError("its header cannot be read") from error
    if kind.hasobject or math.prod(shape) * kind.itemsize != len(data) - stream.tell():
        raise ValueError("its header does not describe what follows")
    stream.seek(0)
    return np.load(stream, allow_pickle=False)


def _no_arrays(path: Path, error: Exception) -> BadInput:
    return BadInput(
        f"{path.name} is not a file of plain NumPy arrays ({first_line(error)}). Save it with numpy.save or "
        "numpy.savez, as float32."
    )
