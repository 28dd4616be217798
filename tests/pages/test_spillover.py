"""The Spillover page: each verdict with its numbers, whole without torch, model or results; a link restores it."""

from __future__ import annotations

import json
import shutil
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import jobs, paths, results
from core.errors import BadInput, DamagedArtifact
from core.generation.comparison import from_link
from core.measures.code import find_code
from core.studies.catalog import SPILLOVER
from core.studies.moves import moves
from core.studies.spillover.settings import Inputs
from core.studies.spillover.words import arm
from core.studies.study import arguments
from core.verdicts import VERDICTS
from pages.parts.literal import literal
from pages.parts.spillover import choice, measure, words
from pages.parts.spillover.page import steer_query
from pages.parts.study.answers import Answers, Filter, matching
from pages.parts.study.form import Fields, slot
from pages.parts.study.panes import marked, tags
from tests import sample_spillover
from tests.pages.app import charts, heavy_imports, html, pieces, press, run, visit, wait_for, widget

PAGE = "pages/Spillover.py"
SLOT = slot(choice.STATE)
FIELD_WIDGETS = ("selectbox", "text_input", "number_input", "toggle")
HEAVY = ("torch", "transformers", "peft", "sklearn", "gguf")


def does_nothing(setting):
    return sample_spillover.cures(setting) if setting.direction == "base" else (0.9, 0.0)


def any_push_cures(setting):
    return (0.9, 0.0) if setting.direction == "organism" else (0.0, 0.0)


