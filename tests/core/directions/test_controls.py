"""Control directions have exactly the property they are named after."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.directions.controls import (
    orthogonal_like,
    random_like,
    shuffled_label,
    sign_flipped,
    wrong_layer,
    wrong_source,
)
from core.directions.direction import Direction
from core.errors import BadInput, DirectionMismatch

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


@given(SEEDS)
def test_a_sign_flipped_control_is_the_direction_turned_round(seed):
    v = direction()
    assert torch.equal(sign_flipped(v, seed).vectors, -v.vectors)
    assert sign_flipped(v, seed).provenance["control"] == "sign_flipped"


@given(st.integers(2, 9), st.integers(0, 99))
def test_a_wrong_layer_control_is_another_blocks_vector_of_the_right_length(blocks, seed):
    v = direction(blocks=blocks)
    control = wrong_layer(v, seed)
    torch.testing.assert_close(control.norms, v.norms, rtol=1e-5, atol=0)
    shift = control.provenance["shift"]
    assert 1 <= shift < blocks
    for block in range(blocks):
        torch.testing.assert_close(control.unit(block), v.unit((block + shift) % blocks), rtol=1e-5, atol=1e-6)


def test_a_wrong_layer_is_half_the_depth_away_unless_asked_otherwise():
    assert wrong_layer(direction(blocks=30)).provenance["shift"] == 15


def test_every_other_layer_can_be_had_as_the_wrong_one():
    v = direction(blocks=5)
    assert {wrong_layer(v, seed).provenance["shift"] for seed in range(4)} == {1, 2, 3, 4}


def test_a_single_block_has_no_wrong_layer():
    with pytest.raises(BadInput, match="one block"):
        wrong_layer(direction(blocks=1))


def test_a_wrong_source_control_points_as_the_other_does_and_is_as_long_as_the_direction():
    v, other = direction(seed=0), direction(seed=1) * 7.0
    control = wrong_source(v, other)
    torch.testing.assert_close(control.norms, v.norms, rtol=1e-5, atol=0)
    assert cosines(control, other).min() > 1 - 1e-6
    assert control.provenance["source"] == other.id


@pytest.mark.parametrize("other", [direction(width=32), direction().derive("u", direction().vectors, model="other")])
def test_a_direction_of_another_model_is_no_wrong_source(other):
    with pytest.raises(DirectionMismatch, match="another model"):
        wrong_source(direction(), other)


def classes(blocks: int = 3, width: int = 64, n: int = 30, shift: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    negative = torch.randn(n, blocks, width, generator=draw)
    return torch.randn(n, blocks, width, generator=draw) + shift, negative


@given(st.integers(0, 2**31))
def test_a_shuffled_label_control_is_the_mean_difference_of_a_split_that_halves_both_classes(seed):
    """Counted out by hand: which rows fell on either side, and the difference of their means."""
    positive, negative = classes()
    v = direction()
    control = shuffled_label(v, positive, negative, seed)
    torch.testing.assert_close(control.norms, v.norms, rtol=1e-5, atol=0)
    generator = torch.Generator().manual_seed(seed)
    order = [torch.randperm(30, generator=generator) for _ in range(2)]
    sides = [[*positive[order[0][part]], *negative[order[1][part]]] for part in (slice(0, 15), slice(15, 30))]
    expected = torch.stack(sides[0]).double().mean(0) - torch.stack(sides[1]).double().mean(0)
    along = torch.nn.functional.cosine_similarity(control.vectors.double(), expected, dim=1)
    assert along.min() > 1 - 1e-6


def test_shuffled_labels_hold_next_to_nothing_of_a_large_shift():
    """Where labels are dealt out freely, a shift this large comes back as ± the direction itself."""
    positive, negative = classes(shift=50.0)
    true = torch.nn.functional.normalize(positive.mean(0) - negative.mean(0), dim=1)
    along = torch.stack(
        [
            torch.nn.functional.cosine_similarity(
                shuffled_label(direction(), positive, negative, seed).vectors, true, dim=1
            )
            for seed in range(200)
        ]
    )
    assert (along.mean(0).abs() < 0.05).all()
    assert along.abs().mean() < 0.2
