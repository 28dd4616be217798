"""A strip draws each change once, in points, with an interval where there is one and nothing where it is unknown."""

from __future__ import annotations

import pytest

from core.figures.palette import DIRECTIONS
from core.figures.strip import Marks, strip

DRAWS = Marks("random", "random", DIRECTIONS["random"], 0, [0.1, None, -0.2, 0.0], ["a", "b", "c", "d"], 8)
TRUE = Marks("true", "the direction", DIRECTIONS["true"], 0, [0.7], ["told"], 15, interval=(0.5, 0.8))


def test_each_draw_is_a_dot_near_its_level_and_an_unknown_one_is_none():
    (dots,) = strip([[DRAWS]], 200, "points").data
    assert [None if x is None else round(x) for x in dots.x] == [10, None, -20, 0]
    assert len(set(dots.y)) == 4
    assert all(abs(y) < 0.3 for y in dots.y)
    assert list(dots.customdata) == ["a", "b", "c", "d"]


def test_a_single_mark_lies_on_its_level_with_its_interval():
    _, mark = strip([[DRAWS, TRUE]], 200, "points").data
    assert (list(mark.x), list(mark.y), mark.marker.symbol) == ([70], [0], "diamond")
    assert mark.x[0] + mark.error_x.array[0] == pytest.approx(80)
    assert mark.x[0] - mark.error_x.arrayminus[0] == pytest.approx(50)
    unknown = Marks("true", "", DIRECTIONS["true"], 0, [None], [""], 15, interval=(None, None))
    (nothing,) = strip([[unknown]], 200, "points").data
    assert (list(nothing.x), nothing.error_x.array) == ([None], None)


def test_panels_share_an_axis_that_holds_every_mark_and_interval():
    figure = strip([[DRAWS], [TRUE]], 200, "points", ["one", "two"])
    assert [trace.yaxis for trace in figure.data] == ["y", "y2"]
    assert [trace.showlegend for trace in figure.data] == [True, False]
    assert [note.text for note in figure.layout.annotations] == ["one", "two"]
    low, high = figure.layout.xaxis.range
    assert low < -20 < 80 < high
    assert figure.layout.xaxis2.range == figure.layout.xaxis.range


def test_named_levels_run_downwards_and_a_mean_is_a_short_line():
    kind = Marks("random", "random", DIRECTIONS["random"], 1, [0.1, 0.3], ["", ""], 9, mean=0.2)
    figure = strip([[TRUE, kind]], 200, "points", levels=["own", "random (2)"])
    assert list(figure.layout.yaxis.ticktext) == ["own", "random (2)"]
    assert list(figure.layout.yaxis.range) == [1.5, -0.5]
    line = next(shape for shape in figure.layout.shapes if shape.x0 == 20)
    assert line.y0 < 1 < line.y1
    assert line.y1 - line.y0 < 1
    assert not figure.layout.showlegend
