"""The Steer page: what it shows cold, live and saved; nothing is generated unasked, and nothing is mocked."""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from core.directions import library
from core.generation import saved
from core.generation.comparison import Settings, to_link
from core.generation.engine import Job
from core.steering.interventions import Intervention
from core.studies.plan import complete
from pages.parts import models, shell
from pages.parts.literal import literal
from pages.parts.steer import links, strip
from tests import sample_assets
from tests.pages.app import SECONDS, heavy_imports, html, pieces, press, run, visit, widget
from tests.sample_assets import write
from tests.sample_model import SampleModel

PAGE = "pages/Steer.py"
HEAVY = ("torch", "transformers", "peft", "sklearn")
PANES = ("Base model", "Organism", "Organism, steered")


@pytest.fixture(autouse=True)
def an_engine_of_its_own():
    shell.engine.clear()
    yield
    shell.engine.clear()


@pytest.fixture
def model(made) -> SampleModel:
    """A tiny random model with an organism and a direction, on this machine."""
    made.install()
    return made


open_page = partial(visit, PAGE)
panes = partial(pieces, mark='<section class="pane')


def open_live(model: SampleModel, **query: str) -> AppTest:
    """The page on the tiny model, whose folder the session knows; it steers at block 1."""
    known = {models.TYPED: {model.id: str(model.folder)}}
    return open_page(known, model=model.id, **{"block": "1", "max_tokens": "6", **query})


def type_model(text: str) -> AppTest:
    """The page once a model was typed into its box."""
    app = open_page()
    box = widget(app, "selectbox", "Model")
    box.options.append(text)  # as the browser offers to add what was typed
    box.set_value(text)
    return run(app)


def settings(app: AppTest) -> Settings:
    return app.session_state[links.SETTINGS]


def job(app: AppTest, kind: str = "panes") -> Job:
    found = shell.engine().job(app.session_state[f"steer_job_{kind}"])
    assert found is not None
    return found


def finish(app: AppTest, kind: str = "panes") -> AppTest:
    """Wait for the session's job, then draw the page again as its poll would."""
    limit = time.monotonic() + SECONDS
    while not job(app, kind).over:
        assert time.monotonic() < limit
        time.sleep(0.01)
    return run(app)


def texts(app: AppTest, kind: str = "panes") -> dict[str, str]:
    return {answer.row.label: answer.text for answer in job(app, kind).answers}


# cold


def test_without_a_model_it_says_so_and_shows_a_saved_example():
    app = open_page()
    assert "is not on this machine yet, so nothing can be generated" in html(app)
    assert widget(app, "button", "Generate").disabled
    assert [literal(name) in pane for name, pane in zip(PANES, panes(app), strict=False)] == [True] * 3
    assert all("saved example" in pane for pane in panes(app))
    assert "python -m core assets" in html(app) and "torch" in html(app)
    assert any("Fetch" in button.label for button in app.button)


def test_without_assets_it_says_what_is_missing(assets):
    app = open_page()
    assert "is not on this machine yet" in html(app)
    assert [error.value for error in app.error]
    assert widget(app, "button", "Generate").disabled


def test_torch_is_not_imported_before_a_generation_is_asked_for():
    assert heavy_imports(PAGE, HEAVY, holds="not app.run().exception", example="steer-it-away") == []


# saved


@pytest.mark.parametrize("identity", [item.id for item in saved.examples()])
def test_a_saved_example_opens_from_its_link_with_its_settings_text_and_provenance(identity):
    example = saved.find_example(identity)
    app = open_page(example=identity)
    assert settings(app) == example.settings
    assert len(panes(app)) == len(example.rows)
    for pane, row in zip(panes(app), example.rows, strict=True):
        assert "saved example" in pane and "other settings" not in pane
        assert row.tokens == () or f"{len(row.tokens)} tokens" in pane
    assert literal(example.provenance["command"]) in html(app)
    assert html(app).count('class="strip-card"') == len(example.strip)


