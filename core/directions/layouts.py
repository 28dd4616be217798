"""How other programs lay vectors out: what keys, a file's name or a record beside it say of the block and the model.

Whatever is not plain is not guessed: such a key is no block, and two sources that differ leave the block open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_RECORD = 1_000_000

_WORD = r"(?:layers?|blocks?|blk|h|l|directions?|vectors?|resid_post)"
_KEYS = (
    re.compile(r"([0-9]{1,4})"),
    re.compile(
        rf"(?:.*[^a-z0-9])?{_WORD}[._ \-/\[]?([0-9]{{1,4}})\]?(?:\.(?:(?:hook_)?resid_post|output|vector|direction))?",
        re.IGNORECASE,
    ),
    re.compile(r"(?:.*\.)?[a-z_][a-z0-9_]*\.([0-9]{1,4})", re.IGNORECASE),
)
# of a file's name: `happy_layer_13`, `l13-happy`, but not `layers_5_to_9`
_IN_NAME = re.compile(r"(?<![a-z0-9])(?:layer|block|blk|l)[._ \-]?([0-9]{1,4})(?![0-9])", re.IGNORECASE)
_RANGE = re.compile(r"(?:layers?|blocks?|blk|l)[._ \-]?[0-9]+[._ \-]*(?:to|through|-|–)[._ \-]*[0-9]", re.IGNORECASE)

_INSIDE = ("directions", "direction", "vectors", "vector", "steering_vectors", "steering_vector", "layer_activations")
_LAYER = ("layer", "layer_idx", "layer_index", "layer_id", "block")
_MODEL = ("model_hint", "model_type", "model_name", "model_id", "model_name_or_path", "model", "base_model")


@dataclass(frozen=True)
class Hint:
    """What is said of one vector, or of a whole file, and `by` what. None: nothing."""

    by: str
    block: int | None = None
    model: str | None = None


def block_of(key: Any) -> int | None:
    """The 0-based block that a key names (`13`, `"13"`, `"layer_13"`, `"model.layers.13"`), else None."""
    found = (pattern.fullmatch(str(key)) for pattern in _KEYS)
    return next((int(match[1]) for match in found if match), None)


def unwrapped(value: Any) -> tuple[Any, Hint]:
    """The vectors of `{"directions": {…}, "model_type": "llama"}` or `{"direction": tensor, "layer": 13}`, and a hint.

    What is no dict is given back as it is.
    """
    if not isinstance(value, Mapping):
        return value, Hint("the file")
    arrays = [(key, item) for key, item in value.items() if isinstance(item, Mapping) or _is_array(item)]
    others = [(key, item) for key, item in value.items() if not (isinstance(item, Mapping) or _is_array(item))]
    misnamed = [(key, item) for key, item in others if block_of(key) is not None]
    hint = hint_of({str(key): item for key, item in others}, "the file")
    if len(arrays) == 1 and not misnamed and str(arrays[0][0]).lower() in _INSIDE:
        return arrays[0][1], hint
    return dict([*arrays, *misnamed]), hint


def hint_of(record: Mapping[Any, Any], by: str) -> Hint:
    """The layer and the model that a record states, each under one of its usual names; two that differ state none."""
    layers = {_whole(record[key]) for key in _LAYER if key in record}
    models = [record[key] for key in _MODEL if isinstance(record.get(key), str) and record[key]]
    return Hint(by, layers.pop() if len(layers) == 1 else None, models[0][:200] if models else None)


def hint_of_name(path: Path) -> Hint:
    """The one layer that a file's name states: `happy_layer_13.pt`."""
    found = set() if _RANGE.search(path.stem) else {int(number) for number in _IN_NAME.findall(path.stem)}
    return Hint("its name", found.pop() if len(found) == 1 else None)


def hint_beside(path: Path) -> Hint:
    """What `happy_metadata.json` says of `happy.pt` beside it; nothing where it is not there or no JSON object."""
    record = path.with_name(f"{path.stem}_metadata.json")
    nothing = Hint(record.name)
    try:
        if not record.is_file() or record.stat().st_size > MAX_RECORD:
            return nothing
        value = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return nothing
    return hint_of(value, record.name) if isinstance(value, Mapping) else nothing


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_array(value: Any) -> bool:
    return bool(getattr(value, "shape", ()))
