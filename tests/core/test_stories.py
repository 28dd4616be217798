"""The lessons that ship: whole, linked to things that exist, and careful with what they quote."""

from __future__ import annotations

import pytest

from core import paths
from core.generation import saved
from core.stories import stories
from core.studies.plan import complete
from tests import sample_assets
from tests.sample_assets import write

SHIPPED = stories().items
STEPS = [(story, step) for story in SHIPPED for step in story.steps]


def test_the_lessons_ship_whole_and_in_order():
    assert not stories().damaged
    assert [story.id for story in SHIPPED] == [
        "what-is-emergent-misalignment",
        "find-the-direction",
        "steer-it-away",
        "does-it-transfer",
    ]


@pytest.mark.parametrize(("story", "step"), STEPS, ids=lambda item: getattr(item, "id", None) or item.title)
def test_each_step_has_something_to_look_at_and_a_source(story, step):
    assert step.look
    assert step.source
    assert step.question.endswith("?")


@pytest.mark.parametrize(("story", "step"), STEPS, ids=lambda item: getattr(item, "id", None) or item.title)
def test_what_a_step_opens_is_there(story, step):
    if step.settings is not None:
        complete(step.settings)
    if step.preset is not None:
        saved.find_preset(step.preset)
    if step.example is not None and len(saved.examples()):
        saved.find_example(step.example)


def test_a_damaged_lesson_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ASSETS", tmp_path)
    write(tmp_path, "stories/good.json", sample_assets.story())
    write(tmp_path, "stories/bad.json", sample_assets.story("bad", steps=[]))
    found = stories()
    assert [story.id for story in found.items] == ["a-lesson"]
    assert "bad.json" in found.damaged[0]


def test_a_step_opens_one_thing_only(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ASSETS", tmp_path)
    twice = sample_assets.story()
    twice["steps"][0]["preset"] = "steer-it-away"
    write(tmp_path, "stories/a.json", twice)
    assert "one of example, preset and settings" in stories().damaged[0]


def test_a_step_can_name_another_page_instead_and_a_query_needs_one(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ASSETS", tmp_path)
    for name, change in (
        ("good", {"example": None, "page": "Separation", "query": {"contrast": "content"}}),
        ("both", {"page": "Separation"}),
        ("alone", {"query": {"contrast": "content"}}),
    ):
        story = sample_assets.story(name)
        story["steps"][0] |= change
        write(tmp_path, f"stories/{name}.json", story)
    found = stories()
    assert [story.id for story in found.items] == ["good"]
    assert found.items[0].steps[0].query == {"contrast": "content"}
    assert len(found.damaged) == 2


def test_what_a_step_asks_of_the_separation_page_is_a_link_it_understands():
    from pages.parts.separation.choice import read_link

    asked = [step.query for story in SHIPPED for step in story.steps if step.page == "Separation"]
    assert asked
    for query in asked:
        assert read_link(query, [])[1] == []
