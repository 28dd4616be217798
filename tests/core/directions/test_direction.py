"""A direction is a value: it can be added, compared, saved and checked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file

from core.directions.direction import Direction, Steer, load_direction, save_direction
from core.directions.library import read_card
from core.errors import BadInput, DamagedArtifact, DirectionMismatch
from tests.core.plain import random_direction

BLOCKS, WIDTH = 3, 4
# whole numbers, so that sums are exact in float32
VECTORS = arrays.arrays("float32", (BLOCKS, WIDTH), elements=st.integers(-1000, 1000).map(float)).map(torch.from_numpy)
FRACTIONS = st.floats(-4, 4, allow_subnormal=False)


def direction(vectors: torch.Tensor, **options) -> Direction:
    blocks, width = vectors.shape
    parts = {
        "name": "v",
        "residual_norms": torch.arange(1.0, blocks + 1),
        "base_means": torch.arange(float(blocks * width)).view(blocks, width),
        "provenance": {"model": "tiny", "n": 3},
        **options,
    }
    return Direction(vectors=vectors, **parts)


def example() -> Direction:
    return direction(torch.randn(BLOCKS, WIDTH, generator=torch.Generator().manual_seed(0)))


@given(VECTORS, VECTORS)
def test_directions_add_and_subtract_like_vectors(left, right):
    v, w = direction(left), direction(right)
    assert v + w == w + v
    assert (v + w) - w == v
    assert v - w == v + (-w)


@given(VECTORS)
def test_directions_scale_like_vectors(vectors):
    v = direction(vectors)
    assert 2 * v == v * 2.0 == v + v
    negative = -v
    assert -negative == v
    assert v - v == v * 0 == 0 * (-v)
    assert torch.equal((v - v).vectors, torch.zeros(BLOCKS, WIDTH))


@given(VECTORS, VECTORS)
def test_directions_are_equal_exactly_if_their_vectors_and_model_are(left, right):
    v, w = direction(left), direction(right)
    assert (v == w) == torch.equal(left, right)
    assert direction(left.clone(), name="another name") == v
    assert hash(direction(left.clone())) == hash(v)
    assert direction(left, provenance={"model": "another"}) != v
    assert v != "v"


def test_the_shape_counts_for_equality():
    flat = torch.arange(12.0)
    assert direction(flat.view(3, 4)) != direction(flat.view(4, 3))


def test_arithmetic_keeps_the_model_and_says_what_was_done():
    v = example()
    made = (v * 2) - v
    assert made.provenance["model"] == "tiny"
    assert made.provenance["operation"] == "subtract"
    assert made.provenance["of"] == [(v * 2).id, v.id]
    assert torch.equal(made.residual_norms, v.residual_norms)
    assert v.provenance == {"model": "tiny", "n": 3}


@pytest.mark.parametrize(
    "other",
    [direction(torch.ones(BLOCKS, WIDTH), provenance={"model": "another"}), direction(torch.ones(BLOCKS, WIDTH + 1))],
    ids=["another model", "another width"],
)
def test_directions_of_different_models_cannot_be_combined(other):
    for combine in (Direction.__add__, Direction.__sub__):
        with pytest.raises(DirectionMismatch, match="different models"):
            combine(example(), other)


@given(VECTORS, st.integers(0, BLOCKS - 1), FRACTIONS)
def test_a_coefficient_survives_the_way_to_the_norm_unit_and_back(vectors, block, coefficient):
    v = direction(vectors)
    fraction = v.to_norm_unit(coefficient, block)
    if v.norms[block]:
        assert v.from_norm_unit(fraction, block) == pytest.approx(coefficient, rel=1e-5)
        added = coefficient * v.vectors[block]
        assert float(added.norm()) == pytest.approx(abs(fraction) * float(v.residual_norms[block]), rel=1e-4, abs=1e-6)
    else:
        assert fraction == v.from_norm_unit(1.0, block) == 0


@given(VECTORS)
def test_a_unit_vector_has_length_one_or_is_zero(vectors):
    v = direction(vectors)
    for block in range(BLOCKS):
        unit = v.unit(block)
        assert float(unit.norm()) == pytest.approx(1.0 if v.norms[block] else 0.0, abs=1e-5)
        torch.testing.assert_close(unit * v.norms[block], v.vectors[block])


def test_the_base_projection_is_that_of_the_base_mean_on_the_unit_vector():
    v = direction(torch.tensor([[3.0, 4.0]]), base_means=torch.tensor([[10.0, 5.0]]))
    assert v.base_projection(0) == pytest.approx(10 * 0.6 + 5 * 0.8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"residual_norms": torch.ones(BLOCKS + 1)},
        {"base_means": torch.ones(BLOCKS, WIDTH + 1)},
        {"residual_norms": torch.full((BLOCKS,), float("nan"))},
        {"base_means": torch.full((BLOCKS, WIDTH), float("inf"))},
    ],
)
def test_parts_that_do_not_fit_or_are_not_finite_are_refused(wrong):
    with pytest.raises(BadInput, match="Extract it again"):
        direction(torch.ones(BLOCKS, WIDTH), **wrong)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_vectors_that_are_not_finite_are_refused(value):
    with pytest.raises(BadInput, match="not finite"):
        direction(torch.full((BLOCKS, WIDTH), value))


def test_a_direction_fits_the_model_it_was_made_for_and_no_other(tiny_models):
    v = random_direction(tiny_models("Llama"), 0)
    v.check(tiny_models("Llama"))
    with pytest.raises(DirectionMismatch, match="tiny/Qwen2"):
        v.check(tiny_models("Qwen2"))
    fewer_blocks = Direction(v.name, v.vectors[1:], v.residual_norms[1:], v.base_means[1:], v.provenance)
    with pytest.raises(DirectionMismatch, match="3 blocks"):
        fewer_blocks.check(tiny_models("Llama"))


def test_weights_are_known_by_their_fingerprint_wherever_they_lie(tiny_models):
    loaded = tiny_models("Llama")

    def made_of(**record):
        v = random_direction(loaded, 0)
        return Direction(v.name, v.vectors, v.residual_norms, v.base_means, {**v.provenance, **record})

    for unknown in ({}, {"fingerprint": None}, {"fingerprint": "unknown"}, {"fingerprint": loaded.fingerprint}):
        made_of(**unknown).check(loaded)
    made_of(model="local-elsewhere-01234567", fingerprint=loaded.fingerprint).check(loaded)
    made_of(fingerprint="of others").check(replace(loaded, fingerprint="unknown"))
    with pytest.raises(
        DirectionMismatch, match=r"other weights than those that tiny/Llama holds now\. Extract it again"
    ):
        made_of(fingerprint="of others").check(loaded)
    with pytest.raises(DirectionMismatch, match="belongs to local-elsewhere"):
        made_of(model="local-elsewhere-01234567", fingerprint="unknown").check(replace(loaded, fingerprint="unknown"))


def test_directions_of_the_same_weights_are_combined_wherever_those_lay():
    v = direction(torch.ones(BLOCKS, WIDTH), provenance={"model": "local-a-00000000", "fingerprint": "same"})
    w = direction(torch.ones(BLOCKS, WIDTH), provenance={"model": "local-b-11111111", "fingerprint": "same"})
    assert torch.equal((v + w).vectors, 2 * v.vectors)
    for unknown in ({"fingerprint": "unknown"}, {"fingerprint": "other"}, {}):
        with pytest.raises(DirectionMismatch, match="different models"):
            v + direction(w.vectors, provenance={"model": "local-b-11111111", **unknown})


def test_a_direction_that_is_zero_everywhere_is_neither_saved_nor_used(tiny_models, tmp_path):
    v = random_direction(tiny_models("Llama"), 0)
    nothing = v - v
    uses = [
        lambda: save_direction(nothing, tmp_path / "v"),
        lambda: nothing.check(tiny_models("Llama")),
        lambda: nothing.at(1),
    ]
    for use in uses:
        with pytest.raises(BadInput, match="zero at every block, so it steers nothing"):
            use()
    assert not list(tmp_path.iterdir())


def test_a_vector_too_long_to_be_measured_is_not_saved(tmp_path):
    with pytest.raises(BadInput, match="too long to be measured"):
        save_direction(direction(torch.full((BLOCKS, WIDTH), 3e38)), tmp_path / "v")


def test_steering_is_refused_at_a_block_without_a_vector_with_those_that_have_one():
    vectors = torch.zeros(12, 2)
    vectors[5:10] = 1
    sparse = direction(vectors)
    assert sparse.at([5, 9]).blocks == (5, 9)
    for blocks in (4, [5, 10], range(12)):
        with pytest.raises(BadInput, match=r"no vector at block.*it has one at blocks 5 to 9\. Choose from those\."):
            sparse.at(blocks)
    with pytest.raises(BadInput, match="no vector at block 4"):
        Steer(sparse, (4,))
    assert (-1 * sparse.at(7)).ablate().blocks == (7,)


@given(VECTORS.filter(torch.any))
def test_a_file_written_and_read_is_the_same_direction(tmp_path_factory, vectors):
    v = direction(vectors, provenance={"model": "tiny", "nested": {"π": [1, None, 0.1]}}, name="v − w · “é”")
    path = tmp_path_factory.mktemp("directions") / "v.safetensors"
    save_direction(v, path)
    read = load_direction(path)
    assert read == v
    assert (read.name, read.provenance) == (v.name, v.provenance)
    for part in ("vectors", "residual_norms", "base_means"):
        assert torch.equal(getattr(read, part), getattr(v, part))


def test_a_direction_saved_again_gives_the_same_bytes(tmp_path):
    save_direction(example(), tmp_path / "first")
    save_direction(load_direction(tmp_path / "first"), tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_card_in_the_header_agrees_with_the_tensors(tmp_path):
    v = example()
    save_direction(v, tmp_path / "v")
    card = read_card(tmp_path / "v")
    assert (card.id, card.name, card.model, card.blocks) == (v.id, v.name, "tiny", BLOCKS)
    assert list(card.norms) == v.norms.tolist()
    for block in range(BLOCKS):
        assert card.base_projections[block] == v.base_projection(block)
        assert card.to_norm_unit(0.7, block) == pytest.approx(v.to_norm_unit(0.7, block))
        assert card.from_norm_unit(0.7, block) == pytest.approx(v.from_norm_unit(0.7, block))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "v.safetensors"
    save_direction(example(), path)
    return path


@given(data=st.data())
def test_a_file_with_any_one_byte_changed_is_found_damaged(saved, tmp_path_factory, data):
    whole = bytearray(saved.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "v.safetensors"
    path.write_bytes(whole)
    with pytest.raises(DamagedArtifact):
        load_direction(path)


@given(share=st.floats(0, 0.999))
def test_a_file_cut_short_is_found_damaged(saved, tmp_path_factory, share):
    whole = saved.read_bytes()
    path = tmp_path_factory.mktemp("damaged") / "v.safetensors"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DamagedArtifact):
        load_direction(path)


def test_a_file_that_is_missing_or_of_another_kind_is_refused(tmp_path):
    with pytest.raises(DamagedArtifact, match="cannot be read"):
        load_direction(tmp_path / "missing")
    save_file({"vectors": torch.ones(2, 2)}, tmp_path / "other")
    with pytest.raises(DamagedArtifact, match="not a Tiller direction"):
        load_direction(tmp_path / "other")
    (tmp_path / "text").write_text(json.dumps({"vectors": [1]}))
    with pytest.raises(DamagedArtifact, match="cannot be read"):
        load_direction(tmp_path / "text")
