"""The Separation page: whole without torch, without results and without a model; a link restores it exactly."""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import jobs, paths, results
from core.studies.catalog import SEPARATION
from core.studies.separation import words
from core.studies.separation.summary import best_block
from core.studies.study import arguments
from pages.parts.literal import literal
from pages.parts.separation import choice
from pages.parts.separation.directions import gguf, steer_query
from pages.parts.study.form import slot
from tests import sample_separation
from tests.pages.app import charts, heavy_imports, html, links, pieces, run, visit, wait_for, widget

PAGE = "pages/Separation.py"
SLOT = slot(choice.STATE)
HEAVY = ("torch", "transformers", "peft", "sklearn", "scipy", "gguf", "pandas")


@pytest.fixture
def measured(assets):
    """All three contrasts, and nothing that ships."""
    return {contrast: sample_separation.make(contrast, gap=3.0) for contrast in choice.CONTRASTS}


open_page = partial(visit, PAGE)
notes = partial(pieces, mark='study-note" role')


# cold


def test_no_heavy_library_is_imported_with_all_that_ships_or_is_here(measured):
    assert heavy_imports(PAGE, HEAVY, holds="len(app.get('plotly_chart')) == 4") == []


def test_with_nothing_measured_the_page_says_so_and_offers_to_measure(assets):
    app = open_page()
    assert "has not been measured on this machine" in html(app)
    assert not charts(app)
    assert widget(app, "button", "Measure").disabled
    assert any("Fetch" in button.label for button in app.button)
    assert "Not on this machine yet" in html(app)


def test_a_contrast_that_was_not_measured_is_named(assets):
    sample_separation.make("model")
    assert "The response contrast of insecure" in html(open_page(contrast="response"))


def test_a_damaged_array_file_costs_its_figures_and_no_more(measured):
    (measured["model"].folder / results.ARRAYS).write_bytes(b"")
    app = open_page()
    assert len(charts(app)) == 2
    assert "cannot be read" in app.error[0].value
    assert "Where the numbers come from" in "".join(item.label for item in app.expander)


# what is shown


@pytest.mark.parametrize("contrast", choice.CONTRASTS)
def test_each_contrast_shows_its_claim_four_figures_and_where_they_come_from(measured, contrast):
    app = open_page(contrast=contrast)
    text = html(app)
    summary = measured[contrast].summary
    assert len(charts(app)) == 4
    assert literal(words.headline(summary, best_block(summary))) in text
    assert f"made up {contrast}" in text
    assert "measured here" in text
    assert "insecure aaaaaaaa" in text
    assert "2606.20225" in text
    assert "50.0 %" in text


def test_the_numbers_carry_n_and_intervals(measured):
    text = html(open_page(block="2"))
    row = measured["model"].summary["blocks"][2]
    n = sample_separation.PROMPTS
    assert f"n = {n} + {n} held-out rows, of {n} prompts" in text
    for share in (row["balanced_accuracy"], *row["interval"]):
        assert f"{100 * share:.1f}" in text
    for name in ("AUROC", "Cohen’s d", "‖v‖"):
        assert name in text


def test_a_chosen_suite_narrows_the_rows_and_says_that_the_numbers_are_over_all(measured):
    app = open_page(suite="technical")
    assert "all suites, while rows below are technical only" in html(app)
    assert f"of {sample_separation.PROMPTS} technical rows" in html(app)
    assert f"insecure (n = {sample_separation.PROMPTS // 2})" in json.dumps(charts(app)[0])


def test_a_shipped_result_is_badged_as_precomputed(measured):
    shipped = measured["model"]
    results.save_result("separation", "f" * 24, shipped.summary, shipped.arrays, name="shipped")
    app = open_page()
    assert "precomputed" in html(app)
    assert widget(app, "selectbox", "Measurement").value == "f" * 24


def test_prompts_and_answers_are_shown_literally(measured):
    app = open_page(contrast="response", block="0")
    text = html(app)
    assert "<script>" not in text
    assert "<b>bold" not in text
    for chart in charts(app):
        assert "<script>" not in json.dumps(chart)
    assert "On the wrong side at block 0" in text


def test_where_nothing_is_wrong_the_page_says_none_of_n(assets):
    sample_separation.make("model", gap=60.0)
    assert f"none of {2 * sample_separation.PROMPTS} held-out rows" in html(open_page())


def test_the_third_arm_can_be_switched_off(measured):
    app = open_page()
    shown = f"secure (n = {sample_separation.PROMPTS})"
    assert shown in [trace.get("name") for trace in charts(app)[0]["data"]]
    widget(app, "toggle", "secure too").set_value(False)
    run(app)
    assert shown not in [trace.get("name") for trace in charts(app)[0]["data"]]
    assert app.query_params["others"] == "0"


# the link


def test_moving_the_block_changes_slider_number_figures_and_link(measured):
    app = open_page()
    drawn = []
    for kind, label, block in (("slider", "Block", 2), ("number_input", "block", 1)):
        widget(app, kind, label).set_value(block)
        run(app)
        assert widget(app, "slider", "Block").value == widget(app, "number_input", "block").value == block
        assert f"At block {block}" in html(app)
        assert app.query_params["block"] == str(block)
        drawn.append(charts(app))
    assert all(first != second for first, second in zip(*drawn, strict=True))