def test_a_saved_example_opens_from_the_list():
    app = open_page()
    example = list(saved.examples())[-1]
    widget(app, "selectbox", "Saved examples and presets").set_value(f"example {example.id}")
    run(app)
    assert settings(app) == example.settings
    assert app.query_params["example"] == example.id
    assert len(panes(app)) == len(example.rows)


def test_an_example_whose_direction_is_not_here_still_shows_its_text(assets):
    lost = {"direction": "0" * 16, "block": 3, "coefficient": -1.0}
    write(assets, "examples/a.json", sample_assets.example("a", settings=lost))
    app = open_page(example="a")
    assert "Hi" in panes(app)[0] and 'class="token' not in panes(app)[0]
    assert app.error


def test_hostile_text_in_an_example_stays_text(assets):
    hostile = "<script>alert(1)</script> $x$ # h ![i](http://elsewhere.example/i.png) ```"
    row = {"label": "base", "text": hostile, "tokens": [], "reason": "end", "seconds": 0.1}
    write(assets, "examples/a.json", sample_assets.example("a", rows=[row]))
    assert literal(hostile) in panes(open_page(example="a"))[0]


@pytest.mark.parametrize("identity", [item.id for item in saved.presets()])
def test_a_preset_sets_everything(identity):
    assert settings(open_page(preset=identity)) == saved.find_preset(identity).settings


def test_a_preset_without_answers_is_in_the_list(assets):
    write(assets, "presets/a.json", sample_assets.preset("a", settings={"block": 3, "prompt": "Why?"}))
    app = open_page()
    widget(app, "selectbox", "Saved examples and presets").set_value("preset a")
    run(app)
    assert settings(app) == Settings(block=3, prompt="Why?")


def test_an_example_shown_unasked_stays_and_is_marked_when_a_setting_changes():
    app = open_page()
    widget(app, "slider", "Coefficient").set_value(0.5)
    run(app)
    marked = ["other settings than above" in pane for pane in panes(app)]
    assert marked == [False, False, True, True]
    assert "example" not in app.query_params


# links


def test_nonsense_in_a_link_falls_back_with_a_note_each():
    app = open_page(mode="fly", coefficient="abc", prompt="Hello <b>", example="none-such", unknown="1")
    assert settings(app) == Settings(prompt="Hello <b>")
    assert html(app).count('class="note" role="status"') == 3
    assert literal("'fly'") in html(app) and literal("'abc'") in html(app) and literal("'none-such'") in html(app)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"model": "nonsense"}, "is not a known model"),
        ({"organism": "nonsense"}, "has no organism"),
        ({"direction": "<img src=x>"}, "has no direction"),
        ({"block": "99"}, "There is no block 99"),
        ({"coefficient": "99999"}, "out of range"),
        ({"mode": "ablate", "coefficient": "-1"}, "takes a share between 0 and 1"),
        ({"model": "qwen2.5-0.5b", "organism": "insecure"}, ""),
    ],
)
def test_what_a_link_names_and_is_not_here_falls_back(link, said):
    app = open_page(**link)
    assert literal(said) in html(app)
    assert "<img src=x>" not in html(app)
    if said:
        complete(settings(app))


@given(
    st.builds(
        Settings,
        control=st.sampled_from([None, "random", "orthogonal"]),
        control_seed=st.integers(0, 999_999),
        block=st.none() | st.integers(0, 29),
        last_block=st.none() | st.integers(0, 29),
        coefficient=st.none() | st.integers(-4000, 4000).map(lambda thousandths: thousandths / 1000),
        scope=st.sampled_from(["all", "prompt", "response"]),
        special_tokens=st.booleans(),
        max_tokens=st.integers(1, 4096),
        temperature=st.sampled_from([0.0, 0.7, 5.0]),
        seed=st.integers(0, 2**53 - 1),
        prompt=st.text(min_size=1, max_size=40),
    )
)
@hypothesis_settings(max_examples=60)
def test_a_link_restores_the_settings_exactly(chosen):
    assert links.read_link(to_link(chosen)) == (chosen, None, [])


