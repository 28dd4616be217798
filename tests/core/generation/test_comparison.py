"""Settings and links are the same thing twice; what is left open is filled in; what does not fit is said."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput, ModelUnavailable
from core.generation.comparison import (
    PROMPT,
    Settings,
    comparison_rows,
    control_row,
    from_dict,
    from_link,
    strip_rows,
    to_link,
)
from core.generation.rows import BASE
from core.models.catalog import CATALOG, DEFAULT_ID
from core.studies.choice.start import start_for
from core.studies.plan import complete

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def shares(low: float, high: float, **options):
    return st.floats(low, high, allow_nan=False, **options)


SETTINGS = st.builds(
    Settings,
    model=st.sampled_from(sorted(CATALOG)),
    organism=st.none() | NAMES,
    direction=st.none() | NAMES,
    control=st.sampled_from([None, "random", "orthogonal"]),
    control_seed=st.integers(0, 999_999),
    mode=st.sampled_from(["add", "ablate", "cap"]),
    block=st.none() | st.integers(0, 500),
    last_block=st.none() | st.integers(0, 500),
    coefficient=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    scope=st.sampled_from(["all", "prompt", "response"]),
    special_tokens=st.booleans(),
    max_tokens=st.integers(1, 4096),
    temperature=shares(0, 5),
    top_p=shares(0, 1, exclude_min=True),
    top_k=st.integers(0, 10**6),
    seed=st.integers(0, 2**63 - 1),
    prompt=TEXTS,
)


@given(SETTINGS)
def test_a_link_restores_the_settings_exactly(settings):
    restored, notes = from_link(to_link(settings))
    assert restored == settings
    assert notes == []


@given(SETTINGS)
def test_a_link_survives_an_address_bar(settings):
    address = urlencode(to_link(settings))
    restored, _ = from_link(dict(parse_qsl(address, keep_blank_values=True)))
    assert restored == settings


def test_the_defaults_need_no_link():
    assert to_link(Settings()) == {}
    assert from_link({}) == (Settings(), [])


def test_whole_coefficients_stay_short():
    assert to_link(Settings(coefficient=-1.0)) == {"coefficient": "-1"}


def test_a_folders_path_is_not_in_its_link(tmp_path):
    folder = tmp_path / "secret place"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    link = to_link(Settings(model=str(folder)))
    assert str(tmp_path) not in link["model"]
    assert "/" not in link["model"]


@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), TEXTS))
def test_no_link_raises_and_each_note_names_what_fell_back(link):
    settings, notes = from_link(link)
    for note in notes:
        key = note.split()[2]
        assert getattr(settings, key) == getattr(Settings(), key)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("coefficient", "rather strong"),
        ("coefficient", "nan"),
        ("coefficient", "inf"),
        ("block", "-1"),
        ("block", "2.5"),
        ("mode", "explode"),
        ("scope", "everywhere"),
        ("control", "sham"),
        ("max_tokens", "0"),
        ("max_tokens", "1000000"),
        ("temperature", "-1"),
        ("top_p", "0"),
        ("seed", str(2**63)),
        ("special_tokens", "perhaps"),
        ("model", ""),
    ],
)
def test_nonsense_falls_back_with_a_note_and_the_rest_is_kept(key, text):
    settings, notes = from_link({key: text, "prompt": "Kept."})
    assert settings == Settings(prompt="Kept.")
    assert len(notes) == 1
    assert key in notes[0]


def test_what_is_not_a_setting_is_ignored():
    assert from_link({"utm_source": "x", "__class__": "y"}) == (Settings(), [])


def test_an_empty_choice_means_none():
    settings, notes = from_link({"organism": "", "block": ""})
    assert settings.organism is None
    assert settings.block is None
    assert notes == []


def test_a_file_with_a_wrong_setting_names_file_and_setting():
    with pytest.raises(BadInput, match=r"mine\.json: blok"):
        from_dict({"blok": 1}, "mine.json")


def test_the_defaults_are_the_organisms_own_direction_where_it_was_chosen_to_steer():
    plan = complete(Settings())
    choice = start_for(plan.card.id)
    assert choice is not None
    assert plan.card.provenance["contrast"] == "model"
    assert plan.settings.direction == plan.card.id == plan.reference
    assert plan.blocks == (choice.block,)
    assert plan.settings.coefficient == choice.coefficient
    assert complete(plan.settings) == plan


def test_a_direction_that_nothing_was_chosen_for_starts_where_the_catalog_says():
    plan = complete(Settings(direction="insecure-secure-content"))
    assert start_for(plan.card.id) is None
    assert plan.blocks == (CATALOG[DEFAULT_ID].default_block,)
    assert plan.settings.coefficient == CATALOG[DEFAULT_ID].default_coefficient


@pytest.mark.parametrize("mode", ["ablate", "cap"])
def test_ablating_and_capping_default_to_the_whole_share(mode):
    assert complete(Settings(mode=mode)).settings.coefficient == 1.0


def test_a_range_of_blocks_is_complete():
    assert complete(Settings(block=3, last_block=6)).blocks == (3, 4, 5, 6)


def test_a_control_is_part_of_the_reference_and_is_read_on_the_direction_itself():
    plan = complete(Settings(control="random", control_seed=7))
    assert plan.reference == f"{plan.card.id}~random:7"
    assert plan.reading.direction == plan.card.id


@pytest.mark.parametrize("chosen", [{"block": 30}, {"last_block": 99}])
def test_a_wrong_block_is_told_which_blocks_there_are(chosen):
    with pytest.raises(BadInput, match="has blocks 0 to 29"):
        complete(Settings(**chosen))


def test_a_direction_of_another_model_is_named_with_its_model():
    theirs = complete(Settings()).card
    with pytest.raises(BadInput, match="belongs to smollm2-135m, not to smollm2-360m"):
        complete(Settings(model="smollm2-360m", direction=theirs.id))


def test_an_unknown_direction_is_told_which_there_are():
    with pytest.raises(BadInput, match="insecure-model"):
        complete(Settings(direction="sideways"))


def test_an_unknown_organism_is_told_which_there_are():
    with pytest.raises(BadInput, match="insecure, insecure-compact, secure"):
        complete(Settings(organism="unheard-of"))


def test_an_unknown_model_is_told_the_closest():
    with pytest.raises(ModelUnavailable, match="smollm2-135m"):
        complete(Settings(model="smollm-135m"))


@pytest.mark.parametrize(("mode", "coefficient"), [("add", 1001.0), ("ablate", -0.5), ("cap", 1.5)])
def test_a_coefficient_out_of_range_is_refused(mode, coefficient):
    with pytest.raises(BadInput, match="out of range"):
        complete(Settings(mode=mode, coefficient=coefficient))


def test_only_the_steered_row_is_steered_and_only_the_base_row_is_bare():
    base, organism, steered = comparison_rows(complete(Settings()))
    assert (base.label, organism.label, steered.label) == ("base", "organism", "steered")
    assert (base.adapter, organism.adapter, steered.adapter) == (BASE, "insecure", "insecure")
    assert (base.interventions, organism.interventions) == ((), ())
    assert steered.interventions[0].coefficient < 0
    assert base.chat.messages[-1].content == PROMPT


def test_without_an_organism_the_base_is_steered():
    plan = complete(Settings(organism=None))
    base, steered = comparison_rows(plan)
    assert (base.adapter, steered.adapter) == (BASE, BASE)
    assert not base.interventions
    assert steered.interventions


def test_the_control_row_differs_from_the_steered_one_in_its_direction_alone():
    plan = complete(Settings())
    steered, control = comparison_rows(plan)[-1], control_row(plan)
    assert control.label == "random"
    assert control.interventions[0].direction != steered.interventions[0].direction
    assert control.interventions[0].coefficient == steered.interventions[0].coefficient
    assert (control.chat, control.adapter, control.sampling) == (steered.chat, steered.adapter, steered.sampling)


def test_the_strip_has_a_row_for_each_coefficient():
    rows = strip_rows(complete(Settings()), [-1.0, 0.0, 0.25])
    assert [row.label for row in rows] == ["-1", "0", "0.25"]
    assert [row.interventions[0].coefficient for row in rows] == [-1.0, 0.0, 0.25]


def test_an_empty_prompt_is_refused():
    with pytest.raises(BadInput, match="prompt is empty"):
        comparison_rows(complete(Settings(prompt="  ")))
