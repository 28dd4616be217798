"""The figures of a separation study show its rows and numbers, their intervals, and nothing else."""

from __future__ import annotations

import csv
import io
import json

import pytest

from core.studies.separation.figures import ARMS, cosines, figures, histogram, over_blocks, scatter
from core.studies.separation.rows import clouds, threshold
from core.studies.separation.tables import METRICS, shown_value
from core.studies.separation.words import reading_of_secure
from tests import sample_separation


@pytest.fixture
def result():
    return sample_separation.make()


def table(shown):
    return list(csv.DictReader(io.StringIO(shown.csv())))


def own(shown):
    return next(trace for trace in shown.figure.data if trace.name == "this direction")


def test_arms_differ_in_more_than_colour_and_the_third_is_an_outline(result):
    figure = histogram(result, 2).figure
    bars = [trace for trace in figure.data if trace.type == "bar"]
    lines = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "lines"]
    assert len({trace.marker.pattern.shape for trace in bars}) == len(bars) == 2
    assert [trace.name for trace in lines] == [f"secure (n = {sample_separation.PROMPTS})"]
    assert len({ARMS[arm].symbol for arm in ("base", "organism", "secure")}) == 3
    assert len(histogram(result, 2, others=False).figure.data) == 2


def test_a_suite_has_only_its_rows_in_figure_words_and_table(result):
    shown = histogram(result, 2, "technical")
    assert {line["suite"] for line in table(shown)} == {"technical"}
    assert f"{len(table(shown)) // 3} rows" in shown.words


def test_the_scatter_has_every_row_once_with_prompt_and_suite(result):
    shown = scatter(result, 1, "model", "content")
    assert [len(trace.x) for trace in shown.figure.data] == [sample_separation.PROMPTS] * 3
    assert shown.figure.data[0].customdata[1] == "everyday<br>Question 1?"
    first = clouds(result, "model", 1, "content")[0]
    lines = table(shown)
    assert len(lines) == 3 * sample_separation.PROMPTS
    along = float(next(value for name, value in lines[0].items() if name.startswith("model")))
    assert along == pytest.approx(first.x[0] - threshold(result, "model", 1), rel=1e-5)
    assert lines[0]["prompt"] == sample_separation.TAGS
    assert f"n = {sample_separation.PROMPTS}" in shown.words


def test_html_in_prompts_and_answers_is_escaped():
    result = sample_separation.make("response")
    shown = scatter(result, 1, "response", "model")
    text = shown.figure.to_json()
    assert "<script>" not in text
    assert "<b>bold" not in text
    assert "answer:" in shown.figure.data[0].customdata[0]
    assert table(shown)[0]["answer"]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_profile_has_each_blocks_number_and_interval(result, metric):
    line = own(over_blocks(result.summary, metric, 2))
    for place, row in enumerate(result.summary["blocks"]):
        assert line.y[place] == pytest.approx(metric.factor * row[metric.value])
        assert shown_value(row, metric)[1] in line.customdata[place]
    assert max(line.marker.size) == line.marker.size[2] > min(line.marker.size)


def test_only_accuracy_shows_nulls_and_ceiling(result):
    for key, metric in METRICS.items():
        names = " ".join(trace.name or "" for trace in over_blocks(result.summary, metric, 0).figure.data)
        for null in ("random", "shuffled", "probe"):
            assert (null in names) == (key == "accuracy")
        assert "secure" in names


def test_unknown_numbers_leave_gaps_and_are_called_unknown(result):
    row = result.summary["blocks"][1]
    row |= {"cohens_d": None, "cohens_d_interval": [None, None]}
    shown = over_blocks(result.summary, METRICS["d"], 1)
    assert own(shown).y[1] is None
    assert shown_value(row, METRICS["d"]) == ("unknown", "unknown")
    assert "unknown" in shown.words
    assert table(shown)[1]["cohens_d"] == ""


def test_cosines_are_centred_on_zero_and_show_every_pair(result):
    shown = cosines(result.summary, 1)
    low, high = shown.figure.layout.yaxis.range
    assert low == -high
    assert [trace.name for trace in shown.figure.data] == list(result.summary["cosines"])
    assert len({(trace.line.dash, trace.marker.symbol) for trace in shown.figure.data}) == len(shown.figure.data)
    assert "model · secure" in shown.words
    assert len(table(shown)) == sample_separation.BLOCKS


def test_no_secure_organism_leaves_the_control_out_everywhere(result):
    summary = {**result.summary, "secure": None}
    shown = over_blocks(summary, METRICS["accuracy"], 0)
    assert all("secure" not in (trace.name or "") for trace in shown.figure.data)
    assert "secure_own" not in table(shown)[0]
    assert reading_of_secure(summary, 0) is None


def test_the_table_over_blocks_has_every_number(result):
    shown = over_blocks(result.summary, METRICS["accuracy"], 3)
    assert "at the chosen block 3" in shown.words
    for line, row in zip(table(shown), result.summary["blocks"], strict=True):
        assert float(line["balanced_accuracy_low"]) == row["interval"][0]
        assert float(line["probe"]) == row["ceiling"]
        assert float(line["random_high"]) == row["random"][1]


@pytest.mark.parametrize("contrast", ["model", "content", "response"])
def test_no_colour_of_text_is_fixed_and_all_is_plain_json(contrast):
    result = sample_separation.make(contrast)
    drawn = [*figures(result), scatter(result, 1, contrast, "model")]
    assert len({shown.title for shown in drawn}) == len(drawn)
    for shown in drawn:
        assert json.loads(shown.figure.to_json())["data"]
        assert shown.figure.layout.font.color is None
        assert all(note.font.color is None for note in shown.figure.layout.annotations)
