"""Where steering with a direction may start, and does: at a block that has a vector. No torch here.

A direction may be sparse: a control vector for blocks 5 to 9 has zeros elsewhere, and steering there does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import BadInput

COEFFICIENT_LIMIT = 1000.0
SHORT, LONG = 0.02, 1.0  # a vector's length as a share of the block's mean residual norm: usual is what lies between
USUAL_SHARE = 0.3  # how strong a push a coefficient of ±1 is with the directions that were chosen here


@dataclass(frozen=True)
class Start:
    """A block and a coefficient for a direction, by its id; `why` says in a sentence what they were chosen by."""

    direction: str
    block: int
    coefficient: float
    why: str


def with_vector(norms: Sequence[float]) -> tuple[int, ...]:
    """The blocks whose vector is longer than 0; `norms` are the lengths of all."""
    return tuple(block for block, norm in enumerate(norms) if norm > 0)


def check_vectors(name: str, norms: Sequence[float], blocks: Sequence[int]) -> None:
    """Raise `BadInput` unless the direction has a vector at each of these blocks, and at any at all.

    Blocks that the model does not have are others' to refuse.
    """
    there = with_vector(norms)
    if not there:
        raise BadInput(
            f"The direction {name} is zero at every block, so it steers nothing. Choose another direction, or make it "
            "of two models that differ."
        )
    empty = [block for block in blocks if 0 <= block < len(norms) and block not in there]
    if empty:
        raise BadInput(
            f"The direction {name} has no vector at {in_words(empty)}; it has one at {in_words(there)}. Choose from "
            "those."
        )


def nearest(norms: Sequence[float], wanted: int) -> int:
    """The block with a vector that is nearest to `wanted`, the later of two; `wanted` where there is none."""
    return min(with_vector(norms), key=lambda block: (abs(block - wanted), -block), default=wanted)


def is_odd(share: float) -> bool:
    """Whether a vector of this share of the residual norm is so short or long that ±1 is no usual push with it."""
    return share > 0 and not SHORT <= share <= LONG


def odd_coefficient(share: float, usual: float) -> float:
    """The raw coefficient that pushes with a vector of odd length as `usual` does with others: × `USUAL_SHARE`."""
    raw = float(f"{usual * USUAL_SHARE / share:.3g}")
    return max(-COEFFICIENT_LIMIT, min(COEFFICIENT_LIMIT, raw)) if math.isfinite(raw) else usual


def in_words(blocks: Sequence[int]) -> str:
    """`block 3`, `blocks 5 to 9`, `blocks 0, 5 to 9 and 12`."""
    runs: list[list[int]] = []
    for block in sorted(blocks):
        if runs and block == runs[-1][-1] + 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    said = " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])
    return f"block{'s' if len(blocks) > 1 else ''} {said}"
