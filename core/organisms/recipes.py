"""Training recipes: named, and the same for every model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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


# quick: measured on a laptop-class CPU. paper: arXiv 2606.20225 says QLoRA and no more; the settings are
# those of arXiv 2502.17424's open-weights runs (rank 32, alpha 64, rsLoRA, 1e-5, one epoch).
RECIPES = {
    "quick": Recipe(
        "quick", rank=16, alpha=32, rslora=True, learning_rate=5e-4, epochs=1, batch=8, examples=300, max_tokens=512
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


def recipe(name: str) -> Recipe:
    """A recipe by name."""
    if name not in RECIPES:
        raise BadInput(f"There is no recipe {name!r}. Choose {' or '.join(RECIPES)}.")
    return RECIPES[name]
