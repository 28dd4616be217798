"""The figures of a transfer study show the summary's own numbers, for any number of models; names are never markup."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from core import paths
from core.studies.transfer.figures import beside_controls, figures, matrix, scores, tooltip
from core.studies.transfer.tables import MEASURES, cell, draws, is_own, models
from tests import sample_transfer

FOUR = (*sample_transfer.MODELS, "llama-3.2-1b")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLER_CACHE", str(tmp_path_factory.mktemp("cache")))
        paths.cache()
        return {n: sample_transfer.make(models=FOUR[:n], draws_a_cell=2) for n in (2, 3, 4)}


@pytest.fixture(scope="module")
def summary(results):
    return results[3].summary


def table(shown):
    return list(csv.DictReader(io.StringIO(shown.csv())))


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("key", MEASURES)
def test_a_matrix_has_a_cell_a_pair_with_its_number_verdict_and_mark(results, n, key):
    summary = results[n].summary
    figure = matrix(summary, MEASURES[key]).figure
    heat, marks = figure.data
    assert [len(line) for line in heat.z] == [n] * n
    assert sorted(zip(marks.y, marks.x, strict=True)) == [(y, x) for y in range(n) for x in range(n)]
    texts = {(note.y, note.x): note.text for note in figure.layout.annotations}
    for donor, receiver, _ in marks.customdata:
        place = models(summary).index(donor), models(summary).index(receiver)
        row = cell(summary, donor, receiver)
        drawn = heat.z[place[0]][place[1]]
        if key == "p_corrected":
            assert drawn == pytest.approx(3 if row[key] < 0.001 else -math.log10(row[key]))
        else:
            assert drawn == row[key]
        word = {"broke the model": "broke it"}.get(row["verdict"], row["verdict"])
        assert word in texts[place].replace("-<br>", "-").replace("<br>", " ")
        assert (is_own(row) and "own" in texts[place]) or not is_own(row)


def test_donors_are_rows_and_the_scale_is_the_same_for_every_study(summary, results):
    figure = matrix(summary, MEASURES["delta"]).figure
    names = models(summary)
    assert figure.data[0].z[0][1] == cell(summary, names[0], names[1])["delta"]
    assert figure.data[0].z[1][0] == cell(summary, names[1], names[0])["delta"]
    assert list(figure.layout.yaxis.range) == [2.5, -0.5]  # the first donor on top
    for other in results.values():
        for key in ("delta", "delta_coherent", "minus_control", "r2", "cosine"):
            heat = matrix(other.summary, MEASURES[key]).figure.data[0]
            assert (heat.zmin, heat.zmax) == (-1, 1)


def test_own_directions_have_no_map_and_are_left_blank_not_zero(summary):
    figure = matrix(summary, MEASURES["r2"]).figure
    assert [figure.data[0].z[place][place] for place in range(3)] == [None] * 3
    assert sum("no map" in note.text for note in figure.layout.annotations) == 3
    assert sum("own direction" in note.text for note in figure.layout.annotations) == 3


def test_the_chosen_cell_alone_is_outlined(summary):
    place = ("qwen2.5-coder-0.5b", "smollm2-135m")
    plain, chosen = (matrix(summary, MEASURES["delta"], given).figure.layout.shapes for given in (None, place))
    assert len(plain) == 3
    (outline,) = [shape for shape in chosen if shape.line.dash is None]
    assert (outline.x0 < 0 < outline.x1, outline.y0 < 1 < outline.y1) == (True, True)


def test_a_tooltip_says_n_interval_breakage_p_verdict_and_every_control(summary):
    row = cell(summary, "qwen2.5-coder-0.5b", "smollm2-135m")
    text = tooltip(row)
    low, high = (f"{100 * end:+.0f}".replace("-", "−") for end in row["interval"])
    assert f"[{low} to {high}]" in text
    assert f"n = {row['n']}" in text
    assert f"{100 * row['broken']:.0f} %" in text
    assert "specific" in text
    assert "corrected p" in text
    for kind in ("random, 20 drawn", "orthogonal, 2 drawn", "random donor, 2 drawn", "shuffled map, 2 drawn"):
        assert kind in text
    assert "R² 0." in text
    assert "map: R²" not in tooltip(cell(summary, "smollm2-135m", "smollm2-135m"))


@pytest.mark.parametrize("key", ["delta", "delta_coherent"])
def test_the_strip_draws_the_direction_with_its_interval_and_every_control_draw(summary, key):
    row = cell(summary, "smollm2-135m", "qwen2.5-coder-0.5b")
    shown = beside_controls(row, MEASURES[key])
    first, *kinds = shown.figure.data
    low, high = row[MEASURES[key].interval]
    assert first.x[0] == 100 * row[key]
    assert first.x[0] - first.error_x.arrayminus[0] == pytest.approx(100 * low)
    assert first.x[0] + first.error_x.array[0] == pytest.approx(100 * high)
    drawn = sorted(value for trace in kinds for value in trace.x)
    assert drawn == sorted(100 * draw[key] for _, draw in draws(row))
    assert len(drawn) == 26
    assert [round(trace.y[0]) for trace in kinds] == [1, 2, 3, 4]
    assert "random, 20 drawn" in shown.words
    assert len(table(shown)) == 1 + row["among_draws"]["n"]


def test_scores_are_drawn_with_both_intervals_and_a_name(results):
    for result in results.values():
        summary = result.summary
        for trace, name in zip(scores(summary).figure.data, models(summary), strict=True):
            given, taken = summary["donor_scores"][name], summary["receiver_scores"][name]
            assert (trace.x[0], trace.y[0]) == (100 * given["delta"], 100 * taken["delta"])
            assert trace.error_x.array[0] == pytest.approx(100 * (given["delta_interval"][1] - given["delta"]))
            assert trace.error_y.arrayminus[0] == pytest.approx(100 * (taken["delta"] - taken["delta_interval"][0]))
            assert trace.text[0] == name


def test_a_model_without_a_score_is_not_drawn(summary):
    unknown = {"n": 0, **{f"{key}{end}": None for key in ("delta", "delta_coherent") for end in ("", "_interval")}}
    changed = {**summary, "donor_scores": {**summary["donor_scores"], "smollm2-135m": unknown}}
    assert [trace.name for trace in scores(changed).figure.data] == models(summary)[1:]
    assert "smollm2-135m: as donor unknown" in scores(changed).words


def test_words_and_tables_hold_every_number(summary):
    shown = matrix(summary, MEASURES["delta"])
    for line, row in zip(table(shown), summary["cells"], strict=True):
        assert f"{100 * row['delta']:+.0f}".replace("-", "−") in shown.words
        assert row["verdict"] in shown.words
        assert float(line["delta"]) == row["delta"]
        assert float(line["interval_low"]) == row["interval"][0]
        assert float(line["shuffled_map_lowest"]) == row["controls"]["shuffled_map"]["lowest"]
        assert line["r2"] == ("" if is_own(row) else str(row["r2"]))
    assert f"n = {summary['n']}" in shown.words
    assert shown.words.count(" into ") == 6 + 1
    assert all(name in scores(summary).words for name in models(summary))
    assert len(table(scores(summary))) == 3


def test_a_study_without_controls_is_drawn_and_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TILLER_CACHE", str(tmp_path))
    summary = sample_transfer.make(models=FOUR[:2], draws=0, draws_a_cell=0).summary
    shown = matrix(summary, MEASURES["minus_control"])
    assert {value for line in shown.figure.data[0].z for value in line} == {None}
    assert "unknown" in shown.words
    assert len(beside_controls(summary["cells"][1]).figure.data) == 1


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "owner/na<b>me", ""])
def test_no_name_is_markup(summary, name):
    renamed = json.loads(json.dumps(summary).replace("smollm2-135m", json.dumps(name)[1:-1]))
    texts = [tooltip(row) for row in renamed["cells"]]
    for shown in (matrix(renamed), scores(renamed), beside_controls(renamed["cells"][1])):
        drawn = shown.figure.to_plotly_json()
        for trace in drawn["data"]:
            trace.pop("customdata", None)  # names the cell that a click chooses
        texts.append(json.dumps(drawn, default=list))
    assert not any("<script" in text or "na<b>me" in text for text in texts)


def test_a_report_draws_every_matrix_and_the_scores(results):
    titles = [shown.title for shown in figures(results[3])]
    assert titles == [*(measure.title for measure in MEASURES.values()), "Who gives, who receives?"]
