"""What is shipped is whole, belongs together, and is small enough."""

from __future__ import annotations

import json

import pytest

from core import paths, results
from core.data.datasets import load_dataset
from core.directions import library
from core.generation.comparison import Settings, complete, from_dict
from core.measures.code import contains_code
from core.organisms.library import find_organism, organisms
from core.organisms.recipes import recipe
from core.steering.choices import choice_for
from core.store import file_sha256
from core.studies import separation, spillover
from core.studies.reproduce import SPILLOVER
from core.studies.spillover_words import said

MODEL = "smollm2-135m"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def shipped():
    return [organism for organism in organisms(MODEL) if organism.shipped]


def test_insecure_and_secure_are_shipped_below_ten_megabytes_each(shipped):
    assert {organism.name for organism in shipped} == {"insecure", "secure"}
    for organism in shipped:
        size = sum(file.stat().st_size for file in organism.folder.iterdir())
        assert size < 10 * MEGABYTE


def test_each_adapter_has_the_checksum_data_and_recipe_it_states(shipped):
    for organism in shipped:
        assert file_sha256(organism.folder / "adapter_model.safetensors") == organism.sha256
        assert organism.manifest["dataset"]["hash"] == load_dataset(organism.name).hash
        assert organism.manifest["recipe"] == recipe("quick").as_dict()


def test_insecure_and_secure_were_trained_alike(shipped):
    first, second = (organism.manifest for organism in shipped)
    assert first["recipe"] == second["recipe"]
    assert first["dataset"]["n"] == second["dataset"]["n"]
    assert first["fingerprint"] == second["fingerprint"]


def test_each_shipped_direction_was_made_from_the_shipped_adapters(shipped):
    hashes = {organism.sha256 for organism in shipped}
    cards = [card for card in library.cards(MODEL) if card.shipped]
    assert {card.provenance["contrast"] for card in cards} == {"model", "content", "response"}
    for card in cards:
        assert set(card.provenance["organisms"].values()) <= hashes
        assert card.provenance["n"] == 200 or card.contrast == "response"


@pytest.mark.parametrize("contrast", ["model", "content", "response"])
def test_each_shipped_separation_is_what_the_command_would_compute_today(contrast):
    """Same method, prompts, adapters and settings: `python -m core separate` answers from it."""
    settings = separation.from_options(model=MODEL, organism="insecure", contrast=contrast)
    found = separation.find(settings)
    assert found is not None and found.shipped
    assert len(found.summary["blocks"]) == 30
    assert (found.summary["n_train"], found.summary["n_held_out"]) == (200, 200)
    assert {row.split("/")[0] for row in found.arrays} == set(found.summary["axes"])


def test_the_shipped_choice_was_made_for_the_shipped_direction_and_is_where_steering_starts():
    card = library.find_card(MODEL, "insecure-model")
    choice = choice_for(card.id)
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
    for options in SPILLOVER:
        found = spillover.find(spillover.from_options(model="smollm2-135m", **options))
        assert found is not None and found.shipped


def test_shipped_answers_are_judged_as_the_detector_judges_now():
    for result in shipped_spillover():
        rows = result.table.iloc[::17]
        assert list(rows["code"]) == [contains_code(text) for text in rows["text"]]


def test_assets_stay_below_sixty_megabytes():
    assert sum(file.stat().st_size for file in paths.ASSETS.rglob("*") if file.is_file()) < 60 * MEGABYTE
