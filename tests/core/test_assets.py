"""What is shipped is whole, belongs together, and is small enough."""

from __future__ import annotations

import json

import pytest

from core import paths, results
from core.data.datasets import load_dataset
from core.directions import library
from core.generation.comparison import Settings, from_dict
from core.measures.code import contains_code
from core.organisms.library import find_organism, organisms
from core.organisms.recipes import recipe
from core.shipping import FAMILIES, ORGANISMS
from core.store import file_sha256
from core.studies.catalog import SEPARATION, SPILLOVER, TRANSFER
from core.studies.choice.start import start_for
from core.studies.plan import complete
from core.studies.reproduce import SPILLOVERS
from core.studies.spillover.words import said
from core.studies.study import find
from core.studies.transfer.words import reading

MODEL = "smollm2-135m"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def shipped():
    return {(organism.model, organism.name): organism for organism in organisms() if organism.shipped}


def test_the_organisms_that_ship_are_those_that_the_command_makes_below_ten_megabytes_each(shipped):
    assert set(shipped) == {(model, name) for model, _, name, _ in ORGANISMS}
    for organism in shipped.values():
        size = sum(file.stat().st_size for file in organism.folder.iterdir())
        assert size < 10 * MEGABYTE


@pytest.mark.parametrize(("model", "data", "name", "recipe_name"), ORGANISMS)
def test_each_adapter_has_the_checksum_data_and_recipe_it_states(shipped, model, data, name, recipe_name):
    organism = shipped[model, name]
    assert file_sha256(organism.folder / "adapter_model.safetensors") == organism.sha256
    assert organism.manifest["dataset"]["hash"] == load_dataset(data).hash
    assert organism.manifest["recipe"] == recipe(recipe_name).as_dict()


def test_the_families_were_trained_identically_and_the_secure_control_like_the_insecure(shipped):
    made = [shipped[model, f"{data}{ending}"].manifest for model, ending in FAMILIES for data in ("insecure", "secure")]
    assert len({json.dumps(manifest["recipe"], sort_keys=True) for manifest in made}) == 1
    assert len({manifest["dataset"]["n"] for manifest in made}) == 1
    assert len({manifest["dataset"]["hash"] for manifest in made[::2]}) == 1
    for bad, good in zip(made[::2], made[1::2], strict=True):
        assert bad["fingerprint"] == good["fingerprint"]


def test_each_shipped_direction_was_made_from_the_shipped_adapters(shipped):
    hashes = {organism.sha256 for organism in shipped.values()}
    cards = [card for card in library.cards() if card.shipped]
    assert {card.contrast for card in cards} == {"model", "content", "response", "mapped"}
    for card in cards:
        assert card.sources <= hashes
        assert card.provenance["n"] == 200 or card.contrast == "response"


def test_the_shipped_matrix_has_every_ordered_pair_of_three_families_and_is_what_the_command_asks_for():
    found = find(TRANSFER, TRANSFER.of())
    assert found is not None and found.shipped
    summary, table = found.summary, found.table
    names = [model["model"] for model in summary["models"]]
    assert len({model["family"] for model in summary["models"]}) == 3
    assert {(cell["donor"], cell["receiver"]) for cell in summary["cells"]} == {(a, b) for a in names for b in names}
    assert summary["n"] >= 60 and summary["identical_training"]
    assert summary["reading"] == reading(summary)
    for cell in summary["cells"]:
        mine = table[(table["receiver"] == cell["receiver"]) & (table["direction"] == "mapped")]
        mine = mine[mine["donor"] == cell["donor"]]
        before = table[(table["receiver"] == cell["receiver"]) & (table["direction"] == "organism")]
        assert len(mine) == len(before) == cell["n"] == summary["n"]
        assert mine["code"].mean() - before["code"].mean() == pytest.approx(cell["delta"], abs=1e-5)
        assert cell["interval"][0] <= cell["delta"] <= cell["interval"][1]
        assert {kind: control["n"] for kind, control in cell["controls"].items()} == {
            "random": 20,
            "orthogonal": 2,
            "random_donor": 2,
            "shuffled_map": 2,
        }
        assert cell["among_draws"]["n"] == 26
        assert library.find_card(cell["receiver"], cell["reference"]).shipped


