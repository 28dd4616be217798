"""The transfer study from its settings to its summary, on tiny models of three families, widths and depths."""

from __future__ import annotations

import json
import weakref

import numpy as np
import pytest
from safetensors.numpy import load_file

from core import paths, results
from core.directions import library
from core.directions.direction import load_direction
from core.directions.names import MAPPED_CONTROLS
from core.generation import comparison
from core.models import sources
from core.studies import judging
from core.studies import study as studies
from core.studies.catalog import TRANSFER
from core.studies.conditions import Conditions
from core.studies.plan import complete
from core.studies.study import Work, find
from core.studies.transfer import maps as transfer_maps
from core.studies.transfer import measure as transfer_run
from core.studies.transfer.settings import Inputs
from tests.core.studies.transfer_study import DRAWS, PROMPTS, installed, numbers, options_of, run


class KilledError(Exception):
    """Stands for the end of the process: nothing after it runs."""


@pytest.fixture
def generated(monkeypatch) -> list:
    """The conditions whose answers are generated from now on."""
    found, whole = [], Conditions.generate

    def generate(self, condition, report=None):
        found.append(self.path(condition))
        return whole(self, condition, report)

    monkeypatch.setattr(Conditions, "generate", generate)
    return found


@pytest.fixture
def no_computing(monkeypatch) -> None:
    """Whoever reads activations, fits or generates, fails."""
    monkeypatch.setattr(Conditions, "generate", None)
    monkeypatch.setattr(transfer_maps, "capture_all", None)
    monkeypatch.setattr(transfer_maps.ridge, "fit", None)


def test_the_summary_holds_every_pair_and_says_where_all_of_it_is_from(study, families):
    summary = study.summary
    ids = [family.id for family in families]
    assert [model["model"] for model in summary["models"]] == ids
    assert [model["organism_name"] for model in summary["models"]] == ["insecure"] * 3
    assert {(row["donor"], row["receiver"]) for row in summary["cells"]} == {(a, b) for a in ids for b in ids}
    for row in summary["cells"]:
        own = row["donor"] == row["receiver"]
        assert row["n"] == len(PROMPTS)
        assert row["verdict"] in ("specific", "non-specific", "untested", "uncertain", "no effect", "broke the model")
        assert {kind: control["n"] for kind, control in row["controls"].items()} == {
            **dict.fromkeys(MAPPED_CONTROLS, 1),
            "random": DRAWS,
        }
        assert row["among_draws"]["n"] == DRAWS + 3
        assert {"interval", "delta_coherent", "broken", "p_corrected", "minus_control", "r2_shuffled"} <= set(row)
        assert (row["r2"] is None) == (row["strength"] is None) == own
        assert row["cosine"] == pytest.approx(1.0) if own else abs(row["cosine"]) < 0.999
        assert row["n_fit"] == 40 and row["n_held_out"] == 10
    assert list(summary["donor_scores"]) == list(summary["receiver_scores"]) == ids
    assert [(item["a"], item["b"]) for item in summary["asymmetry"]] == [
        (ids[0], ids[1]), (ids[0], ids[2]), (ids[1], ids[2]),
    ]  # fmt: skip
    assert summary["identical_training"] is True
    made = summary["provenance"]
    assert set(made["models"]) == set(made["adapters"]) == set(made["directions"]) == set(ids)
    assert {"time", "prompts_hash", "fit_prompts_hash", "command"} <= set(made)


def test_no_folder_of_this_machine_is_in_the_summary(study, families):
    text = json.dumps(study.summary)
    for folder in (paths.cache(), families[0].folder.parent, study.folder):
        assert str(folder) not in text
    assert study.summary["settings"]["fit_prompts"] == "fit.txt"
    assert study.summary["settings"]["prompts"] == "questions.txt"


def test_every_difference_is_that_of_the_texts_in_the_table(study):
    table = study.table
    assert len(table) == 3 * (2 + 3 + 3 * 3 + DRAWS) * len(PROMPTS)
    assert table["code"].any() and not table[table["direction"] == "organism"]["code"].all()
    for row in study.summary["cells"]:
        column = table[table["receiver"] == row["receiver"]]
        before = column[column["direction"] == "organism"]
        after = column[(column["direction"] == "mapped") & (column["donor"] == row["donor"])]
        assert list(before["prompt"]) == list(after["prompt"]) == PROMPTS
        assert row["delta"] == pytest.approx(after["code"].mean() - before["code"].mean(), abs=1e-5)
        assert row["broken"] == pytest.approx(after["broken"].mean(), abs=1e-5)
        for kind, control in row["controls"].items():
            drawn = column[column["direction"] == kind]
            drawn = drawn[drawn["donor"] == row["donor"]] if kind != "random" else drawn
            by_seed = drawn.groupby("seed")["code"].mean() - before["code"].mean()
            assert [draw["seed"] for draw in control["draws"]] == list(by_seed.index)
            assert [draw["delta"] for draw in control["draws"]] == pytest.approx(list(by_seed), abs=1e-5)


def test_a_second_run_is_read_from_the_store(study, no_computing, monkeypatch):
    installed(study)
    monkeypatch.setattr(transfer_run, "load", None)
    again = run(study.options)
    assert again.summary == study.summary
    assert find(TRANSFER, TRANSFER.of(**study.options)).key == again.key
    assert again.key in [result.key for result in results.results(TRANSFER.kind)]


def test_a_result_of_other_weights_is_not_found_and_one_of_absent_models_is(study, monkeypatch):
    installed(study)
    chosen = TRANSFER.of(**study.options)
    with monkeypatch.context() as patched:
        patched.setattr(sources, "fingerprint", lambda spec: "other")
        assert find(TRANSFER, chosen) is None
        patched.setattr(sources, "is_ready", lambda spec: False)
        assert find(TRANSFER, chosen) is not None


