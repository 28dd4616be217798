"""Looking at a model's files before they are believed: what is there, whole, plain, finite, and belongs together.

What is wrong is one sentence, and an action that fits where the files come from. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from core import store
from core.errors import DamagedArtifact, ModelUnavailable

CONFIG, INDEX, ADAPTER = "config.json", "model.safetensors.index.json", "adapter_config.json"
POINTER = b"version https://git-lfs"
MOST_HEADER = 100_000_000  # bytes; the format's own limit
CHUNK = 1 << 24  # values looked at in one piece
# For each floating format: NumPy's type of its bits, and those that are all set where a value is not finite.
BITS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000), "F64": ("<u8", 0x7FF0 << 48)}
OF_THE_DECODER = re.compile(r"(^|\.)(layers|h|blocks)\.\d+\.|embed_tokens|(^|\.)wte\.|lm_head")
NAMED = 3  # tensors that a sentence names


def check_folder(folder: Path, action: str) -> None:
    """Look at everything but the values.

    Args:
        action: what to do, in a sentence, for files from where these come from.

    Raises:
        ModelUnavailable: it is not a whole, plain model, or it brings program code.
    """
    if not (folder / CONFIG).is_file():
        if (folder / ADAPTER).is_file():
            raise ModelUnavailable(
                f"The folder {folder.name} holds an adapter and not a model. Choose the model it was trained on; the "
                "adapter can become an organism of it."
            )
        raise ModelUnavailable(
            f"The folder {folder.name} holds no config.json. Choose a folder that save_pretrained wrote."
        )
    if code := _own_code(folder):
        raise ModelUnavailable(
            f"The folder {folder.name} brings program code of its own ({code}), and Tiller runs no code out of a model "
            "folder. Choose a model whose class is part of transformers; if this one's is, remove auto_map from its "
            "JSON files."
        )
    if kind := _quantised(folder):
        raise ModelUnavailable(
            f"The weights in {folder.name} are quantised ({kind}), and directions are measured and added in plain "
            "ones. Choose the model that this one was made from."
        )
    files = weights(folder)
    if not files:
        raise ModelUnavailable(
            f"The folder {folder.name} holds no safetensors weights, and pickled ones are not opened because they can "
            "run code. Save the model again with save_pretrained."
        )
    if absent := sorted(_sharded(folder) - {file.name for file in files}):
        raise ModelUnavailable(
            f"Of the weights in {folder.name}, {len(absent)} of their files {'is' if len(absent) == 1 else 'are'} "
            f"missing ({_some(absent)}). {action}"
        )
    for file in files:
        _header(file, action)


def check_values(files: Collection[Path], action: str) -> None:
    """Read every weight once.

    Raises:
        ModelUnavailable: names the first tensor that holds something not finite.
    """
    for file in files:
        start, tensors = _header(file, action)
        data = np.memmap(file, np.uint8, "r", start) if file.stat().st_size > start else np.zeros(0, np.uint8)
        for name, (dtype, first, last) in tensors.items():
            if dtype in BITS and not _is_finite(data[first:last], *BITS[dtype]):
                raise ModelUnavailable(
                    f"The weights in {file.parent.name} hold values that are not finite (in {name}), so nothing that "
                    f"the model says would mean anything. {action}"
                )


def check_loaded(info: dict[str, Any], name: str, action: str) -> list[str]:
    """What transformers did with the files.

    Args:
        info: its loading report.

    Returns:
        Names of tensors that belong to no part of the decoder and were left aside.

    Raises:
        ModelUnavailable: a weight was missing and drawn at random, had another shape, or belongs where this class has
            no place for it.
    """
    missing = sorted(map(str, info.get("missing_keys", ())))
    other = sorted(str(item[0] if isinstance(item, tuple) else item) for item in info.get("mismatched_keys", ()))
    unused = sorted(map(str, info.get("unexpected_keys", ())))
    left_over = [key for key in unused if OF_THE_DECODER.search(key)]
    faults = [
        f"{len(keys)} {what} ({_some(keys)})"
        for keys, what in ((missing, "missing"), (other, "of another shape"), (left_over, "with no place in it"))
        if keys
    ]
    if faults:
        raise ModelUnavailable(
            f"The weights of {name} do not fit its configuration: of its tensors, {'; '.join(faults)}. Random ones "
            f"would stand in for them, so it is not loaded. {action}"
        )
    return unused


def adapter_beside(folder: Path) -> list[str]:
    """Files of an adapter that lie beside whole weights; transformers would switch it on unasked."""
    if not (folder / ADAPTER).is_file():
        return []
    return sorted(file.name for file in folder.glob("adapter_*") if file.is_file())


def template_beside(folder: Path) -> str | None:
    """The chat template that older models keep in a file of its own, which a tokenizer does not read."""
    found = _read(folder / "chat_template.json").get("chat_template")
    return found if isinstance(found, str) and found.strip() else None


def weights(folder: Path) -> list[Path]:
    """The files that hold the model's weights, in the order of their names."""
    return sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith("adapter_"))