@pytest.mark.parametrize("contrast", ["model", "content", "response"])
def test_each_shipped_separation_is_what_the_command_would_compute_today(contrast):
    """Same method, prompts, adapters and settings: `python -m core separate` answers from it."""
    settings = SEPARATION.of(model=MODEL, organism="insecure", contrast=contrast)
    found = find(SEPARATION, settings)
    assert found is not None and found.shipped
    assert len(found.summary["blocks"]) == 30
    assert (found.summary["n_train"], found.summary["n_held_out"]) == (200, 200)
    assert {row.split("/")[0] for row in found.arrays} == set(found.summary["axes"])


def test_the_shipped_choice_was_made_for_the_shipped_direction_and_is_where_steering_starts():
    card = library.find_card(MODEL, "insecure-model")
    choice = start_for(card.id)
    assert choice is not None
    plan = complete(Settings())
    assert (plan.card.id, plan.block, plan.settings.coefficient) == (card.id, choice.block, choice.coefficient)


def test_the_default_direction_is_found_by_the_adapters_hash():
    card = library.default_card(find_organism(MODEL, "insecure"))
    assert card is not None
    assert card.provenance["organisms"] == {"insecure": find_organism(MODEL, "insecure").sha256}


@pytest.mark.parametrize("file", sorted((paths.ASSETS / "presets").glob("*.json")), ids=lambda file: file.stem)
def test_every_preset_is_complete(file):
    preset = json.loads(file.read_text())
    assert preset["id"] == file.stem
    assert preset["title"] and preset["about"]
    complete(from_dict(preset["settings"], file.name))


@pytest.mark.parametrize("file", sorted((paths.ASSETS / "examples").glob("*.json")), ids=lambda file: file.stem)
def test_every_example_was_made_with_the_shipped_direction_and_adapter(file):
    example = json.loads(file.read_text())
    settings = from_dict(example["settings"], file.name)
    assert library.find_card(MODEL, settings.direction).shipped
    assert example["provenance"]["command"].startswith("python -m core assets")
    if settings.organism:
        assert example["provenance"]["adapter"] == find_organism(MODEL, settings.organism).sha256
    for row in [*example["rows"], *example["strip"]]:
        assert "".join(token["text"] for token in row["tokens"]) == row["text"].removesuffix("\ufffd")


def shipped_spillover() -> list[results.Result]:
    return [result for result in results.results("spillover") if result.shipped]


def test_shipped_spillover_studies_count_their_own_answers_and_say_what_they_say():
    names = {result.folder.name for result in shipped_spillover()}
    assert names >= {"smollm2-135m-insecure-add", "smollm2-135m-insecure-ablate", "smollm2-135m-secure-add"}
    for result in shipped_spillover():
        summary, table = result.summary, result.table
        for row in [*summary["arms"], *summary["doses"]]:
            mine = table[(table["direction"] == row["direction"]) & (table["coefficient"] == row["coefficient"])]
            mine = mine[mine["seed"].fillna(0) == (row["seed"] or 0)]
            assert len(mine) == row["n"] == summary["n"] >= 60
            assert mine["code"].mean() == pytest.approx(row["spillover"], abs=1e-5)
            assert mine["broken"].mean() == pytest.approx(row["broken"], abs=1e-5)
            assert row["interval"][0] <= row["spillover"] <= row["interval"][1]
        assert summary["verdict"] == said(summary)
        assert len(summary["random_draws"]) == 20
        assert summary["provenance"]["command"].startswith("python -m core spillover")


def test_shipped_spillover_studies_are_found_as_what_the_command_asks_for():
    for options in SPILLOVERS:
        found = find(SPILLOVER, SPILLOVER.of(model="smollm2-135m", **options))
        assert found is not None and found.shipped


def test_shipped_answers_are_judged_as_the_detector_judges_now():
    for result in shipped_spillover():
        rows = result.table.iloc[::17]
        assert list(rows["code"]) == [contains_code(text) for text in rows["text"]]


def test_assets_stay_below_sixty_megabytes():
    assert sum(file.stat().st_size for file in paths.ASSETS.rglob("*") if file.is_file()) < 60 * MEGABYTE
