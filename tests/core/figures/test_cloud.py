"""Clouds show the rows they were given, each exactly once, against a labelled threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.figures.cloud import Cloud, bins, histogram, scatter
from core.figures.palette import BLUE, VERMILION, Look

BASE, ORGANISM = Look(BLUE, "", "circle"), Look(VERMILION, "/", "diamond")
values = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40)


def cloud(x, look=BASE, **more):
    return Cloud("base", look, np.array(x, dtype=float), **more)


@given(values, values)
@settings(max_examples=30, deadline=None)
def test_every_row_is_in_exactly_one_bar(first, second):
    found = [cloud(first, ORGANISM), cloud(second)]
    figure = histogram(found, 0.0, "along", 300)
    for trace, source in zip(figure.data, found, strict=True):
        assert int(trace.customdata[:, 2].sum()) == len(source)
        assert sum(trace.y) == pytest.approx(100)


def test_all_clouds_share_their_bars_and_no_value_lies_outside():
    found = [cloud([0.0, 1.0, 5.0]), cloud([-3.0, 2.0], ORGANISM)]
    edges = bins(found)
    assert edges[0] < -3
    assert edges[-1] > 5
    assert all(np.array_equal(trace.width, np.diff(edges)) for trace in histogram(found, 0, "x", 300).data)


def test_rows_of_one_value_still_make_a_histogram():
    assert max(histogram([cloud([3.0] * 9)], 3.0, "along", 300).data[0].y) == pytest.approx(100)


def test_an_outline_lies_over_the_bars_and_can_be_pointed_at():
    bars, line, points = histogram([cloud([1.0, 2.0], outlined=True), cloud([0.0], ORGANISM)], 1, "x", 300).data
    assert (bars.type, bars.marker.pattern.shape) == ("bar", "/")
    assert (line.mode, line.name, line.showlegend) == ("lines", "base (n = 2)", None)
    assert [int(data[2]) for data in points.customdata] == [1, 1]
    assert points.legendgroup == line.legendgroup


def test_the_threshold_is_a_labelled_line():
    layout = histogram([cloud([0.0, 1.0])], 0.4, "along <i>x</i>", 300).layout
    assert layout.shapes[0].x0 == layout.shapes[0].x1 == 0.4
    assert layout.annotations[0].text == "threshold 0.4"
    assert "<i>" not in layout.xaxis.title.text


def test_the_scatter_has_every_row_once_and_both_thresholds_at_zero():
    figure = scatter([cloud([0.0, 1.0], y=np.array([2.0, 3.0]), told=["one", "two"])], ("<i>x</i>", "y"), 300)
    (trace,) = figure.data
    assert (list(trace.x), list(trace.y), list(trace.customdata)) == ([0, 1], [2, 3], ["one", "two"])
    assert {(shape.x0, shape.y0) for shape in figure.layout.shapes} == {(0, 0)}
    assert "<i>" not in figure.layout.xaxis.title.text
