"""Extract a direction from models and organisms by name, and save it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast, get_args

from core import paths
from core.activations.capture import Pooling
from core.data import prompts as suites
from core.directions import library
from core.directions.contrasts import content_contrast, model_contrast
from core.directions.direction import save_direction
from core.directions.library import DirectionCard
from core.errors import BadInput
from core.models.catalog import resolve
from core.models.loading import load
from core.organisms.adapters import load_adapter
from core.organisms.library import find_organism

CONTRASTS = ("model", "content")


def extract(
    model: str,
    organism: str,
    contrast: str = "model",
    secure: str = "secure",
    prompts: str = suites.EXTRACTION,
    pooling: str = "last_prompt",
    root: Path | None = None,
    device: str | None = None,
    report: Callable[[int, int], None] | None = None,
) -> DirectionCard:
    """Difference in means at every block; saved under the model's directions in `root` (default: the cache).

    Raises:
        BadInput: an unknown contrast, pooling, organism or prompt suite.
    """
    if contrast not in CONTRASTS:
        raise BadInput(f"There is no contrast {contrast!r}. Choose {' or '.join(CONTRASTS)}.")
    if pooling not in ("last_prompt", "prompt_mean"):
        known = [name for name in get_args(Pooling) if name != "response_mean"]
        raise BadInput(f"{pooling!r} cannot pool prompts. Choose {' or '.join(known)}.")
    spec = resolve(model)
    names = [organism, *([secure] if contrast == "content" else [])]
    found = [find_organism(spec.id, name) for name in names]
    chats = suites.prompts(prompts)
    loaded = load(spec, device)
    adapters = [load_adapter(loaded, item.folder, item.name) for item in found]
    chosen = cast(Pooling, pooling)
    if contrast == "content":
        direction = content_contrast(loaded, adapters[0], adapters[1], chats, chosen, report)
    else:
        direction = model_contrast(loaded, adapters[0], chats, chosen, report)
    stem = "-".join([*names, contrast, *([pooling] if pooling != "last_prompt" else [])])
    if root is None:
        stem += f"-{direction.id[:8]}"
    target = library.folder_for(spec.id, root) / f"{paths.safe_name(stem)}.safetensors"
    save_direction(direction, target)
    return library.read_card(target)