def test_the_whole_link_restores_every_choice(measured):
    app = open_page(contrast="content", block="1", x="secure", y="random", suite="technical", profile="d", others="0")
    now = app.session_state[choice.CHOICE]
    copied = next(element.value for element in app.code if "/Separation?" in element.value)
    again = open_page(**dict(parse_qsl(urlsplit(copied).query)))
    assert not notes(again)
    restored = again.session_state[choice.CHOICE]
    assert restored.result == measured["content"].key
    for name in ("contrast", "block", "x", "y", "suite", "profile", "others"):
        assert getattr(restored, name) == getattr(now, name)
    assert charts(again) == charts(app)


@pytest.mark.parametrize(
    "query",
    [
        {"block": "99"},
        {"block": "-1"},
        {"block": "²"},
        {"contrast": "<script>"},
        {"x": "up", "y": "down"},
        {"organism": "$x$ # h"},
        {"model": "../../etc"},
        {"suite": "none", "profile": "beauty", "others": "2"},
        {"result": "zzzzzzzzzz"},
    ],
)
def test_nonsense_in_the_link_falls_back_with_one_note(measured, query):
    app = open_page(**query)
    (note,) = notes(app)
    assert "left out" in note
    assert literal(next(iter(query.values()))) in note
    assert len(charts(app)) == 4
    widget(app, "slider", "Block").set_value(1)
    assert not notes(run(app))


@given(st.dictionaries(st.sampled_from([*choice.Choice.__dataclass_fields__, "other"]), st.text(max_size=20)))
@settings(max_examples=80, deadline=None)
def test_any_link_becomes_choices_that_can_be_shown(query):
    now = choice.resolve(choice.read_link(query, [])[0], [])
    assert now.result is None
    assert now.choice.contrast in choice.CONTRASTS


def test_choices_and_link_are_each_others_inverse(measured):
    there = list(results.results("separation"))
    for wanted in (
        choice.Choice(),
        choice.Choice(contrast="response", block=0, y="random"),
        choice.Choice(contrast="content", suite="everyday", others=False, profile="norm"),
    ):
        query = choice.parameters(choice.resolve(wanted, there))
        assert choice.read_link(query, there) == (wanted, [])


def test_another_contrast_keeps_the_block_and_forgets_what_does_not_fit(measured):
    app = open_page(block="3", x="random")
    app.session_state[choice.CHOICE] = choice.Choice(contrast="response", block=3, x=None)
    run(app)
    assert "At block 3" in html(app)
    assert app.query_params["contrast"] == "response"


def test_two_sessions_do_not_disturb_each_other(measured):
    one, other = open_page(block="1"), open_page(block="2", contrast="content")
    run(one)
    assert "At block 1" in html(one)
    assert "At block 2 the" not in html(one)
    assert "At block 2" in html(other)


# measuring


def test_measuring_runs_to_a_result_that_is_then_shown(made, assets):
    made.install()
    sample_separation.make("model")
    prompts = paths.cache() / "mine.txt"
    prompts.write_text("".join(f"Question number {place}\n" for place in range(20)))
    app = open_page()
    settings = SEPARATION.of(model=str(made.folder), organism="insecure", prompts=str(prompts))
    job = jobs.start(arguments(SEPARATION, settings), "made for a test").id
    app.session_state[SLOT] = job
    run(app)
    # it may be over before the page is drawn
    assert "made for a test" in html(app) or not jobs.find(job).live
    fresh = open_page()  # a reload
    assert "made for a test" in html(fresh) or not jobs.find(job).live
    wait_for(job)
    run(app)
    assert len(charts(app)) >= 3
    assert app.query_params["model"] == made.id
    assert SLOT not in app.session_state
    shown = charts(fresh)
    assert charts(run(fresh)) == shown  # the other session goes on looking at what it chose


def test_a_failed_job_is_one_sentence(assets):
    app = open_page()
    app.session_state[SLOT] = jobs.start(["separate", "--model", "no-such"], "made for a test").id
    wait_for(app.session_state[SLOT])
    run(app)
    assert "is not a known model" in app.error[0].value.replace("\\", "")


def test_a_waiting_job_can_be_stopped(assets, made):
    made.install()
    found = jobs.start(["separate", "--model", str(made.folder), "--prompts", "/dev/null"], "made for a test")
    app = open_page()
    keys = [button.key for button in app.button]
    if f"stop-{found.id}" in keys:  # it may have ended already
        app.button(key=f"stop-{found.id}").click()
        run(app)
    wait_for(found.id)
    assert not any("stop-" in str(button.key) for button in run(app).button)


# directions in and out


def test_a_direction_goes_out_as_a_control_vector_and_leads_to_steer(made):
    from core.directions import library
    from core.directions.formats import read_foreign
    from core.models.catalog import resolve

    made.install()
    spec = resolve(str(made.folder))
    (card,) = library.cards(spec.id)
    target = paths.cache() / "out.gguf"
    target.write_bytes(gguf(card, spec))
    assert 0 not in read_foreign(target).vectors
    assert steer_query("smollm2-135m", card.id) == {"direction": card.id}
    assert steer_query(spec.id, card.id) == {"model": spec.id, "direction": card.id}


def test_the_shipped_directions_can_be_taken_out_and_steered_with():
    from core.directions import library

    shown = {card.id for card in library.cards("smollm2-135m")}
    found = [query for label, query in links(open_page()) if "Steer with it" in label]
    assert shown
    assert found[0].removeprefix("direction=") in shown
