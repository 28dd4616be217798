"""Control directions have exactly the property they are named after."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.directions.controls import orthogonal_like, random_like
from core.directions.direction import Direction

CONTROLS = [random_like, orthogonal_like]
SEEDS = st.integers(0, 2**31)


def direction(blocks: int = 3, width: int = 64, seed: int = 0) -> Direction:
    """Blocks of very different length, as in a real model."""
    vectors = torch.randn(blocks, width, generator=torch.Generator().manual_seed(seed))
    vectors *= torch.logspace(-2, 3, blocks)[:, None]
    return Direction("v", vectors, torch.ones(blocks), torch.ones(blocks, width), {"model": "tiny"})


def cosines(left: Direction, right: Direction) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(left.vectors.double(), right.vectors.double(), dim=1)


@pytest.mark.parametrize("control", CONTROLS)
@given(SEEDS)
def test_a_control_has_the_length_of_the_direction_at_every_block(control, seed):
    v = direction()
    torch.testing.assert_close(control(v, seed).norms, v.norms, rtol=1e-5, atol=0)


@given(SEEDS)
def test_an_orthogonal_control_has_no_component_along_the_direction(seed):
    v = direction()
    assert cosines(orthogonal_like(v, seed), v).abs().max() < 1e-6


@given(SEEDS)
def test_an_orthogonal_control_of_a_random_control_of_the_same_seed_is_orthogonal_too(seed):
    """Both start from the same draw, so that next to nothing of it is left."""
    drawn = random_like(direction(), seed)
    assert cosines(orthogonal_like(drawn, seed), drawn).abs().max() < 1e-6
    torch.testing.assert_close(orthogonal_like(drawn, seed).norms, drawn.norms, rtol=1e-5, atol=0)


@given(st.integers(1, 2**31))
def test_an_orthogonal_control_is_the_random_one_without_its_component(seed):
    """Among the directions of a plane, the one nearest to the random draw."""
    v = direction()
    drawn, orthogonal = random_like(v, seed), orthogonal_like(v, seed)
    expected = (1 - cosines(drawn, v) ** 2).sqrt()
    torch.testing.assert_close(cosines(drawn, orthogonal), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("control", CONTROLS)
@given(SEEDS)
def test_a_control_can_be_drawn_again_from_its_seed(control, seed):
    v = direction()
    assert control(v, seed) == control(v, seed)
    assert control(v, seed) != control(v, seed + 1)
    assert control(v, seed) != v


def test_random_controls_point_everywhere_alike():
    """Each coordinate of the unit vector has mean 0 and mean square 1/width."""
    v, draws = direction(blocks=1, width=8), 4000
    units = torch.stack([random_like(v, seed).unit(0) for seed in range(draws)])
    deviation = (1 / (8 * draws)) ** 0.5
    assert (units.mean(0).abs() < 4 * deviation).all()
    assert ((units**2).mean(0) - 1 / 8).abs().max() < 0.01
    assert (units @ v.unit(0)).abs().mean() < 0.35


def test_each_block_gets_a_draw_of_its_own():
    drawn = random_like(direction(), 0)
    assert abs(float(drawn.unit(0) @ drawn.unit(1))) < 0.6


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_says_what_it_is_and_keeps_the_model(control):
    v = direction()
    made = control(v, 7)
    assert made.provenance == {
        "model": "tiny",
        "control": control.__name__.removesuffix("_like"),
        "seed": 7,
        "of": v.id,
    }
    assert torch.equal(made.base_means, v.base_means)
    assert torch.equal(made.residual_norms, v.residual_norms)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_block_without_a_direction_gets_no_control(control):
    v = direction()
    v.vectors[1] = 0
    assert torch.equal(control(v, 0).vectors[1], torch.zeros(v.width))