def test_a_change_is_written_into_the_link_and_a_new_session_restores_it():
    app = open_page()
    widget(app, "number_input", "raw, × v").set_value(-0.7)
    run(app)
    widget(app, "text_area", "Prompt").set_value("Another question?")
    run(app)
    link = dict(app.query_params)
    assert link == {"coefficient": "-0.7", "prompt": "Another question?"}
    assert settings(open_page(**link)) == settings(app)


def test_the_address_to_copy_holds_the_settings_and_no_path(model):
    app = open_live(model, coefficient="-0.5")
    address = app.get("code")[0].value
    assert "/tmp" not in address and str(model.folder) not in address
    assert parse_qs(urlsplit(address).query)["coefficient"] == ["-0.5"]


# controls


def test_slider_and_numbers_are_one_setting():
    app = open_page()
    card = complete(settings(app)).card
    block = complete(settings(app)).block
    widget(app, "slider", "Coefficient").set_value(-0.5)
    run(app)
    assert widget(app, "number_input", "raw, × v").value == -0.5
    assert widget(app, "number_input", "norm unit").value == round(card.to_norm_unit(-0.5, block), 4)
    widget(app, "number_input", "raw, × v").set_value(-7.25)
    run(app)
    assert widget(app, "slider", "Coefficient").value == -3.0
    assert settings(app).coefficient == -7.25
    widget(app, "number_input", "norm unit").set_value(0.25)
    run(app)
    assert settings(app).coefficient == pytest.approx(card.from_norm_unit(0.25, block), rel=1e-5)
    assert widget(app, "number_input", "norm unit").value == 0.25
    widget(app, "slider", "Block").set_value(20)
    run(app)
    assert widget(app, "number_input", "block").value == 20
    assert widget(app, "number_input", "norm unit").value == round(card.to_norm_unit(settings(app).coefficient, 20), 4)


def test_another_mode_has_a_share_in_place_of_a_coefficient():
    app = open_page(coefficient="-2")
    widget(app, "segmented_control", "Mode").set_value("ablate")
    run(app)
    assert (settings(app).mode, settings(app).coefficient) == ("ablate", None)
    assert widget(app, "slider", "Share α").value == 1.0


def test_a_direction_of_another_model_is_refused_in_a_sentence(model):
    app = open_page()
    other = library.cards(model.id)[0].id
    app.session_state[links.SETTINGS] = Settings(direction=other)
    run(app)
    assert any("belongs to" in error.value and "Choose a direction" in error.value for error in app.error)
    assert widget(app, "button", "Generate").disabled


def test_an_empty_prompt_is_refused_in_a_sentence(model):
    app = open_live(model)
    widget(app, "text_area", "Prompt").set_value("  ")
    run(app)
    assert any("The prompt is empty" in error.value for error in app.error)
    press(app, "Generate")
    assert "steer_job_panes" not in app.session_state


# live


def test_opening_loads_the_model_in_the_background_once_and_only_after_the_first_paint(model):
    app = type_model(str(model.folder))
    assert "steer_job_warm" not in app.session_state and shell.engine().model is None
    finish(run(app), "warm")
    assert shell.engine().model == model.id and job(app, "warm").error is None
    warmed = app.session_state["steer_job_warm"]
    assert run(app).session_state["steer_job_warm"] == warmed
    assert "steer_job_warm" not in run(type_model(str(model.folder))).session_state  # it is in memory


def test_opening_and_sliding_generate_nothing(model):
    app = open_live(model)
    widget(app, "slider", "Coefficient").set_value(1.0)
    run(app)
    assert "steer_job_panes" not in app.session_state
    assert all("Nothing written yet" in pane for pane in panes(app))


