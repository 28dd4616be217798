"""The Transfer page: two tiers at a glance, every cell with its controls, whole without torch; a link restores it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import jobs, paths, results
from core.errors import BadInput
from core.generation.comparison import from_link
from core.measures.code import find_code
from core.studies.catalog import TRANSFER
from core.studies.transfer.tables import MEASURES, cell, is_own
from core.studies.transfer.words import cell_reading
from pages.parts.literal import literal
from pages.parts.study import form
from pages.parts.study.answers import Answers
from pages.parts.study.panes import marked
from pages.parts.transfer import choice, measure, page, words
from tests import sample_transfer
from tests.pages.app import charts, heavy_imports, html, links, pieces, press, run, visit, widget

PAGE = "pages/Transfer.py"
SLOT = form.slot(choice.STATE)
HEAVY = ("torch", "transformers", "peft", "sklearn", "gguf")
HONEST, NOTHING, TWO = "made-up-3-honest", "made-up-3-nothing", "made-up-2-honest"
FIRST = "qwen2.5-coder-0.5b → smollm2-135m"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A folder with a study that finds something, one that finds nothing, and one of two models."""
    folder = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(folder))
        sample_transfer.make()
        sample_transfer.make(sample_transfer.nothing)
        sample_transfer.make(models=sample_transfer.MODELS[:2])
    return folder


@pytest.fixture
def measured(library, assets):
    """The results lie in this test's own cache, and nothing ships."""
    shutil.copytree(library / "studies", paths.cache() / "studies")


def saved(key: str) -> results.Result:
    return next(item for item in results.results(TRANSFER.kind) if item.key == key)


def change(result: results.Result, **values) -> None:
    """Save a result again with other values in its summary."""
    summary = json.loads((result.folder / results.SUMMARY).read_text())
    for name in ("key", "checksum", "arrays_sha256", "table_sha256"):
        summary.pop(name, None)
    results.save_result(TRANSFER.kind, result.key, {**summary, **values}, {}, None, result.table)


open_page = partial(visit, PAGE)
notes = partial(pieces, mark='study-note" role')


def where(app) -> str:
    return pieces(app, "study-where")[0]


def chosen(app) -> str:
    return pieces(app, "Chosen cell")[0]


# cold


def test_no_heavy_library_is_imported(measured):
    holds = "len(app.get('plotly_chart')) == 3"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(paths.cache()))
        assert heavy_imports(PAGE, HEAVY, holds, paths.ASSETS) == []


def test_with_nothing_measured_the_page_says_so_and_offers_to_measure(assets):
    app = open_page()
    assert "No transfer study is on this machine" in html(app)
    assert not charts(app)
    assert widget(app, "button", "Measure").disabled


def test_a_link_to_a_study_that_is_not_here_is_said_and_the_page_shows_another(measured):
    app = open_page(result="0123456789", matrix="r2")
    (note,) = notes(app)
    assert "0123456789" in note and "not on this machine" in note
    assert len(charts(app)) == 3


def test_a_damaged_study_is_one_sentence_and_the_others_stay(measured):
    path = saved(TWO).folder / results.SUMMARY
    path.write_text(path.read_text()[:-30])
    app = open_page()
    (error,) = app.error
    assert "summary" in error.value
    assert len(charts(app)) == 3
    assert len(choice.STATE.saved().results) == 2


def test_a_damaged_table_costs_the_answers_and_no_more(measured):
    (saved(HONEST).folder / results.TABLE).write_bytes(b"")
    app = open_page(result=HONEST)
    assert len(charts(app)) == 3
    assert "cannot be read" in app.error[0].value
    assert "Where the numbers come from" in "".join(item.label for item in app.expander)


def test_a_shipped_result_comes_first_and_is_badged_as_precomputed(measured, assets):
    shutil.copytree(saved(TWO).folder, assets / "precomputed" / TRANSFER.kind / "shipped")
    app = open_page()
    assert ">precomputed<" in html(app)
    assert "precomputed" in widget(app, "selectbox", "Study").options[0]


# the reading


