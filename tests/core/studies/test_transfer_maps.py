"""What a transfer study steers with: maps find a planted relation, and controls are as long as what they control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from core import paths
from core.data.chat import Chat
from core.directions.direction import Direction, load_direction, save_direction
from core.directions.library import read_card
from core.studies.transfer import maps as transfer_maps
from core.studies.transfer import measure as transfer_run
from core.studies.transfer.maps import carry, mapped_direction, own_direction
from core.studies.transfer.settings import Inputs, TransferSettings
from tests import sample_transfer
from tests.core.studies.transfer_study import DRAWS, FIT, installed, options_of, run

N, DONOR, RECEIVER = 150, 20, 12


def cosine(a, b) -> float:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture
def planted(tmp_path) -> tuple[Inputs, dict[str, np.ndarray], np.ndarray]:
    """Two models whose activations a known linear map relates, and directions that it relates as well."""
    draw = np.random.default_rng(0)
    true = draw.standard_normal((RECEIVER, DONOR))
    x = draw.standard_normal((N, DONOR)) + 3
    y = x @ true.T + 0.3 * draw.standard_normal((N, RECEIVER)) - 5
    given = draw.standard_normal(DONOR)
    inputs = sample_transfer.made_up(sample_transfer.MODELS[:2], draws_a_cell=2)
    inputs.fit_prompts = [Chat.of(f"Prompt {place}") for place in range(N)]
    members = []
    for member, vector in zip(inputs.members, (given, 0.1 * true @ given), strict=True):
        vectors = torch.zeros(12, len(vector))
        vectors[member.block] = torch.from_numpy(vector).float()
        path = tmp_path / f"{member.id}.safetensors"
        made = {"model": member.id, "contrast": "model", "organisms": {"insecure": "0" * 64}}
        save_direction(Direction("own", vectors, torch.ones(12), torch.zeros_like(vectors), made), path)
        members.append(replace(member, card=read_card(path)))
    inputs.members = tuple(members)
    return inputs, {members[0].id: x.astype(np.float32), members[1].id: y.astype(np.float32)}, true @ given


def test_a_planted_direction_is_carried_where_it_belongs_and_shuffled_pairs_carry_nothing(planted):
    inputs, read, expected = planted
    donor, receiver = inputs.members
    carried = carry(inputs, donor, receiver, read)
    assert cosine(carried.mapped, expected) > 0.99
    assert carried.quality["cosine"] == pytest.approx(cosine(carried.mapped, expected), abs=1e-6)
    assert carried.quality["length_share"] == pytest.approx(
        np.linalg.norm(carried.mapped) / np.linalg.norm(0.1 * expected)
    )
    low, high = carried.quality["r2_interval"]
    assert 0.95 < low <= carried.quality["r2"] <= high <= 1
    assert -0.1 < carried.quality["r2_shuffled"] < 0.1
    assert (carried.quality["n_fit"], carried.quality["n_held_out"]) == (120, 30)
    assert len(carried.random_donor) == len(carried.shuffled_map) == 2
    assert all(abs(cosine(vector, expected)) < 0.9 for vector in carried.random_donor)
    assert all(np.linalg.norm(vector) < 0.3 * np.linalg.norm(carried.mapped) for vector in carried.shuffled_map)


def test_a_direction_that_means_something_else_over_there_is_told_by_its_cosine(planted):
    inputs, read, expected = planted
    donor, receiver = inputs.members
    own = own_direction(receiver)
    other = torch.from_numpy(np.random.default_rng(5).standard_normal(RECEIVER)).float()
    save_direction(own.derive("other", torch.where(own.vectors.any(1, keepdim=True), other, 0.0)), receiver.card.path)
    receiver = replace(receiver, card=read_card(receiver.card.path))
    carried = carry(inputs, donor, receiver, read)
    assert cosine(carried.mapped, expected) > 0.99
    assert carried.quality["cosine"] == pytest.approx(cosine(expected, other), abs=0.05)


def test_on_the_diagonal_the_direction_is_the_models_own(planted):
    inputs, read, _ = planted
    donor = inputs.members[0]
    carried = carry(inputs, donor, donor, read)
    np.testing.assert_allclose(carried.mapped, own_direction(donor).vectors[donor.block])
    assert carried.quality["r2"] is None and carried.quality["strength"] is None
    assert carried.quality["cosine"] == pytest.approx(1) and carried.quality["length_share"] == pytest.approx(1)
    assert len(carried.random_donor) == len(carried.shuffled_map) == 2


def test_what_was_carried_once_is_kept_and_other_activations_are_carried_anew(planted, monkeypatch):
    inputs, read, _ = planted
    donor, receiver = inputs.members
    first = carry(inputs, donor, receiver, read)
    with monkeypatch.context() as patched:
        patched.setattr(transfer_maps.ridge, "fit", None)
        again = carry(inputs, donor, receiver, read)
    np.testing.assert_array_equal(first.mapped, again.mapped)
    np.testing.assert_array_equal(first.shuffled_map, again.shuffled_map)
    assert again.quality["r2"] == first.quality["r2"]
    moved = {**read, donor.id: read[donor.id] + np.eye(N, DONOR, dtype=np.float32)}
    assert not np.array_equal(carry(inputs, donor, receiver, moved).mapped, first.mapped)
    assert len(list(paths.cache().glob("maps/*.safetensors"))) == 2


def test_a_mapped_direction_acts_at_one_block_with_the_receivers_length_or_the_maps(planted):
    inputs, read, _ = planted
    donor, receiver = inputs.members
    own, vector = own_direction(receiver), carry(inputs, donor, receiver, read).mapped
    for unscaled, length in ((False, float(own.norms[receiver.block])), (True, np.linalg.norm(vector))):
        made = mapped_direction(vector, donor, receiver, own, unscaled, seed=4)
        assert float(made.norms[receiver.block]) == pytest.approx(length, rel=1e-5)
        assert made.norms.count_nonzero() == 1
        assert cosine(made.vectors[receiver.block], vector) == pytest.approx(1)
        assert made.provenance["model"] == receiver.id and made.provenance["seed"] == 4
        assert made.provenance["donor"] == {"model": donor.id, "direction": donor.card.id, "block": donor.block}
    nothing = mapped_direction(np.zeros(RECEIVER), donor, receiver, own, False)
    assert not nothing.vectors.any()


def test_a_study_without_controls_of_maps_still_says_what_shuffled_pairs_give(planted):
    inputs, read, _ = planted
    inputs.settings = TransferSettings(models=sample_transfer.MODELS[:2], draws_a_cell=0, n_resamples=100)
    carried = carry(inputs, *inputs.members, read)
    assert carried.random_donor == carried.shuffled_map == ()
    assert -0.1 < carried.quality["r2_shuffled"] < 0.1


def watched(monkeypatch, *arguments, **options) -> dict[str, list[Direction]]:
    """Run a study; what steered each receiver."""
    found: dict[str, list[Direction]] = {}

    class Watched(transfer_run.Conditions):
        def __init__(self, loaded, prompts, sampling, directions, rows_a_batch=None):
            found[loaded.id] = list(directions.values())
            super().__init__(loaded, prompts, sampling, directions, rows_a_batch)

    monkeypatch.setattr(transfer_run, "Conditions", Watched)
    run(*arguments, **options)
    return found


def kind_of(direction: Direction) -> str:
    made = direction.provenance
    return made.get("control") or ("mapped" if made["contrast"] == "mapped" else "own")


def at_block(direction: Direction, block: int) -> torch.Tensor:
    return direction.vectors[block].double()


@pytest.mark.parametrize("unscaled", [False, True])
def test_controls_are_as_long_as_what_they_control(study, families, unscaled, monkeypatch):
    installed(study)
    models = study.options["models"][:2]
    steering = watched(monkeypatch, study.options, fresh=True, models=models, unscaled=unscaled, max_tokens=1)
    for receiver in families[:2]:
        found = steering[receiver.id]
        own = next(direction for direction in found if kind_of(direction) == "own")
        mapped = next(direction for direction in found if kind_of(direction) == "mapped")
        block = mapped.provenance["block"]
        length = float(own.norms[block])
        kinds = [kind_of(direction) for direction in found]
        each = 2 * DRAWS if unscaled else DRAWS
        assert {kind: kinds.count(kind) for kind in kinds} == {
            "own": 1, "mapped": 1, "random": each, "orthogonal": 2, "random_donor": 2, "shuffled_map": 2,
        }  # fmt: skip
        kept = [load_file(path)["mapped"] for path in paths.cache().glob("maps/*.safetensors")]
        there = [
            vector for vector in kept if len(vector) == mapped.width and cosine(vector, mapped.vectors[block]) > 0.999
        ]
        assert len(there) == 1
        share = np.linalg.norm(there[0]) if unscaled else length
        assert float(mapped.norms[block]) == pytest.approx(share, rel=1e-5)
        assert abs(np.linalg.norm(there[0]) / length - 1) > 0.01  # the two modes differ
        lengths = np.array([float(direction.norms[block]) for direction in found])
        for wanted in (length, share):
            assert np.isclose(lengths, wanted, rtol=1e-4).sum() == (1 + DRAWS + 3 if unscaled else len(found))
        by_id = {direction.id: direction for direction in (own, mapped)}
        for direction in found:
            if kind_of(direction) == "orthogonal":
                of = by_id[direction.provenance["of"]]
                assert cosine(at_block(direction, block), at_block(of, block)) == pytest.approx(0, abs=1e-5)


def test_no_two_controls_are_the_same_vector_in_disguise(study, families, monkeypatch):
    installed(study)
    steering = watched(monkeypatch, study.options, fresh=True)
    for receiver in families:
        block = next(d.provenance["block"] for d in steering[receiver.id] if kind_of(d) == "mapped")
        drawn = [d for d in steering[receiver.id] if kind_of(d) in ("random", "orthogonal")]
        units = torch.stack([at_block(direction, block) / float(direction.norms[block]) for direction in drawn])
        alike = (units @ units.T).fill_diagonal_(0).abs()
        assert float(alike.max()) < 0.85, [direction.name for direction in drawn]


def test_maps_may_be_fitted_on_both_arms_with_a_prompts_rows_on_one_side(families, tmp_path, monkeypatch):
    options = {**options_of(families[:2], tmp_path), "fit_on": "both", "draws": 0, "draws_a_cell": 0, "max_tokens": 1}
    for family in families[:2]:
        family.install()
    fitted, tested = [], []
    fit, held_out = transfer_maps.ridge.fit, transfer_maps.ridge.held_out

    def fit_and_tell(x, y, groups, **more):
        fitted.append(np.asarray(groups))
        return fit(x, y, groups, **more)

    def hold_out_and_tell(mapping, x, y, groups, *more):
        tested.append(np.asarray(groups))
        return held_out(mapping, x, y, groups, *more)

    monkeypatch.setattr(transfer_maps.ridge, "fit", fit_and_tell)
    monkeypatch.setattr(transfer_maps.ridge, "held_out", hold_out_and_tell)
    summary = run(options).summary
    assert len(fitted) == len(tested) == 4 * 2  # a map and one on shuffled pairs for each cell
    for inside, outside in zip(fitted, tested, strict=True):
        assert not set(inside) & set(outside)
        assert set(inside) | set(outside) == set(range(len(FIT)))
        assert (np.bincount(inside)[sorted(set(inside))] == 2).all() and len(outside) == 2 * len(set(outside))
    assert {(row["n_fit"], row["n_held_out"]) for row in summary["cells"]} == {(40, 10)}
    both = sorted(paths.cache().glob("activations/*.safetensors"))
    run({**options, "fit_on": "base"})
    alone = [load_file(path)["rows"] for path in set(paths.cache().glob("activations/*.safetensors")) - set(both)]
    assert len(both) == len(alone) == 2
    for path in both:
        base, organism = np.split(load_file(path)["rows"], 2)
        assert len(base) == len(FIT) and not np.allclose(base, organism)
        assert any(np.array_equal(rows, base) for rows in alone)


def test_the_mapped_direction_of_a_cell_is_the_one_its_map_carries(study, families):
    installed(study)
    receiver = families[1]
    kept = [load_file(path)["mapped"] for path in paths.cache().glob("maps/*.safetensors")]
    for path in (paths.cache() / "directions" / paths.safe_name(receiver.id)).glob("mapped-*.safetensors"):
        vector = load_direction(path).vectors[2]
        assert any(len(other) == len(vector) and cosine(other, vector) > 0.99999 for other in kept)