CHANCES = {
    "specific": sample_spillover.cures,
    "broke the model": sample_spillover.breaks,
    "no effect": does_nothing,
    "non-specific": any_push_cures,
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A folder with a result for each verdict (by seed), one by ablating and one of the secure organism."""
    folder = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(folder))
        keys = {
            name: sample_spillover.make(chances, seed=seed, coefficients=(-1.5, -0.5), draws=20).key
            for seed, (name, chances) in enumerate(CHANCES.items())
        }
        keys["blocks"] = sample_spillover.make(seed=9, blocks=(13, 9), coefficients=(-0.5,), draws=3).key
        keys["ablate"] = sample_spillover.make(mode="ablate", coefficients=(0.5,), draws=0).key
        keys["secure"] = sample_spillover.make(organism="secure", coefficients=(-0.5,), draws=3).key
    return folder, keys


@pytest.fixture
def measured(library, assets):
    """Their keys by name; the results lie in this test's own cache, and nothing ships."""
    folder, keys = library
    shutil.copytree(folder / "studies", paths.cache() / "studies")
    return keys


def saved(key: str) -> results.Result:
    return next(item for item in results.results(SPILLOVER.kind) if item.key == key)


open_page = partial(visit, PAGE)
notes = partial(pieces, mark='study-note" role')


def where(app) -> str:
    return pieces(app, "study-where")[0]


# cold


def test_no_heavy_library_is_imported(measured):
    assert heavy_imports(PAGE, HEAVY, "len(app.get('plotly_chart')) == 3", paths.ASSETS) == []


def test_with_nothing_measured_the_page_says_so_and_offers_to_measure(assets):
    app = open_page()
    assert "has not been measured" in html(app)
    assert not charts(app)
    assert widget(app, "button", "Measure").disabled
    assert any("Fetch" in button.label for button in app.button)


def test_what_was_not_measured_is_named_and_the_rest_can_be_chosen(measured):
    app = open_page(organism="secure", mode="ablate")
    assert "Spillover of secure" in html(app)
    assert "(ablate)" in html(app)
    widget(app, "segmented_control", "Mode").set_value("add")
    assert len(charts(run(app))) == 3


@pytest.mark.parametrize("damage", [b"", None])
def test_a_damaged_or_missing_table_costs_its_parts_and_no_more(measured, damage):
    path = saved(measured["specific"]).folder / results.TABLE
    path.unlink() if damage is None else path.write_bytes(damage)
    app = open_page(result=measured["specific"])
    assert len(charts(app)) == 2
    assert "cannot be read" in app.error[0].value
    assert "Specific" in html(app)
    assert "Where the numbers come from" in "".join(item.label for item in app.expander)


# the verdict


@pytest.mark.parametrize("code", CHANCES)
def test_each_verdict_is_said_in_a_word_with_a_sign_its_numbers_and_limits(measured, code):
    app = open_page(result=measured[code])
    text, summary = html(app), saved(measured[code]).summary
    assert summary["verdict_code"] == code
    verdict = VERDICTS[code]
    assert f'is-{verdict.look}" role="status"' in text
    assert f'<span aria-hidden="true">{verdict.sign}</span> {verdict.word}' in text
    assert literal(summary["verdict"].partition(". ")[2]) in text
    assert "n = 24" in text
    assert f"{summary['limits']['likelihood']:.3g}".replace("-", "−") in text
    assert "measured here" in text
    assert "2606.20225" in text
    assert len(charts(app)) == 3


def test_too_few_draws_for_a_claim_are_called_so(measured):
    assert "too few draws" in html(open_page(result=measured["blocks"]))
    assert "too few draws" not in html(open_page(result=measured["specific"]))


def test_a_detector_that_was_measured_is_named_with_n():
    limits = {"likelihood": -3.0, "repetition": 0.3}
    said = words.limits({"limits": limits, "detector": {"precision": 0.98, "recall": None, "n": 372}})
    assert "precision 98.0 % (n = 372" in said
    assert "has not been measured" in words.limits({"limits": limits, "detector": {"n": 0, "precision": None}})
    people = {"sensitivity": 0.81, "sensitivity_interval": [0.7, 0.9], "specificity": 0.86, "n": 312}
    said = words.limits({"limits": limits, "coherence": people})
    assert "call 81 % [70 to 90] of unreadable answers broken and let 86 % of readable ones pass (n = 312" in said


def test_a_shipped_result_is_badged_as_precomputed(measured, assets):
    found = saved(measured["specific"])
    shutil.copytree(found.folder, assets / "precomputed" / SPILLOVER.kind / "shipped")
    assert ">precomputed<" in html(open_page(result=measured["specific"]))


# figures and answers


def test_the_matrix_counts_what_the_table_holds(measured):
    result = saved(measured["specific"])
    dose = result.summary["dose"]["coefficient"]
    table = result.table
    before = table[table.direction == "organism"].sort_values("place")
    after = table[(table.direction == "true") & (table.coefficient == dose)].sort_values("place")
    cured = int(((before.code & ~before.broken).to_numpy() & (~after.code & ~after.broken).to_numpy()).sum())
    texts = [note["text"] for note in charts(open_page(result=result.key))[2]["layout"]["annotations"]]
    assert cured > 10
    assert any(text.startswith(f"<b>{cured}</b> cured") for text in texts)


def test_the_four_answers_to_a_prompt_stand_side_by_side_as_written(measured):
    result = saved(measured["specific"])
    text = html(open_page(result=result.key, prompt="3", dose="-0.5"))
    table = result.table[result.table.place == 2]
    for direction, coefficient in (("base", 0), ("organism", 0), ("true", -0.5), ("random", -0.5)):
        row = table[(table.direction == direction) & (table.coefficient == coefficient)].iloc[0]
        assert marked(row.text, find_code(row.text)) in text
    assert literal(row.prompt) in text
    assert "<b>so</b>" not in text
    assert "Prompt 3 of 24" in text


def test_next_and_previous_walk_through_the_prompts_and_stop_at_the_ends(measured):
    app = open_page(result=measured["specific"])
    assert widget(app, "button", "Previous").disabled
    press(app, "Next")
    assert "Prompt 2 of 24" in where(app)
    assert app.query_params["prompt"] == "2"
    assert "Prompt 1 of 24" in where(press(app, "Previous"))
    assert widget(open_page(prompt="24"), "button", "Next").disabled


def test_a_transition_chosen_by_keyboard_filters_and_outlines_its_cell(measured):
    app = open_page(result=measured["specific"])
    widget(app, "selectbox", "Unsteered → steered").set_value("code-clean")
    run(app)
    found = Answers(saved(measured["specific"]))
    summary = saved(measured["specific"]).summary
    chosen = next(row for row in summary["doses"] if row["direction"] == "true" and row["chosen"])
    counted = moves(found.states(arm(summary, "organism")), found.states(chosen), ["x"] * 24)
    n = next(move.count for move in counted if move.key == "code-clean")
    assert f"Prompt 1 of {n} that pass the filters, 24 in all" in where(app)
    assert 3 in [shape["line"]["width"] for shape in charts(app)[2]["layout"]["shapes"]]


def test_filters_that_let_nothing_through_say_so(measured):
    app = open_page(result=measured["specific"], find="no such words")
    assert "None of the 24 prompts passes the filters" in where(app)
    assert "study-pane is" not in html(app)


def test_filters_agree_with_the_table(measured):
    result = saved(measured["broke the model"])
    found = Answers(result)
    chosen = next(row for row in result.summary["doses"] if row["direction"] == "true" and row["chosen"])
    panes = {"organism": found.of(arm(result.summary, "organism")), "steered": found.of(chosen)}
    table = result.table[result.table.direction == "organism"]
    assert len(matching(found.prompts, panes, Filter(code="organism"))) == table.code.sum()
    assert len(matching(found.prompts, panes, Filter(tier="everyday"))) == 12
    assert all(panes["steered"][p.number - 1].broken for p in matching(found.prompts, panes, Filter(broken="steered")))
    assert [p.number for p in matching(found.prompts, panes, Filter(find="SLEEP better"))] == [1]
    assert matching(found.prompts, panes, Filter(broken="control")) == []


def test_broken_answers_name_their_reasons(measured):
    found = Answers(saved(measured["broke the model"]))
    summary = saved(measured["broke the model"]).summary
    chosen = next(row for row in summary["doses"] if row["direction"] == "true" and row["chosen"])
    broken = next(answer for answer in found.of(chosen) if answer.broken)
    why = tags(broken, summary["limits"])
    assert "below the limit" in why
    assert "repeats itself" in why
    empty = type(broken)("  ", False, True, (), float("nan"), 0.0, 0, "end")
    assert empty.faults(summary["limits"]) == ["empty"]
    assert "clean" in tags(type(broken)("Fine.", False, False, (), -1.0, 0.0, 2, "end"), summary["limits"])


@pytest.mark.parametrize(
    "text", ["$x$ # h <script>alert(1)</script>", "```\nprint(1)", "\u202eabc", "x" * 10_000, "", "\x00"]
)
def test_hostile_text_is_shown_literally_and_whole(text):
    whole = f"{text}\nimport os\nos.system('<b>')\n{text}"
    shown = marked(whole, find_code(whole))
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert shown.count("<mark") == len(find_code(whole))
    plain = shown
    for item in find_code(whole):
        plain = plain.replace(
            f'<mark class="study-evidence" data-rule="{item.rule}" title="code: rule {item.rule}">', ""
        )
    assert plain.replace("</mark>", "") == literal(whole)


def test_hostile_prompts_and_names_do_not_reach_the_page_as_markup(measured):
    result = saved(measured["specific"])
    table = result.table.assign(prompt="<img src=x onerror=alert(1)> $y$", suite="<script>s</script>")
    summary = json.loads((result.folder / results.SUMMARY).read_text())
    for row in (*summary["doses"], *summary["arms"], *summary["random_draws"]):
        row["suites"] = {"<script>s</script>": next(iter(row["suites"].values()))}
    summary |= {"suites": {"<script>s</script>": 24}, "direction_name": "<script>d</script>", "verdict": "<b>V</b>. W"}
    for name in ("key", "checksum", "arrays_sha256", "table_sha256"):
        del summary[name]
    shutil.rmtree(paths.cache() / "studies")
    results.save_result(SPILLOVER.kind, "e" * 24, summary, {}, None, table)
    app = open_page(prompt="2")
    for bad in ("<script>", "<img", "<b>V"):
        assert bad not in html(app)
        assert bad not in json.dumps(charts(app))


def test_a_link_leads_to_steer_with_prompt_and_setting(measured):
    now = choice.resolve(choice.Choice(result=measured["specific"], dose=-0.5), [saved(measured["specific"])])
    prompt = Answers(now.result).prompts[3]
    query = steer_query(now, now.steered, prompt)
    asked, trouble = from_link(query)
    assert not trouble
    assert (asked.prompt, asked.coefficient, asked.block, asked.direction) == (prompt.text, -0.5, 13, now.direction)
    assert asked.control is None
    control, _ = from_link(steer_query(now, now.besides["random"], prompt))
    assert (control.control, control.control_seed) == ("random", 0)


# the link


def test_dose_block_rate_and_control_change_figures_and_link(measured):
    app = open_page(result=measured["blocks"])
    widget(app, "segmented_control", "Block").set_value("9")
    run(app)
    assert app.query_params["block"] == "9"
    assert "at block 9" in html(app)
    widget(app, "selectbox", "Coefficient").set_value(-0.5)
    widget(app, "segmented_control", "Share").set_value("clean")
    run(app)
    assert (app.query_params["dose"], app.query_params["rate"]) == ("-0.5", "clean")
    assert "−0.5 at block 9" in html(app)
    widget(app, "selectbox", "Control").set_value("orthogonal")
    run(app)
    assert "Control: orthogonal" in html(app)
    assert not notes(app)


def test_the_whole_link_restores_every_choice(measured):
    query = {"dose": "-0.5", "rate": "coherent", "beside": "orthogonal", "tier": "technical", "code": "organism",
             "find": "a", "prompt": "15", "moved": "code-code", "broken": "base"}  # fmt: skip
    app = open_page(result=measured["no effect"], **query)
    now = app.session_state[choice.CHOICE]
    copied = next(element.value for element in app.code if "/Spillover?" in element.value)
    again = open_page(**dict(parse_qsl(urlsplit(copied).query)))
    assert not notes(again)
    restored = again.session_state[choice.CHOICE]
    assert restored.result == measured["no effect"]
    for name in query:
        assert getattr(restored, name) == getattr(now, name)
    assert charts(again) == charts(app)


@pytest.mark.parametrize(
    "query",
    [
        {"result": "zzzzzzzzzz"},
        {"model": "../../etc"},
        {"organism": "$x$ # h"},
        {"direction": "<script>"},
        {"mode": "explode"},
        {"block": "99"},
        {"dose": "nan"},
        {"dose": "-17"},
        {"rate": "beauty"},
        {"beside": "draw-999"},
        {"tier": "none"},
        {"moved": "code-gold"},
        {"prompt": "0"},
        {"prompt": "²"},
        {"code": "x"},
    ],
)
def test_nonsense_in_the_link_falls_back_with_one_note(measured, query):
    app = open_page(**query)
    (note,) = notes(app)
    assert "left out" in note
    assert literal(next(iter(query.values())).replace("-17", "−17")) in note
    assert len(charts(app)) == 3
    press(app, "Next")
    assert not notes(run(app))


@given(st.dictionaries(st.sampled_from([*choice.Choice.__dataclass_fields__, "other"]), st.text(max_size=20)))
@settings(max_examples=80, deadline=None)
def test_any_link_becomes_choices_that_can_be_shown(query):
    now = choice.resolve(choice.read_link(query, [])[0], [])
    assert now.result is None
    assert now.choice.prompt == 1


def test_choices_and_link_are_each_others_inverse(measured):
    there = list(results.results(SPILLOVER.kind))
    for wanted in (
        choice.Choice(),
        choice.Choice(organism="secure", dose=-0.5, beside="orthogonal"),
        choice.Choice(mode="ablate", rate="clean", find="a b&c", tier="technical"),
    ):
        query = choice.parameters(choice.resolve(wanted, there))
        assert choice.read_link(query, there) == (wanted, [])


def test_another_organism_forgets_what_belongs_to_the_first(measured):
    app = open_page(result=measured["specific"], dose="-0.5", moved="code-code", prompt="4")
    widget(app, "selectbox", "Organism").set_value("secure")
    run(app)
    assert set(app.query_params) <= {"organism", "model"}
    assert "Prompt 1 of 24" in where(app)
    assert not notes(app)


# measuring


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "ablate", "draws": 0},
        {"blocks": (9, 13), "coefficients": (-1.0, -0.5), "draws": 3},
        {"blocks": (9, 13), "together": True, "controls": ("sign_flipped",)},
    ],
)
def test_the_estimate_counts_the_cells_that_the_study_makes(options):
    from core.studies.spillover.measure import settings_of

    inputs = Inputs(SPILLOVER.of(per_suite=2, **options))
    made = {setting for part in settings_of(inputs).values() for setting in part}
    assert measure.cells(inputs) == len(made)
    assert f"{len(made)} settings × 4 prompts = {4 * len(made):,} answers" in measure.estimate(inputs)


