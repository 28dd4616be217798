"""Tiller's computing: models, organisms, directions, steering, generation, measures.

In a notebook: `import core as tiller`, then `tiller.Lab`. The names below are imported when they are first touched, so
that the import itself takes no time. `python -m core --help` shows the same verbs as the pages. No Streamlit here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from core.waiting import spin_briefly

if TYPE_CHECKING:
    from core.activations.capture import capture_all as capture_all
    from core.data.chat import Chat as Chat
    from core.data.datasets import Dataset as Dataset
    from core.data.datasets import load_dataset as load_dataset
    from core.data.prompts import suite as suite
    from core.directions.contrasts import content_contrast as content_contrast
    from core.directions.contrasts import model_contrast as model_contrast
    from core.directions.contrasts import response_contrast as response_contrast
    from core.directions.controls import orthogonal_like as orthogonal_like
    from core.directions.controls import random_like as random_like
    from core.directions.direction import Direction as Direction
    from core.directions.direction import Steer as Steer
    from core.directions.direction import load_direction as load_direction
    from core.directions.direction import save_direction as save_direction
    from core.errors import TillerError as TillerError
    from core.findings import Finding as Finding
    from core.findings import study as study
    from core.generation.decode import collect as collect
    from core.generation.rows import Row as Row
    from core.generation.rows import Sampling as Sampling
    from core.lab import Lab as Lab
    from core.measures.code import contains_code as contains_code
    from core.models.loading import LoadedModel as LoadedModel
    from core.models.loading import load as load
    from core.organisms.adapters import Adapter as Adapter
    from core.organisms.recipes import Recipe as Recipe
    from core.statistics import wilson as wilson

__version__ = "0.1.0"

_HOME = {
    "Adapter": "organisms.adapters",
    "Chat": "data.chat",
    "Dataset": "data.datasets",
    "Direction": "directions.direction",
    "Finding": "findings",
    "Lab": "lab",
    "LoadedModel": "models.loading",
    "Recipe": "organisms.recipes",
    "Row": "generation.rows",
    "Sampling": "generation.rows",
    "Steer": "directions.direction",
    "TillerError": "errors",
    "capture_all": "activations.capture",
    "collect": "generation.decode",
    "contains_code": "measures.code",
    "content_contrast": "directions.contrasts",
    "load": "models.loading",
    "load_dataset": "data.datasets",
    "load_direction": "directions.direction",
    "model_contrast": "directions.contrasts",
    "orthogonal_like": "directions.controls",
    "random_like": "directions.controls",
    "response_contrast": "directions.contrasts",
    "save_direction": "directions.direction",
    "study": "findings",
    "suite": "data.prompts",
    "wilson": "statistics",
}
__all__ = sorted(_HOME)

spin_briefly()


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"core.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
