"""Model folders that were used on this machine: an id in a link or a command finds its folder again.

An id holds a hash of the folder's path and not the path, so what it stands for is written down here, in the cache. A
folder that was moved or renamed has another id and the same weights: what was made of it is found by their fingerprint.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from core import paths, store
from core.errors import DamagedArtifact, NotWritable, OutOfSpace

OF_A_FOLDER = re.compile(r"local-.+-[0-9a-f]{8}")


def remember(model: str, folder: Path, fingerprint: str) -> None:
    """Keep where a folder model lies; where that cannot be written, it is asked for again another time."""
    wanted = {"model": model, "folder": str(folder), "fingerprint": fingerprint}
    if _record(model) != wanted:
        with contextlib.suppress(OSError, NotWritable, OutOfSpace):
            store.write_json(_place(model), wanted)


def folder_of(model: str) -> Path | None:
    """The folder that an id was made of on this machine, while a model lies there."""
    record = _record(model) if OF_A_FOLDER.fullmatch(model) else None
    folder = Path(record["folder"]) if record else None
    return folder if folder is not None and (folder / "config.json").is_file() else None


def same_weights(model: str) -> set[str]:
    """The id, and all others under which the same weights were used on this machine."""
    here = _record(model) if OF_A_FOLDER.fullmatch(model) else None
    if here is None:
        return {model}
    others = (_read(file) for file in _folder().glob("*.json"))
    return {model, *(one["model"] for one in others if one and one["fingerprint"] == here["fingerprint"])}


def _folder() -> Path:
    return paths.cache() / "models" / "folders"


def _place(model: str) -> Path:
    return _folder() / f"{paths.safe_name(model)}.json"


def _record(model: str) -> dict[str, str] | None:
    return _read(_place(model))


def _read(file: Path) -> dict[str, str] | None:
    with contextlib.suppress(OSError, DamagedArtifact):
        found: Any = store.read_json(file)
        if isinstance(found, dict) and {"model", "folder", "fingerprint"} <= set(found):
            return {key: str(value) for key, value in found.items()}
    return None