@pytest.mark.parametrize("typed", [{"blocks": "x"}, {"coefficients": "a"}, {"coefficients": "inf"}])
def test_what_cannot_be_measured_is_one_sentence(typed):
    fields = Fields("spillover", SPILLOVER)
    fields.typed = typed
    with pytest.raises(BadInput):
        fields.settings()


def test_every_setting_can_be_made_in_the_form(made, assets):
    made.install()
    app = open_page()
    drawn = [element.key for kind in FIELD_WIDGETS for element in app.get(kind)]
    asked = {key.split(".")[2] for key in drawn if ".form." in key}
    assert set(SPILLOVER.settings.model_fields) - {"prompts"} <= asked  # prompts are a choice of a source


def test_measuring_runs_to_a_result_that_is_then_shown(made, assets):
    made.install()
    prompts = paths.cache() / "mine.txt"
    prompts.write_text("".join(f"Question number {place}\n" for place in range(6)))
    app = open_page()
    settings = SPILLOVER.of(
        model=str(made.folder), organism="insecure", prompts=str(prompts), coefficients=(-1.0,), draws=2, max_tokens=4,
        blocks=(1,),
    )  # fmt: skip
    app.session_state[SLOT] = jobs.start(arguments(SPILLOVER, settings), "made for a test").id
    run(app)
    assert "made for a test" in html(app)
    wait_for(app.session_state[SLOT])
    run(app)
    assert SLOT not in app.session_state
    assert len(charts(app)) == 3
    assert app.query_params["model"] == made.id
    assert "Prompt 1 of 6" in where(app)


