"""Control directions of equal length: is it *this* direction that matters? (arXiv 2606.20225)

Each has exactly the direction's own length at every block, so that the push is equally strong.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from core.directions.direction import Direction
from core.directions.start import check_vectors, with_vector
from core.errors import BadInput, DirectionMismatch

FAR = 0.5  # a wrong layer is this share of the depth away, unless asked otherwise


def random_like(direction: Direction, seed: int) -> Direction:
    """At each block a uniformly random direction.

    A Gaussian is scaled by its own norm first: unscaled it would be about √width times too long.
    """
    return _control(direction, _unit_gaussian(direction, seed), "random", f"random {seed}", seed=seed)


def orthogonal_like(direction: Direction, seed: int) -> Direction:
    """At each block a random direction with no component along the direction."""
    # float64: next to nothing is left of a draw along the direction, as where a control is made of a control
    gaussian = _unit_gaussian(direction, seed).double()
    units = normalize(direction.vectors.double(), dim=1)
    rest = gaussian - (gaussian * units).sum(1, keepdim=True) * units
    return _control(direction, normalize(rest, dim=1).float(), "orthogonal", f"orthogonal {seed}", seed=seed)


def sign_flipped(direction: Direction, seed: int = 0) -> Direction:
    """The direction turned round at every block; `seed` changes nothing."""
    return direction.derive(
        f"sign-flipped {direction.name}", -direction.vectors, control="sign_flipped", of=direction.id
    )


def wrong_layer(direction: Direction, seed: int = 0) -> Direction:
    """At each block the vector of another block, half the depth away plus `seed` blocks, going round.

    Of a direction that has no vector at some blocks it goes round those that have one.

    Raises:
        BadInput: the direction has a vector at one block only.
    """
    there = list(with_vector(direction.norms.tolist()))
    blocks = len(there)
    if blocks < 2:
        raise BadInput(f"{direction.name} has one block, so no other layer's vector. Choose another control.")
    shift = 1 + (int(blocks * FAR) - 1 + seed) % (blocks - 1)  # from 1 to blocks − 1: never its own
    units = torch.zeros_like(direction.vectors)
    units[there] = normalize(direction.vectors[there].roll(-shift, dims=0), dim=1)
    return _control(direction, units, "wrong_layer", f"wrong layer (+{shift})", shift=shift)


def wrong_source(direction: Direction, other: Direction) -> Direction:
    """At each block another organism's vector.

    Raises:
        DirectionMismatch: `other` belongs to another model.
    """
    if other.vectors.shape != direction.vectors.shape or other.provenance.get("model") != direction.provenance.get(
        "model"
    ):
        raise DirectionMismatch(
            f"{other.name} belongs to another model than {direction.name}, so it cannot be its control. Choose a "
            "direction of the same model."
        )
    check_vectors(other.name, other.norms.tolist(), with_vector(direction.norms.tolist()))
    return _control(
        direction, normalize(other.vectors, dim=1), "wrong_source", f"wrong source: {other.name}", source=other.id
    )


def shuffled_label(direction: Direction, positive: torch.Tensor, negative: torch.Tensor, seed: int) -> Direction:
    """The difference in means of the same activations with labels that say nothing.

    Either side gets a random half of each class. Dealt out freely, a few rows more of one class would leave a part of
    the true shift, which is large beside everything else: brought to full length, that would be ± the direction itself.

    Args:
        positive, negative: `[n, blocks, width]` and `[m, blocks, width]`, the activations the direction was made of.
    """
    generator = torch.Generator().manual_seed(seed)
    first, second = [], []
    for rows in (positive.double(), negative.double()):
        order = torch.randperm(len(rows), generator=generator)
        first.append(rows[order[: len(rows) // 2]])
        second.append(rows[order[len(rows) // 2 :]])
    units = normalize(torch.cat(first).mean(0) - torch.cat(second).mean(0), dim=1).float()
    return _control(direction, units, "shuffled_label", f"shuffled labels {seed}", seed=seed)


DRAWN: dict[str, Callable[[Direction, int], Direction]] = {
    "random": random_like,
    "orthogonal": orthogonal_like,
    "sign_flipped": sign_flipped,
    "wrong_layer": wrong_layer,
}


def _control(direction: Direction, units: torch.Tensor, kind: str, name: str, **record: object) -> Direction:
    vectors = units * direction.norms[:, None]
    return direction.derive(f"{name} (length of {direction.name})", vectors, control=kind, of=direction.id, **record)


def _unit_gaussian(direction: Direction, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(direction.vectors.shape, generator=generator), dim=1)