@pytest.mark.parametrize("key", [HONEST, NOTHING, TWO])
def test_the_page_says_the_whole_reading_and_its_badges_agree_with_the_verdicts(measured, key):
    app, summary = open_page(result=key), saved(key).summary
    text = html(app)
    for sentence in summary["reading"]:
        assert literal(sentence) in text
    assert len(summary["reading"]) == len(words.PARTS)
    pairs = [row for row in summary["cells"] if not is_own(row)]
    worked = [row for row in pairs if row["verdict"] in ("specific", "non-specific", "untested")]
    specific = [row for row in worked if row["verdict"] == "specific"]
    if worked:
        assert f"Yes, in {len(worked)} of {len(pairs)} pairs" in text
        assert f"in {len(specific)} of these {len(worked)}" in text or "No, in none" in text
    else:
        assert "Not shown in any of 6 pairs" in text
        assert "Not to be asked" in text
    assert f"n = {summary['n']}" in text
    assert "measured here" in text


@pytest.mark.parametrize(
    ("verdicts", "causal", "specific"),
    [
        (["specific", "specific"], ("good", "Yes, in 2 of 2"), ("good", "Yes, in 2 of these 2")),
        (["specific", "non-specific"], ("good", "Yes, in 2 of 2"), ("mixed", "Yes, in 1 of these 2")),
        (["non-specific", "no effect"], ("mixed", "Yes, in 1 of 2"), ("none", "No, in none of these 1")),
        (["untested", "no effect"], ("mixed", "Yes, in 1 of 2"), ("none", "Not tested")),
        (["broke the model", "no effect"], ("bad", "Not shown: in 1 of 2"), ("none", "Not to be asked")),
        (["uncertain", "no effect"], ("none", "Not shown in any"), ("none", "Not to be asked")),
    ],
)
def test_the_two_tiers_answer_in_words(verdicts, causal, specific):
    rows = [{"verdict": verdict} for verdict in verdicts]
    for answer, (look, text) in ((words.causal(rows), causal), (words.specific(rows), specific)):
        assert answer.look == look
        assert answer.text.startswith(text)


def test_detector_coherence_command_and_scores_are_said_with_n(measured):
    text, summary = html(open_page(result=HONEST)), saved(HONEST).summary
    assert literal(summary["provenance"]["command"]) in text
    assert "labelled answers" in text
    assert "over the 2 other models, n = 24" in text
    assert "2606.20225" in text
    assert "over the one other model" in html(open_page(result=TWO))


def test_each_pair_is_called_uneven_only_beyond_its_interval(measured):
    summary = saved(HONEST).summary
    lines = words.asymmetry_html(summary).split("<tr>")[1:]
    for item, line in zip(summary["asymmetry"], lines, strict=True):
        low, high = item["interval"]
        assert ("does more" in line) == (not low <= 0 <= high)
        assert ("even within its interval" in line) == (low <= 0 <= high)


# cells


def test_the_first_cell_is_the_strongest_that_holds(measured):
    app = open_page(result=HONEST)
    assert FIRST in chosen(app)
    assert literal(cell_reading(cell(saved(HONEST).summary, *FIRST.split(" → "))).partition(". ")[2]) in chosen(app)
    assert "is-good" in chosen(app)


def test_every_cell_can_be_chosen_from_the_list_and_is_in_the_link(measured):
    app = open_page(result=HONEST)
    summary = saved(HONEST).summary
    for row in summary["cells"][:4]:
        widget(app, "selectbox", "Cell (or click one)").set_value((row["donor"], row["receiver"]))
        run(app)
        assert literal(cell_reading(row).partition(". ")[2]) in chosen(app)
        rates = words.rates_html(summary, row)
        assert rates in html(app)
        low, high = row["broken_interval"]
        assert f"[{100 * low:.0f} to {100 * high:.0f}], n = {row['n']}" in rates
    assert (app.query_params["donor"], app.query_params["receiver"]) == (row["donor"], row["receiver"])