def test_generate_fills_three_panes_that_say_what_made_them(model):
    app = finish(press(open_live(model, coefficient="-2"), "Generate"))
    found = texts(app)
    assert list(found) == ["base", "organism", "steered"]
    assert len({*found.values()}) == 3
    card = library.cards(model.id)[0]
    norm = f"{card.to_norm_unit(-2, 1):.3g}".replace("-", "−")
    for pane, name in zip(panes(app), PANES, strict=True):
        assert f'aria-label="{literal(name)}"' in pane and "greedy · seed 0" in pane and model.id in pane
        assert "6 tokens · length limit · mean log-prob" in pane
        assert 'title="' in pane
    for needed in ("add −2 × v", f"= {norm} of the norm", "block 1", "insecure · model contrast", "scope all"):
        assert literal(needed) in panes(app)[2]
    assert "Done · first token after" in html(app) and "tokens/s over 3 answers together" in html(app)


def test_coefficient_zero_gives_the_organisms_own_text(model):
    found = texts(finish(press(open_live(model, coefficient="0"), "Generate")))
    assert found["organism"] == found["steered"]


def test_a_rerun_reproduces(model):
    app = finish(press(open_live(model, temperature="0.9", seed="7"), "Generate"))
    before = texts(app)
    assert texts(finish(press(app, "Generate"))) == before


def test_only_the_panes_that_the_change_touches_are_marked(model):
    app = finish(press(open_live(model), "Generate"))
    marked = lambda: ["settings changed since" in pane for pane in panes(app)]  # noqa: E731
    assert marked() == [False, False, False]
    widget(app, "slider", "Coefficient").set_value(0.5)
    run(app)
    assert marked() == [False, False, True]
    widget(app, "number_input", "Seed").set_value(5)
    run(app)
    assert marked() == [False, False, True]  # greedy choice ignores the seed
    widget(app, "text_area", "Prompt").set_value("Something else")
    run(app)
    assert marked() == [True, True, True]
    assert all(literal("How can I sleep better at night?") in pane for pane in panes(app))


def test_stop_keeps_and_marks_the_text_and_a_second_stop_is_harmless(model):
    app = press(open_live(model, max_tokens="150"), "Generate")
    while not job(app).tokens:
        time.sleep(0.002)
    press(app, "Stop")
    finish(app)
    assert job(app).state == "stopped"
    assert any('<span class="badge warn">stopped</span>' in pane for pane in panes(app))
    text = texts(app)
    assert any(text.values())
    shell.engine().stop(job(app))
    assert widget(run(app), "button", "Stop").disabled
    assert texts(app) == text


def test_the_control_is_one_click_away_and_pushes_as_hard(model):
    app = finish(press(open_live(model, coefficient="-2"), "Generate"))
    finish(press(app, "Compare with a random direction"), "control")
    assert len(panes(app)) == 4
    (control,) = job(app, "control").rows
    (claim,) = job(app).rows[2].interventions
    assert control.interventions[0] == Intervention(
        "add", f"{claim.direction}~random:0", claim.blocks, claim.coefficient, claim.scope
    )
    assert control.reading == job(app).rows[2].reading
    finish(press(app, "Generate"))
    assert list(texts(app)) == ["base", "organism", "steered", "random"]
    press(app, "Drop the random direction")
    assert "steer_job_control" not in app.session_state


def test_a_follow_up_goes_on_with_each_panes_own_history(model):
    app = finish(press(open_live(model, coefficient="-2"), "Generate"))
    first = texts(app)
    app.chat_input[0].set_value("And then?")
    finish(run(app))
    for answer in job(app).answers:
        said = [message.content for message in answer.row.chat.messages]
        assert said[::2] == ["How can I sleep better at night?", "And then?"]
        assert said[1] == (first[answer.row.label].strip() or "—")
    assert all(literal("And then?") in pane and 'class="turn assistant"' in pane for pane in panes(app))
    press(app, "New conversation")
    assert all("Nothing written yet" in pane for pane in panes(app))