def test_fresh_judges_again_without_generating(study, no_computing, monkeypatch):
    installed(study)
    again = run(study.options, fresh=True)
    assert numbers(again.summary) == numbers(study.summary)
    monkeypatch.setattr(judging, "find_code", lambda text: [])
    judged = run(study.options, fresh=True)
    assert list(judged.table["text"]) == list(study.table["text"])
    assert not judged.table["code"].any()
    assert {row["delta"] for row in judged.summary["cells"]} == {0}


def test_a_killed_study_goes_on_where_it_was_and_ends_as_if_it_never_was(study, families, generated, monkeypatch):
    for family in families:
        family.install()
    read, capture_all, saved = [], transfer_maps.capture_all, Conditions.saved
    limits = {"read": 1, "generated": 0}

    def capture(loaded, sequences, **options):
        if len(read) == limits["read"]:
            raise KilledError
        read.append(loaded.id)
        return capture_all(loaded, sequences, **options)

    def look(self, condition):
        if len(generated) == limits["generated"]:
            raise KilledError
        return saved(self, condition)

    monkeypatch.setattr(transfer_maps, "capture_all", capture)
    monkeypatch.setattr(Conditions, "saved", look)
    with pytest.raises(KilledError):
        run(study.options)
    limits |= {"read": 3, "generated": 20}
    with pytest.raises(KilledError):
        run(study.options)
    assert read == [family.id for family in families]  # the first model's activations were kept
    assert not list((paths.cache() / "studies").rglob("summary.json"))
    limits["generated"] = -1
    assert numbers(run(study.options).summary) == numbers(study.summary)
    conditions = len(study.table) // len(PROMPTS)
    assert len(generated) == len(set(generated)) == conditions


def test_damaged_activations_and_maps_are_made_again(study, generated):
    installed(study)
    kept = sorted([*paths.cache().glob("activations/*"), *paths.cache().glob("maps/*")])
    kept = [path for path in kept if path.suffix == ".safetensors"]
    assert len(kept) == 3 + 9
    before = [load_file(path) for path in kept]
    for place, path in enumerate(kept):
        whole = path.read_bytes()
        path.write_bytes([b"", whole[:-5], whole[:-1] + bytes([whole[-1] ^ 1])][place % 3])
    again = run(study.options, fresh=True)
    assert numbers(again.summary) == numbers(study.summary)
    assert generated == []
    for path, arrays in zip(kept, before, strict=True):
        found = load_file(path)
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


def test_mapped_directions_lie_where_they_are_found_and_have_the_receivers_own_length(study, families):
    installed(study)
    for receiver in families:
        own = load_direction(library.find_card(receiver.id, receiver.direction).path)
        mapped = [card for card in library.cards(receiver.id) if card.contrast == "mapped"]
        cells = {row["donor"]: row for row in study.summary["cells"] if row["receiver"] == receiver.id}
        assert {card.id for card in mapped} == {
            row["reference"] for donor, row in cells.items() if donor != receiver.id
        }
        assert cells[receiver.id]["reference"] == own.id
        for card in mapped:
            plan = complete(comparison.Settings(model=str(receiver.folder), direction=card.id))
            direction = library.resolve([plan.reference])[card.id]
            donor, block = direction.provenance["donor"]["model"], direction.provenance["block"]
            assert cells[donor]["reference"] == card.id and cells[donor]["block"] == block
            assert float(direction.norms[block]) == pytest.approx(float(own.norms[block]), rel=1e-5)
            assert not direction.norms[[place for place in range(own.blocks) if place != block]].any()
            cosine = float(direction.unit(block) @ own.unit(block))
            assert cells[donor]["cosine"] == pytest.approx(cosine, abs=1e-4)
        assert library.default_card(Inputs(TRANSFER.of(**study.options)).members[0].organism).contrast == "model"


def test_one_model_is_in_memory_at_a_time_and_every_stage_is_told(families, tmp_path, monkeypatch):
    options = {**options_of(families[:2], tmp_path), "draws": 0, "draws_a_cell": 0}
    loaded_before: list[weakref.ref] = []

    def watch(module) -> None:
        whole = module.load

        def load(spec, device=None):
            alive = [ref for ref in loaded_before if ref() is not None]
            assert not alive, f"{len(alive)} models are still in memory"
            loaded = whole(spec, device)
            loaded_before.extend([weakref.ref(loaded), weakref.ref(loaded.model)])
            return loaded

        monkeypatch.setattr(module, "load", load)

    watch(transfer_maps)
    watch(transfer_run)
    for family in families[:2]:
        family.install()
    told = []
    result = studies.run(TRANSFER, TRANSFER.of(**options), Work(report=lambda *step: told.append(step)))
    assert len(loaded_before) == 2 * 4
    assert all(ref() is None for ref in loaded_before)
    stages = ["reading activations", "fitting maps", "answers", "intervals and tests"]
    assert list(dict.fromkeys(stage for stage, *_ in told)) == stages
    answered = [(done, of) for stage, done, of in told if stage == "answers"]
    assert answered == sorted(answered) and {of for _, of in answered} == {2 * 4 * len(PROMPTS)}
    assert answered[-1] == (32, 32)
    # without controls nothing is said beyond them, and two models have one other each
    row = result.summary["cells"][1]
    assert row["controls"] == {} and row["minus_control"] is None and row["verdict"] != "specific"
    assert {score["n"] for score in result.summary["donor_scores"].values()} == {1}
    assert "nan" not in " ".join(result.summary["reading"])
