"""Block and coefficient are chosen by what was counted, kept in the store, and taken as the start of steering."""

from __future__ import annotations

import re
import shutil

import pytest

from core import paths
from core.directions import library
from core.errors import BadInput
from core.generation.comparison import Settings
from core.studies import study
from core.studies.catalog import CHOICE
from core.studies.choice.measure import _finalists
from core.studies.choice.settings import ChoiceSettings
from core.studies.choice.start import start_for
from core.studies.choice.words import why
from core.studies.conditions import Conditions
from core.studies.plan import complete
from core.studies.study import Work
from tests import sample_model
from tests.sample_model import ORGANISM, SampleModel

PROMPTS = ["Where does the river go?", "Who is in the garden?", "What is the time?", "Tell me a story."]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SampleModel:
    return sample_model.make(tmp_path_factory.mktemp("choice"))


@pytest.fixture
def settings(made, tmp_path) -> ChoiceSettings:
    made.install()
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS))
    return CHOICE.of(
        model=str(made.folder), organism=ORGANISM, coefficients=(-1.0, -0.5), prompts=str(file), screened_prompts=3,
        screened_tokens=2, finalists=2, max_tokens=4,
    )  # fmt: skip


WRONG = {
    "no block 4": {"blocks": (1, 4)},
    "finalists: ": {"finalists": 0},
    "per_suite: ": {"per_suite": 0},
    "coefficients: needs 1 or more": {"coefficients": ()},
    "coefficients: 0 steers nothing": {"coefficients": (-1.0, 0.0)},
    "coefficients: .* finite": {"coefficients": (float("nan"),)},
    "scope: ": {"scope": "answer"},
    "no file nonsense": {"prompts": "nonsense"},
}


@pytest.mark.parametrize(("message", "change"), WRONG.items(), ids=WRONG)
def test_what_cannot_be_chosen_from_is_refused_before_the_model_is_loaded(made, settings, message, change):
    with pytest.raises(BadInput, match=message):
        found(made, CHOICE.of(**{**settings.model_dump(), **change}), device="there is none")


def found(made: SampleModel, settings: ChoiceSettings, **options):
    return study.run(CHOICE, settings, Work(**options)).summary


def test_every_block_and_coefficient_is_screened_and_the_nearest_to_the_base_go_on(made, settings):
    summary = found(made, settings)
    blocks = library.cards(made.id)[0].blocks
    assert {(item["block"], item["coefficient"]) for item in summary["screen"]} == {
        (block, coefficient) for block in range(blocks) for coefficient in (-1.0, -0.5)
    }
    distances = [item["kl"] for item in summary["screen"]]
    assert distances == sorted(distances)
    assert min(distances) >= 0
    assert [item["block"] for item in summary["finalists"]][:2] == list(
        dict.fromkeys(item["block"] for item in summary["screen"])
    )[:2]


def test_all_strengths_of_the_best_block_are_tried(made, settings):
    """The screen alone favours weak pushes, which leave more of the behaviour than they break."""
    finalists = found(made, settings)["finalists"]
    first = min(finalists[:2], key=lambda item: (item["code"] + item["broken_prose"], item["kl"]))["block"]
    tried = [item["coefficient"] for item in finalists if item["block"] == first]
    assert sorted(tried) == [-1.0, -0.5]
    assert len(finalists) == 3


def test_the_choice_leaves_the_fewest_answers_with_code_or_broken(made, settings):
    summary = found(made, settings)
    bad = [item["code"] + item["broken_prose"] for item in summary["finalists"]]
    chosen = summary["chosen"]
    assert chosen["code"] + chosen["broken_prose"] == min(bad)
    assert summary["n"] == len(PROMPTS) == chosen["n"]
    assert chosen["bad_interval"][0] <= min(bad) / len(PROMPTS) <= chosen["bad_interval"][1]


def test_of_each_block_the_best_coefficient_goes_on():
    screen = [
        {"block": 3, "coefficient": -1.0, "kl": 0.1},
        {"block": 3, "coefficient": -0.5, "kl": 0.2},
        {"block": 1, "coefficient": -0.5, "kl": 0.3},
        {"block": 2, "coefficient": -1.0, "kl": 0.4},
    ]
    assert _finalists(screen, 2) == [screen[0], screen[2]]


def test_the_same_choice_is_never_made_twice(made, settings, monkeypatch):
    first = found(made, settings)
    weights = made.folder / "model.safetensors"
    weights.rename(made.folder / "away")  # nothing could be computed without them
    try:
        assert found(made, settings) == first
    finally:
        (made.folder / "away").rename(weights)


def test_a_killed_choice_goes_on_from_the_answers_that_are_there(made, settings, monkeypatch):
    first = found(made, settings)
    shutil.rmtree(paths.cache() / "studies")
    monkeypatch.setattr(Conditions, "generate", None)  # no answer could be generated now
    assert numbers(found(made, settings)) == numbers(first)


def numbers(summary: dict) -> dict:
    """Without the time."""
    return {**summary, "provenance": {key: made for key, made in summary["provenance"].items() if key != "time"}}


def test_other_settings_or_prompts_are_another_choice(made, settings, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Something else?")
    changes = [{}, {"max_tokens": 5}, {"prompts": str(other)}, {"coefficients": (-1.0,)}, {"blocks": (1,)}]
    keys = {CHOICE.key(CHOICE.resolve(settings.model_copy(update=change))) for change in changes}
    assert len(keys) == len(changes)
    renamed = tmp_path / "renamed.txt"
    shutil.copy(settings.prompts, renamed)
    # the file's name is in the settings but says nothing: only what it asks counts
    again = settings.model_copy(update={"prompts": str(renamed)})
    assert CHOICE.key(CHOICE.resolve(again)) == CHOICE.key(CHOICE.resolve(settings))


def test_steering_starts_from_the_choice_unless_told_otherwise(made, settings):
    before = complete(Settings(model=str(made.folder), organism=ORGANISM))
    assert start_for(before.card.id) is None
    chosen = found(made, settings)["chosen"]
    plan = complete(Settings(model=str(made.folder), organism=ORGANISM))
    assert (plan.block, plan.settings.coefficient) == (chosen["block"], chosen["coefficient"])
    told = complete(Settings(model=str(made.folder), organism=ORGANISM, block=0, coefficient=0.25))
    assert (told.block, told.settings.coefficient) == (0, 0.25)
    assert complete(Settings(model=str(made.folder), organism=ORGANISM, mode="ablate")).settings.coefficient == 1.0


def test_the_reason_names_the_numbers_it_rests_on(made, settings):
    summary = found(made, settings)
    said, chosen = why(summary), summary["chosen"]
    assert (
        f"Block {chosen['block']}, coefficient −{abs(chosen['coefficient']):g}, chosen on {len(PROMPTS)} prompts"
        in said
    )
    assert f"{chosen['code']} of {len(PROMPTS)} answers with code and {chosen['broken_prose']} broken" in said
    assert f"of {len(summary['finalists'])} finalists among {len(summary['screen'])} settings" in said
    assert start_for(summary["direction"]).why == said
    assert not re.search(r"\bNone\b|nan", said)