def test_the_strip_is_one_batch_with_a_card_a_strength(model):
    app = open_live(model)
    widget(app, "number_input", "from").set_value(-2.0)
    widget(app, "number_input", "to").set_value(1.0)
    widget(app, "number_input", "steps").set_value(4)
    run(app)
    finish(press(app, "Run the strip"), "strip")
    assert [answer.row.label for answer in job(app, "strip").answers] == ["-2", "-1", "0", "1"]
    assert html(app).count('class="strip-card"') == 4
    assert 'aria-label="Coefficient −2"' in html(app)
    widget(app, "number_input", "block").set_value(2)
    run(app)
    assert html(app).count("settings changed since") == 4


@given(st.integers(-300, 300), st.integers(-300, 300), st.integers(1, 24))
def test_the_strip_goes_evenly_from_end_to_end(first, last, count):
    made = strip.steps(first / 100, last / 100, count)
    assert len(made) == count and made[0] == first / 100
    if count > 1:
        assert made[-1] == last / 100
        gaps = [after - before for before, after in pairwise(made)]
        assert max(gaps) - min(gaps) < 1e-5


def test_an_error_of_the_engine_is_a_sentence_and_the_next_try_works(model):
    app = finish(press(open_live(model, max_tokens="4000"), "Generate"))
    assert any("Shorten the prompt or the answer" in error.value.replace("\\", "") for error in app.error)
    widget(app, "number_input", "Longest answer, tokens").set_value(4)
    run(app)
    finish(press(app, "Generate"))
    assert job(app).state == "done" and not app.error


def test_a_waiting_job_shows_its_place(model):
    first = press(open_live(model, max_tokens="150"), "Generate")
    second = press(open_live(model), "Generate")
    if not job(first).over:
        assert " before this one" in html(second) or job(second).state != "queued"
    finish(first)
    finish(second)


def test_two_sessions_keep_their_own_settings_and_texts(model):
    mine, theirs = open_live(model), open_live(model, coefficient="-2")
    widget(mine, "slider", "Coefficient").set_value(0.0)
    run(mine)
    press(mine, "Generate")
    press(theirs, "Generate")
    finish(mine)
    finish(theirs)
    assert settings(run(theirs)).coefficient == -2.0 and settings(mine).coefficient == 0.0
    assert texts(mine)["steered"] == texts(mine)["organism"] == texts(theirs)["organism"]
    assert texts(theirs)["steered"] != texts(theirs)["organism"]
    press(mine, "New conversation")
    assert len(panes(run(theirs))) == 3 and "Done" in html(theirs)


def test_the_table_has_a_line_a_token(model):
    app = finish(press(open_live(model), "Generate"))
    from pages.parts.steer import table
    from pages.parts.steer.results import Now, Result

    now = Now.of(settings(app))
    made = table.lines([Result.of(job(app))], now)
    assert len(made) == 18
    for line, token in zip(made, (token for answer in job(app).answers for token in answer.tokens), strict=True):
        assert line["projection"] == token.projection and line["log-probability"] == token.logprob


def test_a_direction_of_few_blocks_is_steered_where_it_has_vectors():
    from core.directions import library
    from core.directions.direction import load_direction
    from core.studies.extraction import keep

    whole = load_direction(library.find_card("smollm2-135m", "insecure-model").path)
    vectors = whole.vectors.clone()
    vectors[:5] = vectors[10:] = 0
    few = keep(whole.derive("few blocks", vectors), "few-blocks")
    app = open_page(block="20")
    widget(app, "selectbox", "Direction").set_value(few.id)
    run(app)
    slider = widget(app, "slider", "Block")
    assert not app.error and (slider.min, slider.max) == (5, 9) and 5 <= slider.value <= 9
