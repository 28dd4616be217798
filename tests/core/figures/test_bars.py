"""Bars are shares with their intervals; what was not measured has no bar, and suites differ in more than colour."""

from __future__ import annotations

import pytest

from core.figures.bars import Bar, bars

ROWS = ["Base", "Organism", "Steered"]
CODE = [Bar(0, "everyday", 0.1, (0.05, 0.2), "told"), Bar(0, "technical", 0.3, (0.2, 0.4), ""),
        Bar(2, "everyday", 1.0, (0.96, 1.0), "")]  # fmt: skip


def test_each_point_is_a_share_with_its_interval_and_tooltip():
    data = bars(ROWS, [("Code", CODE), ("Broken", CODE)]).select_traces({"mode": "markers"})
    points = {(trace.legendgroup, trace.xaxis): trace for trace in data}
    assert len(points) == 4
    everyday = points["everyday", "x2"]
    assert list(everyday.x) == [10, 100]
    assert [round(place) for place in everyday.y] == [0, 2]
    assert everyday.x[0] + everyday.error_x.array[0] == pytest.approx(20)
    assert everyday.x[0] - everyday.error_x.arrayminus[0] == pytest.approx(5)
    assert everyday.customdata[0] == "told"


def test_a_row_without_a_bar_stays_empty_and_is_named():
    figure = bars(ROWS, [("Code", CODE)])
    assert all(round(place) != 1 for trace in figure.data for place in trace.y)
    assert list(figure.layout.yaxis.ticktext) == ROWS
    assert figure.layout.annotations[0].text == "Code"


def test_bars_of_two_suites_do_not_overlap_and_differ_in_more_than_colour():
    upper, lower = sorted(
        (trace for trace in bars(ROWS, [("", CODE)]).data if trace.type == "bar"), key=lambda t: t.y[0]
    )
    assert upper.y[0] + upper.width / 2 <= lower.y[0] - lower.width / 2
    assert upper.marker.pattern.shape != lower.marker.pattern.shape


def test_labels_stay_inside_even_at_one_hundred_per_cent():
    figure = bars(ROWS, [("Code", CODE)])
    texts = list(figure.select_traces({"mode": "text"}))
    assert max(max(trace.x) for trace in texts) + 20 < figure.layout.xaxis.range[1]
    assert texts[0].text[1] == "100 %"