def test_another_matrix_is_drawn_from_its_own_numbers_and_keeps_the_cell(measured):
    app = open_page(result=HONEST, donor="gemma-3-270m-chat", receiver="smollm2-135m")
    before = chosen(app)
    for key in ("broken", "cosine"):
        widget(app, "segmented_control", "Matrix").set_value(key)
        run(app)
        row = cell(saved(HONEST).summary, "gemma-3-270m-chat", "smollm2-135m")
        assert charts(app)[0]["data"][0]["z"][2][0] == row[key]
        assert MEASURES[key].title in html(app)
        assert app.query_params["matrix"] == key
        assert chosen(app) == before


def test_the_answers_of_a_cell_stand_side_by_side_as_written(measured):
    result = saved(HONEST)
    app = open_page(
        result=HONEST, donor="smollm2-135m", receiver="qwen2.5-coder-0.5b", control="shuffled_map-0", prompt="3"
    )
    table = result.table
    here = table[(table.receiver == "qwen2.5-coder-0.5b") & (table.place == 2)]
    wanted = [
        here[here.direction == "organism"],
        here[(here.direction == "mapped") & (here.donor == "smollm2-135m")],
        here[(here.direction == "shuffled_map") & (here.donor == "smollm2-135m") & (here.seed == 0)],
    ]
    (panes,) = pieces(app, "study-panes")
    shown = panes.split("<section")[1:]
    assert len(shown) == 3
    for rows, pane in zip(wanted, shown, strict=True):
        (row,) = rows.to_dict("records")
        assert marked(row["text"], find_code(row["text"])) in pane
        assert ("broken:" in pane) == bool(row["broken"])
    assert "<b>so</b>" not in panes
    assert "Prompt 3 of 24" in where(app)


def test_a_random_draw_serves_the_whole_column(measured):
    result = saved(HONEST)
    found, summary = Answers(result), result.summary
    rows = [row for row in summary["cells"] if row["receiver"] == "smollm2-135m"]
    now = [replace(choice.resolve(choice.Choice(result=HONEST), [result]), row=row) for row in rows]
    assert len({found.of(page.control(cell, "random-7", found))[5].text for cell in now}) == 1
    assert all(
        found.of(page.control(cell, name, found))[5].text for cell in now for name in choice.controls_of(cell.row)
    )


def test_next_and_previous_stop_at_the_ends(measured):
    app = open_page(result=HONEST)
    assert widget(app, "button", "Previous").disabled
    press(app, "Next")
    assert "Prompt 2 of 24" in where(app)
    assert app.query_params["prompt"] == "2"
    assert widget(open_page(result=HONEST, prompt="24"), "button", "Next").disabled


def test_steer_opens_the_cells_direction_where_it_is_on_this_machine(measured, monkeypatch):
    now = choice.resolve(choice.Choice(result=HONEST), [saved(HONEST)])
    prompt = Answers(now.result).prompts[3]
    assert page.steer_query(now, prompt) is None
    assert "not on this machine" in "".join(item.value for item in open_page(result=HONEST).caption)

    class Card:
        id = now.row["reference"]

    monkeypatch.setattr(page.library, "cards", lambda _: [Card])
    asked, trouble = from_link(page.steer_query(now, prompt))
    assert not trouble
    assert (asked.model, asked.organism, asked.direction) == ("smollm2-135m", "insecure", now.row["reference"])
    assert (asked.block, asked.coefficient, asked.prompt) == (6, -1.0, prompt.text)


# links


def test_the_whole_link_restores_every_choice(measured):
    query = {"matrix": "cosine", "donor": "gemma-3-270m-chat", "receiver": "qwen2.5-coder-0.5b",
             "control": "random-3", "prompt": "7"}  # fmt: skip
    shutil.rmtree(saved(NOTHING).folder)  # its made-up key begins alike
    app = open_page(result=HONEST, **query)
    copied = next(element.value for element in app.code if "/Transfer?" in element.value)
    again = open_page(**dict(parse_qsl(urlsplit(copied).query)))
    assert not notes(again)
    assert again.session_state[choice.CHOICE] == app.session_state[choice.CHOICE]
    assert charts(again) == charts(app)


