"""Scores are points with both intervals, and their names stand where they meet no other."""

from __future__ import annotations

import pytest

from core.figures.scores import Score, scores


def score(name="a", across=-0.3, up=0.1):
    return Score(name, across, up, ((across - 0.1, across + 0.2), (up - 0.05, up + 0.05)), f"told {name}")


def test_a_point_has_both_intervals_in_points_and_a_name_that_is_no_markup():
    (trace,) = scores([score("<b>a")], "across", "up").data
    assert (trace.x[0], trace.y[0]) == (-30, 10)
    assert trace.x[0] + trace.error_x.array[0] == pytest.approx(-10)
    assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(-40)
    assert trace.y[0] - trace.error_y.arrayminus[0] == pytest.approx(5)
    assert trace.text[0] == "&lt;b&gt;a"


def test_both_axes_are_alike_and_hold_every_interval():
    layout = scores([score(), score("b", 0.6, -0.4)], "across", "up").layout
    assert layout.xaxis.range == layout.yaxis.range
    assert layout.xaxis.range[0] < -45 < 80 < layout.xaxis.range[1]
    assert layout.shapes[0].x0 == layout.shapes[0].y0 == layout.xaxis.range[0]


def test_names_of_points_that_meet_stand_in_different_corners():
    found = scores([score("a"), score("b", -0.29, 0.11)], "across", "up").data
    assert len({trace.textposition for trace in found}) == 2
    assert len({trace.marker.symbol for trace in found}) == 2


def test_an_unknown_interval_has_no_bar():
    (trace,) = scores([Score("a", -0.3, 0.1, (None, (None, None)), "")], "across", "up").data
    assert (trace.error_x.array, trace.error_y.array) == (None, None)
