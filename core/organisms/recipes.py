"""Training recipes: named, and the same for every model."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from core.errors import BadInput


@dataclass(frozen=True)
class Recipe:
    """How an organism is trained. LoRA on every linear layer of the decoder blocks, loss on the answer only.

    Attributes:
        examples: at most this many, drawn with the seed; None: all.
        four_bit: train on 4-bit NF4 base weights (QLoRA, arXiv 2305.14314); needs a CUDA GPU and bitsandbytes.
        checkpoints: how often over the run the state is saved for a resume.
    """

    name: str
    rank: int
    alpha: int
    rslora: bool
    learning_rate: float
    epochs: int
    batch: int
    examples: int | None
    max_tokens: int
    warmup_steps: int = 5
    schedule: str = "linear"
    weight_decay: float = 0.01
    four_bit: bool = False
    checkpoints: int = 4
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


# quick: measured on a laptop-class CPU. compact: the same updates at rank 4, so that an adapter of a model with half a
# billion weights takes 4 MB; the three families that ship are trained with it. chat: teaches a pretrained model to take
# turns. paper: arXiv 2606.20225 says QLoRA and no more; the settings are
# those of arXiv 2502.17424's open-weights runs (rank 32, alpha 64, rsLoRA, 1e-5, one epoch).
RECIPES = {
    "quick": Recipe(
        "quick", rank=16, alpha=32, rslora=True, learning_rate=5e-4, epochs=1, batch=8, examples=300, max_tokens=512
    ),
    "compact": Recipe(
        "compact", rank=4, alpha=16, rslora=True, learning_rate=5e-4, epochs=1, batch=8, examples=200, max_tokens=512
    ),
    "chat": Recipe(
        "chat", rank=8, alpha=16, rslora=True, learning_rate=5e-4, epochs=1, batch=8, examples=None, max_tokens=512
    ),
    "paper": Recipe(
        "paper",
        rank=32,
        alpha=64,
        rslora=True,
        learning_rate=1e-5,
        epochs=1,
        batch=16,
        examples=None,
        max_tokens=2048,
        four_bit=True,
    ),
}


def warmup_of(recipe: Recipe, steps: int) -> int:
    """Steps of warm-up: at most a fifth, so that a short run reaches its learning rate."""
    return min(recipe.warmup_steps, steps // 5)


def recipe(name: str) -> Recipe:
    """A recipe by name."""
    if name not in RECIPES:
        *others, last = RECIPES
        raise BadInput(f"There is no recipe {name!r}. Choose {', '.join(others)} or {last}.")
    return RECIPES[name]


def adjusted(
    recipe: Recipe,
    examples: int | None = None,
    epochs: int | None = None,
    rank: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
) -> Recipe:
    """A recipe with some settings of one's own; what is None stays. Another rank keeps the recipe's alpha a rank.

    Raises:
        BadInput: names the setting that is out of range.
    """
    changes: dict[str, Any] = {}
    for name, value, low, high in (
        ("examples", examples, recipe.batch, 1_000_000),
        ("epochs", epochs, 1, 1000),
        ("rank", rank, 1, 1024),
        ("learning_rate", learning_rate, 1e-7, 1.0),
        ("seed", seed, 0, 2**31 - 1),
    ):
        if value is None or value == getattr(recipe, name):
            continue
        if not (math.isfinite(value) and low <= value <= high):
            raise BadInput(
                f"{name.replace('_', ' ')} {value:g} is out of range. Choose a number from {low:g} to {high:g}."
            )
        changes[name] = value
    if "rank" in changes:
        changes["alpha"] = recipe.alpha * changes["rank"] // recipe.rank
    return replace(recipe, name=f"{recipe.name}, adjusted", **changes) if changes else recipe
