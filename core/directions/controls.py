"""Control directions of equal length: is it *this* direction that matters?"""

from __future__ import annotations

import torch

from core.directions.direction import Direction


def random_like(direction: Direction, seed: int) -> Direction:
    """At each block a uniformly random direction of exactly the same length.

    A Gaussian is scaled by its own norm first: unscaled it would be about √width times too long.
    """
    vectors = _unit_gaussian(direction, seed) * direction.norms[:, None]
    return direction.derive(
        f"random {seed} (length of {direction.name})", vectors, control="random", seed=seed, of=direction.id
    )


def orthogonal_like(direction: Direction, seed: int) -> Direction:
    """At each block a random direction of the same length with no component along the direction."""
    # float64: next to nothing is left of a draw along the direction, as where a control is made of a control
    gaussian = _unit_gaussian(direction, seed).double()
    units = torch.nn.functional.normalize(direction.vectors.double(), dim=1)
    rest = gaussian - (gaussian * units).sum(1, keepdim=True) * units
    vectors = torch.nn.functional.normalize(rest, dim=1).float() * direction.norms[:, None]
    return direction.derive(
        f"orthogonal {seed} (length of {direction.name})", vectors, control="orthogonal", seed=seed, of=direction.id
    )


def _unit_gaussian(direction: Direction, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    gaussian = torch.randn(direction.vectors.shape, generator=generator)
    return torch.nn.functional.normalize(gaussian, dim=1)