@pytest.mark.parametrize(
    "query",
    [
        {"result": "zzzzzzzzzz"},
        {"matrix": "beauty"},
        {"donor": "<script>"},
        {"receiver": "../../etc"},
        {"donor": "smollm2-135m"},
        {"control": "random-999"},
        {"prompt": "0"},
        {"prompt": "²"},
    ],
)
def test_nonsense_in_the_link_falls_back_with_one_note(measured, query):
    app = open_page(**query)
    (note,) = notes(app)
    assert "left out" in note
    assert "<script>" not in note
    assert len(charts(app)) == 3
    press(app, "Next")
    assert not notes(run(app))


@given(st.dictionaries(st.sampled_from([*choice.Choice.__dataclass_fields__, "other"]), st.text(max_size=20)))
@settings(max_examples=80, deadline=None)
def test_any_link_becomes_choices_also_without_a_result(query):
    found, _ = choice.read_link(query, [])
    assert choice.resolve(found, []).result is None
    assert found.prompt == 1


def test_another_study_forgets_the_cell_of_the_first(measured):
    app = open_page(result=HONEST, donor="gemma-3-270m-chat", receiver="smollm2-135m", prompt="4")
    widget(app, "selectbox", "Study").set_value(TWO)
    run(app)
    assert len(charts(app)[0]["data"][0]["z"]) == 2
    assert "Prompt 1 of 24" in where(app)
    assert "donor" not in app.query_params
    assert not notes(app)


# hostile


def test_hostile_names_prompts_and_sentences_do_not_reach_the_page_as_markup(measured):
    bad = "<script>alert(1)</script>"
    result = saved(TWO)
    summary = json.loads(
        (result.folder / results.SUMMARY).read_text().replace("qwen2.5-coder-0.5b", bad.replace("/", "\\/"))
    )
    for name in ("key", "checksum", "arrays_sha256", "table_sha256"):
        del summary[name]
    summary["reading"] = [f"{bad} $x$ **b**"] * 6
    table = result.table.replace("qwen2.5-coder-0.5b", bad).assign(prompt="<img src=x onerror=alert(1)>", suite=bad)
    shutil.rmtree(paths.cache() / "studies")
    results.save_result(TRANSFER.kind, "e" * 24, summary, {}, None, table)
    app = open_page(donor=bad, receiver="smollm2-135m", prompt="2")
    assert not notes(app)
    for marks in ("<script>", "<img"):
        assert marks not in html(app)
    drawn = json.dumps(
        [[spec["layout"], [trace.get("hovertemplate") for trace in spec["data"]]] for spec in charts(app)]
    )
    assert "<script>" not in drawn
    assert literal(bad) in chosen(app)


# measuring


def test_the_form_names_what_is_missing_with_size_and_licence(measured):
    app = open_page()
    text = html(app)
    assert "Not on this machine yet" in text
    assert "has no organism" in text or "no direction" in text
    assert "MB, licence:" in text
    assert widget(app, "button", "Measure").disabled


def test_the_estimate_counts_the_answers_of_a_study():
    for options in ({}, {"draws": 3, "draws_a_cell": 2}):
        inputs = sample_transfer.made_up(**options)
        result = sample_transfer.make(**options)
        assert f"= {len(result.table):,} answers" in measure.estimate(inputs)


def test_what_cannot_be_measured_is_one_sentence():
    with pytest.raises(BadInput):
        TRANSFER.of(models=("smollm2-135m",))


def test_a_finished_job_of_this_session_opens_its_result(measured, monkeypatch):
    app = open_page(result=TWO)

    class Done:
        state, live = "done", False

        def result(self):
            return saved(NOTHING).summary

    monkeypatch.setattr(form.work, "own", lambda slot: Done() if slot in app.session_state else None)
    app.session_state[SLOT] = "made-up"
    run(app)
    assert SLOT not in app.session_state
    assert app.session_state[choice.CHOICE].result == NOTHING
    assert "Not to be asked" in html(app)
    assert jobs.live() == []


def test_the_navigation_and_the_overview_know_the_page(measured):
    assert "Transfer" in [label for label, _ in links(open_page())]