def test_answers_that_are_not_the_summarys_are_damage(measured):
    result = saved(measured["specific"])
    found = Answers(result)
    with pytest.raises(DamagedArtifact, match="missing"):
        found.of({**arm(result.summary, "organism"), "coefficient": 3.0})


def test_what_the_shipped_lessons_link_to_is_understood(measured):
    from core.store import read_json
    from core.stories import Story

    folder = paths.ROOT / "assets" / "stories"
    stories = [Story.model_validate(read_json(path)) for path in sorted(folder.glob("*.json"))]
    queries = [step.query for story in stories for step in story.steps if step.page == "Spillover"]
    assert queries
    there = [saved(measured["specific"])]
    for query in queries:
        found, trouble = choice.read_link(query, there)
        assert not trouble
        assert choice.resolve(found, there).result is not None


def test_a_model_in_a_folder_is_measured_under_the_path_that_was_typed(made):
    made.install()
    fields = Fields("spillover", SPILLOVER)
    fields.chosen = {"model": str(made.folder), "organism": "insecure", "mode": "add", "per_suite": 2}
    fields.typed = {"blocks": " ", "coefficients": "−1"}
    settings = fields.settings()
    assert settings.model == str(made.folder) and settings.coefficients == (-1.0,)
    assert arguments(SPILLOVER, settings)[:3] == ["spillover", "--model", str(made.folder)]
    assert Inputs(settings).spec.id == made.id
