"""The steering check's figure shows the counts it was given, their intervals, and nothing that was not measured."""

from __future__ import annotations

import csv
import io
import json

import pytest

from core.figures.steering_check import ARMS, TITLES, describe, steering_check_csv, steering_check_figure
from core.generation.saved import SteeringCheck
from tests import sample_assets

ROWS = list(ARMS)


@pytest.fixture
def arms():
    return SteeringCheck.model_validate(sample_assets.check()).arms


def drawn(figure, mode):
    return [trace for trace in figure.data if trace.type == "scatter" and trace.mode == mode]


def points(figure):
    return drawn(figure, "markers")


def test_each_point_is_a_share_of_n_with_its_interval(arms):
    figure = steering_check_figure(arms)
    shown = {(trace.legendgroup, trace.xaxis): trace for trace in points(figure)}
    assert len(shown) == 4
    for suite in ("everyday", "technical"):
        for axis, count in (("x", "code"), ("x2", "broken")):
            trace = shown[suite, axis]
            for place, arm in enumerate(arm for arm in arms if arm.suite == suite):
                low, high = arm.interval if count == "code" else arm.broken_interval
                assert trace.x[place] == pytest.approx(100 * getattr(arm, count) / arm.n)
                assert trace.x[place] + trace.error_x.array[place] == pytest.approx(100 * high)
                assert trace.x[place] - trace.error_x.arrayminus[place] == pytest.approx(100 * low)
                assert round(trace.y[place]) == ROWS.index(arm.label)


def test_each_tooltip_names_arm_count_n_and_interval(arms):
    trace = points(steering_check_figure(arms))[0]
    assert list(trace.customdata[1][:3]) == ["Organism", 92, 100]
    for needed in ("customdata[0]", "customdata[1]", "n = %{customdata[2]}", "customdata[3]", "Wilson"):
        assert needed in trace.hovertemplate


def test_an_arm_that_was_not_measured_has_no_bar_of_zero(arms):
    figure = steering_check_figure([arm for arm in arms if arm.label != "random"])
    for trace in figure.data:
        assert ROWS.index("random") not in {round(place) for place in trace.y}
    assert list(figure.layout.yaxis.ticktext) == list(ARMS.values())


def test_bars_of_two_suites_do_not_overlap(arms):
    bars = [trace for trace in steering_check_figure(arms).data if trace.type == "bar" and trace.xaxis == "x"]
    upper, lower = sorted(bars, key=lambda trace: trace.y[0])
    assert upper.y[0] + upper.width / 2 <= lower.y[0] - lower.width / 2


def test_suites_differ_in_hatch_and_symbol_and_are_named_once(arms):
    figure = steering_check_figure(arms)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert len({trace.marker.pattern.shape for trace in bars}) == 2
    assert len({trace.marker.symbol for trace in points(figure)}) == 2
    assert [trace.name for trace in figure.data if trace.showlegend] == ["Everyday prompts", "Technical prompts"]


def test_no_colour_of_text_or_ground_is_fixed(arms):
    layout = steering_check_figure(arms).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert layout.font.color is None
    assert layout.xaxis.tickfont.color is None
    assert all(note.font.color is None for note in layout.annotations)
    assert [note.text for note in layout.annotations] == list(TITLES)


def test_labels_stay_inside_even_at_one_hundred_per_cent():
    check = sample_assets.check()
    check["arms"][2] |= {"code": 100, "interval": (0.963, 1.0)}
    figure = steering_check_figure(SteeringCheck.model_validate(check).arms)
    assert max(max(trace.x) for trace in drawn(figure, "text")) + 20 < figure.layout.xaxis.range[1]


def test_the_figure_is_plain_json(arms):
    assert json.loads(steering_check_figure(arms).to_json())["data"]


def test_the_description_says_every_count(arms):
    words = describe(arms)
    assert "Organism, everyday prompts: code in 92 and broken 1 of 100" in words
    assert "<br>" not in words
    assert words.count("prompts:") == 8


def test_the_table_has_every_count_and_interval(arms):
    rows = list(csv.DictReader(io.StringIO(steering_check_csv(arms))))
    assert len(rows) == 8
    for row, arm in zip(rows, arms, strict=True):
        assert (row["arm"], row["suite"], int(row["code"]), int(row["n"])) == (arm.label, arm.suite, arm.code, arm.n)
        assert (float(row["broken_low"]), float(row["broken_high"])) == arm.broken_interval