def _header(file: Path, action: str) -> tuple[int, dict[str, tuple[str, int, int]]]:
    """(where the values begin, each tensor's format with where it lies among them) of a safetensors file."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(8)
        if (head + stream.read(len(POINTER))).startswith(POINTER):
            raise ModelUnavailable(
                f"{file.name} in {file.parent.name} is a pointer to the weights, as git leaves it without LFS, and not "
                f"the weights. {action}"
            )
        stream.seek(8)
        length = int.from_bytes(head, "little")
        try:
            if length > min(MOST_HEADER, size):
                raise ValueError("its header is longer than the file")
            named = json.loads(stream.read(length))
            tensors = {
                name: (str(about["dtype"]), int(about["data_offsets"][0]), int(about["data_offsets"][1]))
                for name, about in named.items()
                if name != "__metadata__"
            }
            for name, (dtype, first, last) in tensors.items():
                size_of_one = np.dtype(BITS[dtype][0]).itemsize if dtype in BITS else 1
                if not 0 <= first <= last or (last - first) % size_of_one:
                    raise ValueError(f"the place of {name[:60]} is none")
            end = max((last for _, _, last in tensors.values()), default=0)
            if 8 + length + end != size:
                raise ValueError(f"it holds {size:,} bytes and should hold {8 + length + end:,}")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ModelUnavailable(
                f"{file.name} in {file.parent.name} is damaged or not whole ({error}). {action}"
            ) from error
    return 8 + length, tensors


def _is_finite(data: np.ndarray, kind: str, mask: int) -> bool:
    values = data.view(kind)
    full = values.dtype.type(mask)
    return not any(
        bool(((values[place : place + CHUNK] & full) == full).any()) for place in range(0, len(values), CHUNK)
    )


def _own_code(folder: Path) -> str | None:
    """The file beside the weights that holds classes which the folder's JSON files name (`auto_map`), or None."""
    for name in (CONFIG, "tokenizer_config.json", "processor_config.json", "generation_config.json"):
        named = _read(folder / name).get("auto_map") or {}
        for classes in named.values() if isinstance(named, dict) else [named]:
            for text in classes if isinstance(classes, list) else [classes]:
                file = f"{str(text).rpartition('--')[2].partition('.')[0]}.py"
                with contextlib.suppress(OSError, ValueError):  # a name that no file can have
                    if text and (folder / file).is_file():
                        return file
    return None


def _quantised(folder: Path) -> str | None:
    """How the weights are quantised, in its configuration's own word; None for plain ones."""
    config = _read(folder / CONFIG)
    for part in (config, config.get("text_config")):
        about = part.get("quantization_config") if isinstance(part, dict) else None
        if isinstance(about, dict):
            return str(about.get("quant_method", "in a way it does not name"))
    return None


def _sharded(folder: Path) -> set[str]:
    named = _read(folder / INDEX).get("weight_map")
    return set(map(str, named.values())) if isinstance(named, dict) else set()


def _read(file: Path) -> dict[str, Any]:
    """A JSON file that holds names and values; empty where it is not there or is something else."""
    try:
        found = store.read_json(file)
    except (OSError, DamagedArtifact):
        return {}
    return found if isinstance(found, dict) else {}


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
